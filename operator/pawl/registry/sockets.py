"""The network under the HTTP library: names are resolved, judged and dialled here, and nowhere else.

httpcore would resolve a name inside the dial, after any check of ours: a DNS server that answers differently the
second time (rebinding) would win. So this backend resolves once, asks `admit`, and dials exactly the addresses that
were admitted; TLS still names and verifies the host.
Neighbours: `addresses.NetworkPolicy.admit` judges, `pools` plugs this into httpcore. Not here: HTTP.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, cast

import httpcore

from pawl.api.errors import Unreachable
from pawl.registry.caches import Flights
from pawl.registry.trust import distrust

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to addresses as text, in the order in which they are to be tried. Raises OSError."""

Admit = Callable[[str, Sequence[str]], Sequence[str]]
"""Host and its addresses to those that may be dialled. Raises ForbiddenTarget."""

Place = tuple[str, int]
"""Host and port."""

NOWHERE: Mapping[Place, Place] = MappingProxyType({})

_HIGH_WATER = 256 * 1024  # bytes kept unread before the peer is held back
_MOST_ADDRESSES = 4
_LEAST_DIAL = 1.0  # seconds for one address, however many there are


class SystemResolver:
    """getaddrinfo in threads of our own: a DNS server that never answers must not hold up the process's others."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="pawl-dns")
        self._flights: Flights[tuple[str, int], Sequence[str]] = Flights()

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host. Concurrent questions for one host are one question."""
        return await self._flights.join((host, port), lambda: self._ask(host, port))

    async def _ask(self, host: str, port: int) -> Sequence[str]:
        def ask() -> list[str]:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return list(dict.fromkeys(str(entry[4][0]) for entry in found))

        return await asyncio.get_running_loop().run_in_executor(self._threads, ask)

    async def aclose(self) -> None:
        """Let go of the threads."""
        await self._flights.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)


class SocketStream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """One connection. A protocol of our own, because it halves the cost of httpcore's default and knows at once when an
    idle connection was closed by the other side.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._paused = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._buffer += data
        if len(self._buffer) > _HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """The other side says no more."""
        self._ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reader sees the end either way
        """The connection is gone."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # httpcore.AsyncNetworkStream; timeouts are kept by `wire` around the whole request

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002, ASYNC109
        """Some bytes; none at the end."""
        while not self._buffer and not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        data = bytes(self._buffer[:max_bytes])
        del self._buffer[:max_bytes]
        if self._paused and not self._buffer and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109
        """Send bytes. Requests are a few KiB at most, so nothing waits for the socket to drain."""
        if self._transport is None or self._transport.is_closing():
            raise httpcore.WriteError(f"{self._name} closed the connection")
        self._transport.write(buffer)

    async def aclose(self) -> None:
        """Close at once; a TLS goodbye would be waited for up to half a minute."""
        if self._transport is not None:
            self._transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """Turn the connection into TLS.

        Raises:
            Untrusted: the certificate cannot be verified, or the other side speaks no TLS.
            Unreachable: the other side hung up.

        """
        name = server_hostname or self._name
        if self._transport is None:
            raise Unreachable(f"{name} closed the connection")
        loop = asyncio.get_running_loop()
        try:
            upgraded = await loop.start_tls(self._transport, self, ssl_context, server_hostname=name)
        except ssl.SSLError as error:
            raise distrust(name, error) from None
        except OSError as error:
            raise Unreachable(f"{name} hung up during the TLS handshake ({_why(error)})") from None
        self._transport = upgraded
        return self

    def get_extra_info(self, info: str) -> object:
        """`is_readable`: an idle connection with something to read was closed, and is not used again."""
        if info == "is_readable":
            return self._ended or bool(self._buffer)
        if info == "ssl_object" and self._transport is not None:
            return self._transport.get_extra_info("ssl_object")
        return None


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Dials admitted addresses only. `seconds` bounds resolution and, again, connecting.

    `elsewhere`: host and port to the ones that are dialled in their place; TLS still names the first.
    """

    def __init__(
        self, admit: Admit, resolve: Resolver, seconds: float, elsewhere: Mapping[Place, Place] = NOWHERE
    ) -> None:
        self._admit = admit
        self._resolve = resolve
        self._seconds = seconds
        self._elsewhere = elsewhere

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that answers.

        Raises:
            ForbiddenTarget: no address of the host may be dialled.
            Unreachable: no address, or none that answers.

        """
        host, port = self._elsewhere.get((host, port), (host, port))
        addresses = list(self._admit(host, await self._addresses(host, port)))[:_MOST_ADDRESSES]
        patience = max(self._seconds / len(addresses), _LEAST_DIAL)
        causes: list[str] = []
        for address in addresses:
            try:
                return await _dial(host, address, port, patience)
            except OSError as error:
                causes.append(f"{address}: {_why(error)}")
        raise Unreachable(f"cannot connect to {host} port {port} ({'; '.join(causes)})")

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            async with asyncio.timeout(self._seconds):
                found = await self._resolve(host, port)
        except TimeoutError:
            raise Unreachable(f"the name {host} was not resolved within {self._seconds:g} s") from None
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"the name {host} cannot be resolved ({_why(error)})") from None
        if not found:
            raise Unreachable(f"the name {host} has no address")
        return found

    async def sleep(self, seconds: float) -> None:
        """Wait; httpcore uses it between retries, which are off."""
        await asyncio.sleep(seconds)


async def _dial(host: str, address: str, port: int, seconds: float) -> SocketStream:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds):
        _, stream = await loop.create_connection(lambda: SocketStream(host), address, port)
    return stream


def _why(error: BaseException) -> str:
    """The cause in a few words, without asyncio's own decoration."""
    if isinstance(error, TimeoutError) and not error.args:
        return "no answer in time"
    number = getattr(error, "errno", None)
    if number is not None and number > 0:
        return os.strerror(number)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
