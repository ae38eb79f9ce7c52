"""Kept-alive connections: one pool for an origin, a CA and a proxy, closed when unused for longest.

Connections are shared between credentials (each request carries its own), never between CAs: what one tenant's CA
vouches for says nothing to another. Direct connections are httpcore's HTTP/1.1 connections in a list of ours: the gate
already counts requests per host, and httpcore's own pool costs as much again as a request. Proxies need its tunnels and
take its pool.
Neighbours: `wire` borrows, `sockets` dials. Not here: requests.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import httpcore

from pawl.registry.addresses import NetworkPolicy
from pawl.registry.proxies import Proxy, ProxySettings
from pawl.registry.sockets import NOWHERE, GuardedNetwork, Place, Resolver
from pawl.registry.targets import Endpoint, Origin
from pawl.registry.trust import TrustStore

_POOLS = 128
_IDLE_CONNECTIONS = 4  # a pool; with 128 pools well under the usual 1,024 open files
_IDLE_SECONDS = 90.0  # longer than the pause between two jittered scans of a busy host, shorter than most servers' own


class Lane(Protocol):
    """What carries one request."""

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send it. Raises httpcore's errors, and RegistryError from `sockets`."""
        ...


class _Pool(Protocol):
    def lane(self, *, fresh: bool) -> AbstractAsyncContextManager[Lane]: ...

    async def aclose(self) -> None: ...


class _Direct:
    """Connections to one origin; the one used last is used next."""

    def __init__(self, origin: Origin, network: GuardedNetwork, trust: TrustStore, endpoint: Endpoint) -> None:
        self._origin = origin
        self._network = network
        self._tls = trust.context(endpoint) if origin.scheme == "https" else None
        self._idle: list[httpcore.AsyncHTTP11Connection] = []
        self._closed = False

    @asynccontextmanager
    async def lane(self, *, fresh: bool) -> AsyncIterator[Lane]:
        connection = await (self._connect() if fresh else self._take())
        try:
            yield connection
        finally:
            if connection.is_idle() and len(self._idle) < _IDLE_CONNECTIONS and not self._closed:
                self._idle.append(connection)
            else:
                await connection.aclose()

    async def _take(self) -> httpcore.AsyncHTTP11Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_available() and not connection.has_expired():
                return connection
            await connection.aclose()
        return await self._connect()

    async def _connect(self) -> httpcore.AsyncHTTP11Connection:
        origin = self._origin
        stream = await self._network.connect_tcp(origin.host, origin.port)
        if self._tls is not None:
            try:
                stream = await stream.start_tls(self._tls, origin.host)
            except BaseException:
                await stream.aclose()
                raise
        known = httpcore.Origin(origin.scheme.encode(), origin.host.encode(), origin.port)
        return httpcore.AsyncHTTP11Connection(known, stream, _IDLE_SECONDS)

    async def aclose(self) -> None:
        """Close what is idle; a connection in use is closed when its request ends."""
        self._closed = True
        while self._idle:
            await self._idle.pop().aclose()


class _Proxied:
    """Connections to one origin through a proxy."""

    def __init__(self, http: httpcore.AsyncConnectionPool) -> None:
        self._http = http
        self._users = 0
        self._closed = False

    @asynccontextmanager
    async def lane(self, *, fresh: bool) -> AsyncIterator[Lane]:  # noqa: ARG002 - httpcore's pool chooses
        self._users += 1
        try:
            yield self._http
        finally:
            self._users -= 1
            if self._closed:
                await self.aclose()

    async def aclose(self) -> None:
        """Close all connections, when the last request has ended."""
        self._closed = True
        if not self._users:
            await self._http.aclose()


class Pools:
    """All pools of a process. `concurrency` is the limit of requests to one host, so a pool never makes anyone wait.

    `elsewhere` as in `GuardedNetwork`.
    """

    def __init__(
        self,
        policy: NetworkPolicy,
        proxies: ProxySettings,
        resolve: Resolver,
        *,
        concurrency: int,
        seconds: float,
        elsewhere: Mapping[Place, Place] = NOWHERE,
    ) -> None:
        self._policy = policy
        self._proxies = proxies
        self._trust = TrustStore()
        self._concurrency = concurrency
        self._guarded = GuardedNetwork(policy.admit, resolve, seconds, elsewhere)
        # A proxy is the administrator's own choice and may well be a neighbour on loopback.
        self._to_proxy = GuardedNetwork(lambda _host, addresses: addresses, resolve, seconds)
        self._pools: OrderedDict[tuple[Origin, str], _Pool] = OrderedDict()

    @asynccontextmanager
    async def lane(self, origin: Origin, endpoint: Endpoint, *, fresh: bool = False) -> AsyncIterator[Lane]:
        """A way to an origin, trusted as `endpoint` says, for one request; `fresh` wants a new connection.

        Raises:
            ForbiddenTarget: no address of the host may be dialled.
            Unreachable: no connection.
            Untrusted: no certificate that can be believed, or the endpoint's CA is none.

        """
        async with (await self._pool(origin, endpoint)).lane(fresh=fresh) as lane:
            yield lane

    async def _pool(self, origin: Origin, endpoint: Endpoint) -> _Pool:
        key = (origin, endpoint.ca_fingerprint if origin.scheme == "https" else "")
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = self._build(origin, endpoint)
            await self._shrink()
        else:
            self._pools.move_to_end(key)
        return pool

    def _build(self, origin: Origin, endpoint: Endpoint) -> _Pool:
        proxy = self._proxies.proxy_for(origin)
        if proxy is None:
            return _Direct(origin, self._guarded, self._trust, endpoint)
        self._policy.admit_literal(origin.host)
        http = httpcore.AsyncConnectionPool(
            ssl_context=self._trust.context(endpoint) if origin.scheme == "https" else None,
            proxy=_httpcore_proxy(proxy),
            max_connections=self._concurrency,
            max_keepalive_connections=_IDLE_CONNECTIONS,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=self._to_proxy,
        )
        return _Proxied(http)

    async def _shrink(self) -> None:
        """Close the pool unused for longest; requests that still use it end well."""
        if len(self._pools) > _POOLS:
            _, pool = self._pools.popitem(last=False)
            await pool.aclose()

    async def aclose(self) -> None:
        """Close all connections that nobody uses."""
        while self._pools:
            await self._pools.popitem()[1].aclose()


def _httpcore_proxy(proxy: Proxy) -> httpcore.Proxy:
    auth = (proxy.username.encode(), proxy.password.encode()) if proxy.username or proxy.password else None
    return httpcore.Proxy(str(proxy.url), auth=auth)
