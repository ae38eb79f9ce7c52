"""Kept-alive connections: one pool for an origin, a CA and a proxy, closed when unused for longest.

Connections are shared between credentials (each request carries its own), never between CAs: what one tenant's CA
vouches for says nothing to another.
Neighbours: `wire` borrows pools, `sockets` dials. Not here: requests.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpcore

from pawl.registry.addresses import NetworkPolicy
from pawl.registry.proxies import Proxy, ProxySettings
from pawl.registry.sockets import GuardedNetwork, Resolver
from pawl.registry.targets import Endpoint, Origin
from pawl.registry.trust import TrustStore

_POOLS = 128
_IDLE_CONNECTIONS = 4  # a pool; with 128 pools well under the usual 1,024 open files
_IDLE_SECONDS = 90.0  # longer than the pause between two jittered scans of a busy host, shorter than most servers' own


@dataclass(slots=True)
class _Pool:
    http: httpcore.AsyncConnectionPool
    users: int = 0


class Pools:
    """All pools of a process. `concurrency` is the limit of requests to one host, so a pool never makes anyone wait."""

    def __init__(
        self, policy: NetworkPolicy, proxies: ProxySettings, resolve: Resolver, *, concurrency: int, seconds: float
    ) -> None:
        self._policy = policy
        self._proxies = proxies
        self._trust = TrustStore()
        self._concurrency = concurrency
        self._guarded = GuardedNetwork(policy.admit, resolve, seconds)
        # A proxy is the administrator's own choice and may well be a neighbour on loopback.
        self._to_proxy = GuardedNetwork(lambda _host, addresses: addresses, resolve, seconds)
        self._pools: OrderedDict[tuple[Origin, str], _Pool] = OrderedDict()

    @asynccontextmanager
    async def borrow(self, origin: Origin, endpoint: Endpoint) -> AsyncIterator[httpcore.AsyncConnectionPool]:
        """The pool for an origin, trusted as `endpoint` says. It is not closed while borrowed.

        Raises:
            ForbiddenTarget: the target goes through a proxy and is a literal that is never dialled.
            Untrusted: the endpoint's CA is no certificate.

        """
        pool = self._pool(origin, endpoint)
        pool.users += 1
        try:
            yield pool.http
        finally:
            pool.users -= 1
            await self._shrink()

    def _pool(self, origin: Origin, endpoint: Endpoint) -> _Pool:
        key = (origin, endpoint.ca_fingerprint if origin.scheme == "https" else "")
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = _Pool(self._build(origin, endpoint))
        self._pools.move_to_end(key)
        return pool

    def _build(self, origin: Origin, endpoint: Endpoint) -> httpcore.AsyncConnectionPool:
        proxy = self._proxies.proxy_for(origin)
        if proxy is not None:
            self._policy.admit_literal(origin.host)
        return httpcore.AsyncConnectionPool(
            ssl_context=self._trust.context(endpoint) if origin.scheme == "https" else None,
            proxy=_httpcore_proxy(proxy) if proxy else None,
            max_connections=self._concurrency,
            max_keepalive_connections=_IDLE_CONNECTIONS,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=self._to_proxy if proxy else self._guarded,
        )

    async def _shrink(self) -> None:
        while len(self._pools) > _POOLS:
            key = next((key for key, pool in self._pools.items() if not pool.users), None)
            if key is None:
                return
            await self._pools.pop(key).http.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        pools, self._pools = self._pools, OrderedDict()
        for pool in pools.values():
            await pool.http.aclose()


def _httpcore_proxy(proxy: Proxy) -> httpcore.Proxy:
    auth = (proxy.username.encode(), proxy.password.encode()) if proxy.username or proxy.password else None
    return httpcore.Proxy(str(proxy.url), auth=auth)
