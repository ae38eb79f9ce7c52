"""A registry server of our own as a client reaches it: dialled at an address of choice, under its own TLS name.

What differs from asking foreign registries (`client`): the server may be asked Pod by Pod, every status is an answer
to think about, and blobs are read as a stream of any length. No redirect is followed: a server of ours sends none.
Neighbours: `wire` and `pools` carry the requests, `servercheck` asks the questions. Not here: what an answer means.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Final, Self

import httpcore

from pawl import __version__
from pawl.api.errors import BadAnswer, Missing, RegistryError, Unreachable
from pawl.registry.addresses import NetworkPolicy
from pawl.registry.budgets import Budget
from pawl.registry.credentials import ANONYMOUS, Credentials
from pawl.registry.limits import HostGate
from pawl.registry.pools import Pools
from pawl.registry.proxies import ProxySettings
from pawl.registry.sockets import SystemResolver
from pawl.registry.targets import Endpoint, Url, origin_of
from pawl.registry.wire import Answer, Header, Outgoing, Wire

CONCURRENCY: Final = 16
"""Requests at a time to one server."""

_AGENT: Final[Header] = (b"User-Agent", f"pawl/{__version__}".encode())
_STALL: Final = 60.0  # seconds without a byte before a stream is given up
_CONNECT: Final = 5.0
_ANSWER_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True)
class Target:
    """A server.

    Attributes:
        url: `https://host:port` as images and certificates have it; `http://` for a server without TLS.
        address: host:port that is dialled instead, as that of one Pod; empty: what `url` says.
        ca_pem: PEM certificates of its authorities, besides the system's.
        credentials: username and password; nobody's by default.
        seconds: for one request, streams of blobs excepted.

    """

    url: str
    address: str = ""
    ca_pem: str = field(default="", repr=False)
    credentials: Credentials = ANONYMOUS
    seconds: float = 30.0

    @cached_property
    def endpoint(self) -> Endpoint:
        """As the wire knows it. Raises ValueError where `url` is none."""
        origin = Url.parse(self.url).origin
        return Endpoint(origin.host_port, origin.scheme == "http", self.ca_pem or None, self.seconds)

    @property
    def basic(self) -> tuple[Header, ...]:
        """The header that shows the credentials, if there are any."""
        if self.credentials.anonymous:
            return ()
        pair = f"{self.credentials.username}:{self.credentials.password}".encode()
        return ((b"Authorization", b"Basic " + base64.b64encode(pair)),)


@dataclass(frozen=True, slots=True)
class Question:
    """A request. `target` is path and query. `anonymous` leaves the credentials out."""

    method: str
    target: str
    headers: tuple[Header, ...] = ()
    body: bytes = field(default=b"", repr=False)
    anonymous: bool = False


class Server:
    """Asks one server. Use as `async with`; every method raises RegistryError where there is no whole answer."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._resolver = SystemResolver()
        origin = target.endpoint.origin
        policy = NetworkPolicy(deny_loopback=False, plain_http_hosts=frozenset({origin.host_port}))
        self._pools = Pools(
            policy,
            ProxySettings(),
            self._resolver,
            concurrency=CONCURRENCY,
            seconds=min(_CONNECT, target.seconds),
            elsewhere=_detour(target),
        )
        self._wire = Wire(policy, self._pools, HostGate(CONCURRENCY, time.monotonic), lambda _: None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pools.aclose()
        await self._resolver.aclose()
        await asyncio.sleep(0)  # lets the sockets of aborted connections close

    async def ask(self, question: Question) -> Answer:
        """Return the answer, whatever its status; RateLimited for 429 and a 503 that says when."""
        out = Outgoing(
            question.method,
            Url(self.target.endpoint.origin, question.target),
            self.target.endpoint,
            _ANSWER_BYTES,
            self._headers(question),
            question.body,
        )
        return await self._wire.send(out, Budget(self.target.seconds, "a request to a server"))

    async def hashed(self, target: str, seen: Callable[[int], None]) -> str:
        """Read a blob of any length as a stream, telling `seen` the bytes of each piece, and return its sha256 digest.

        Raises Missing where it is not there, Unreachable where nothing comes for a minute.
        """
        digest = hashlib.sha256()
        async with self._stream(target) as response, aclosing(_pieces(response, self._name)) as pieces:
            async for piece in pieces:
                digest.update(piece)
                seen(len(piece))
        return f"sha256:{digest.hexdigest()}"

    @asynccontextmanager
    async def _stream(self, target: str) -> AsyncIterator[httpcore.Response]:
        origin = self.target.endpoint.origin
        host: Header = (b"Host", origin.authority.encode())
        url = httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=target)
        request = httpcore.Request("GET", url, headers=[host, *self._headers(Question("GET", target))])
        async with self._pools.lane(origin, self.target.endpoint, fresh=True) as lane:
            try:
                async with asyncio.timeout(self.target.seconds):
                    response = await lane.handle_async_request(request)
            except (httpcore.NetworkError, httpcore.ProtocolError, TimeoutError) as error:
                raise Unreachable(f"{self._name} does not send {target} ({type(error).__name__})") from None
            try:
                _refuse(response.status, f"{self._name}{target}")
                yield response
            finally:
                await response.aclose()

    def _headers(self, question: Question) -> tuple[Header, ...]:
        return (_AGENT, *question.headers, *(() if question.anonymous else self.target.basic))

    @property
    def _name(self) -> str:
        return self.target.endpoint.origin.authority


async def _pieces(response: httpcore.Response, name: str) -> AsyncGenerator[bytes, None]:
    stream = response.aiter_stream().__aiter__()
    while True:
        try:
            async with asyncio.timeout(_STALL):
                piece = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Unreachable(f"{name} sent nothing for {_STALL:g} s in the middle of a blob") from None
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise Unreachable(f"{name} broke off in the middle of a blob ({type(error).__name__})") from None
        yield piece


def _refuse(status: int, what: str) -> None:
    if status != 200:
        raise refused(status, what)


def refused(status: int, what: str) -> RegistryError:
    """Return the error for a status that was not hoped for."""
    if status == 404:
        return Missing(f"{what}: not found", status=status)
    kind = Unreachable if status >= 500 else BadAnswer
    return kind(f"{what}: the server answers {status}", status=status)


def _detour(target: Target) -> dict[tuple[str, int], tuple[str, int]]:
    if not target.address:
        return {}
    named, dialled = target.endpoint.origin, origin_of(target.endpoint.origin.scheme, target.address)
    return {(named.host, named.port): (dialled.host, dialled.port)}
