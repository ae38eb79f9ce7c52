"""One HTTP request and its whole answer, within bounds of time and bytes.

Everything that goes out passes `Wire.send`: the rule about plain HTTP, the host's gate, the clock, the byte counter,
the translation of failures into RegistryError, and the observation for metrics. It speaks to httpcore directly:
httpx.AsyncClient costs 0.3 ms more CPU a request, which is half of what a scan may cost.
Neighbours: `exchange` and `tokens` send through it. Not here: credentials, redirects, meaning of statuses but 429 and
503.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import httpcore

from pawl.api.errors import BadAnswer, RateLimited, RegistryError, TooLarge, Unreachable
from pawl.registry.addresses import NetworkPolicy
from pawl.registry.budgets import Budget
from pawl.registry.limits import HostGate, retry_after
from pawl.registry.pools import Lane, Pools
from pawl.registry.targets import Endpoint, Url

Header = tuple[bytes, bytes]

_ERROR_BYTES = 16 * 1024  # of a refusal only its error code is read


@dataclass(frozen=True, slots=True)
class Observation:
    """One HTTP request, for metrics. `code` is the status, or the error's class name where there was no answer."""

    host: str
    code: str
    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request. `endpoint` says which CA vouches for the other side; `limit` bounds the answer's body in bytes."""

    method: str
    url: Url
    endpoint: Endpoint
    limit: int
    headers: tuple[Header, ...] = field(default=(), repr=False)  # credentials stand here, and in the body
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, read to its end. `url` is where it came from, `received` its bytes on the wire."""

    url: Url
    status: int
    headers: tuple[Header, ...] = field(repr=False)
    body: bytes = field(repr=False)
    received: int

    def all(self, name: str) -> list[str]:
        """All values of a header, in order."""
        wanted = name.encode()
        return [value.decode("latin-1") for key, value in self.headers if key.lower() == wanted]

    def header(self, name: str) -> str:
        """The first value of a header, named in lower case; empty if there is none."""
        return next(iter(self.all(name)), "")


class Wire:
    """Sends requests. One for a process."""

    def __init__(
        self, policy: NetworkPolicy, pools: Pools, gate: HostGate, observe: Callable[[Observation], None]
    ) -> None:
        self._policy = policy
        self._pools = pools
        self._gate = gate
        self._observe = observe

    async def send(self, out: Outgoing, budget: Budget) -> Answer:
        """Send a request and read the answer, whatever its status.

        Raises:
            ForbiddenTarget: the target may not be dialled, or not without TLS.
            RateLimited: the host is frozen, or this answer freezes it.
            Unreachable, Untrusted, BadAnswer, TooLarge: see `pawl.api.errors`.

        """
        origin = out.url.origin
        self._policy.require_plain(origin)
        async with self._gate.place(origin.authority):
            started = time.perf_counter()
            code, received = "Cancelled", 0
            try:
                async with budget.spend(origin.authority):
                    answer = await self._twice(out)
                code, received = str(answer.status), answer.received
            except RegistryError as error:
                code = type(error).__name__
                raise
            finally:
                self._observe(Observation(origin.authority, code, time.perf_counter() - started, received))
            self._heed(answer)
            return answer

    async def _twice(self, out: Outgoing) -> Answer:
        """Send; once more, on a new connection, if the first broke before any answer: idle ones get closed."""
        try:
            return await self._once(out, fresh=False)
        except _Broken:
            pass
        try:
            return await self._once(out, fresh=True)
        except _Broken as error:
            raise Unreachable(f"{out.url.origin.authority} hung up without an answer") from error.__cause__

    async def _once(self, out: Outgoing, *, fresh: bool) -> Answer:
        async with self._pools.lane(out.url.origin, out.endpoint, fresh=fresh) as lane:
            response = await _ask(lane, out)
            try:
                body, received = await _read(response, out)
            except httpcore.ProtocolError as error:
                raise Unreachable(f"{out.url.origin.authority} broke off in the middle of an answer") from error
            except httpcore.NetworkError as error:
                raise Unreachable(f"{out.url.origin.authority} broke the connection during an answer") from error
            finally:
                await response.aclose()
        return Answer(out.url, response.status, tuple(response.headers), body, received)

    def _heed(self, answer: Answer) -> None:
        host = answer.url.origin.authority
        told = retry_after(answer.all("retry-after"), time.time())
        if answer.status == 429 or (answer.status == 503 and told is not None):
            refusal = self._gate.freeze(host, told)
            raise RateLimited(
                str(refusal), retry_after=refusal.retry_after, told=refusal.told, status=answer.status
            ) from None
        self._gate.calm(host)


class _Broken(Exception):
    """The connection broke before the answer's headers."""


async def _ask(lane: Lane, out: Outgoing) -> httpcore.Response:
    origin = out.url.origin
    url = httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=out.url.target)
    host = (b"Host", origin.authority.encode())
    headers: list[Header] = [host, *out.headers]
    if out.body:
        headers.append((b"Content-Length", b"%d" % len(out.body)))
    request = httpcore.Request(out.method, url, headers=headers, content=out.body)
    try:
        return await lane.handle_async_request(request)
    except (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError) as error:
        if isinstance(error, httpcore.RemoteProtocolError) and "disconnected" not in str(error):
            raise BadAnswer(f"{origin.authority} does not speak HTTP/1.1") from None
        raise _Broken from error
    except (httpcore.NetworkError, httpcore.TimeoutException) as error:
        raise Unreachable(f"{origin.authority} cannot be reached ({type(error).__name__})") from None
    except httpcore.ProxyError as error:
        raise Unreachable(f"the proxy does not connect to {origin.authority} ({str(error)[:80]})") from None
    except httpcore.LocalProtocolError:
        raise BadAnswer(f"the request to {origin.authority} cannot be written as HTTP") from None


async def _read(response: httpcore.Response, out: Outgoing) -> tuple[bytes, int]:
    """The body, unpacked, and how many bytes came for it. Of a refusal only the beginning is read."""
    refused = response.status >= 400
    limit = _ERROR_BYTES if refused else out.limit
    if not refused and out.method != "HEAD" and _promised(response) > limit:
        raise _too_large(out)
    decode = _decoder(response, out)
    chunks: list[bytes] = []
    received = decoded = 0
    async for chunk in response.aiter_stream():
        received += len(chunk)
        data = decode(chunk, limit - decoded + 1)
        decoded += len(data)
        if max(received, decoded) > limit:
            if refused:
                break
            raise _too_large(out)
        chunks.append(data)
    return b"".join(chunks), received


def _promised(response: httpcore.Response) -> int:
    length = _first(response, b"content-length")
    return int(length) if length.isdigit() else 0


def _too_large(out: Outgoing) -> TooLarge:
    path = out.url.target.partition("?")[0]  # the query may be a signature
    return TooLarge(f"{out.url.origin.authority} sends more than {out.limit} bytes for {path[:200]}")


def _first(response: httpcore.Response, name: bytes) -> bytes:
    return next((value for key, value in response.headers if key.lower() == name), b"")


def _decoder(response: httpcore.Response, out: Outgoing) -> Callable[[bytes, int], bytes]:
    """How chunks become bytes: as they are, or unpacked, never to more than is asked for."""
    encoding = _first(response, b"content-encoding").strip().lower()
    if encoding in {b"", b"identity"}:
        return lambda chunk, _most: chunk
    if encoding not in {b"gzip", b"x-gzip", b"deflate"}:
        raise BadAnswer(f"{out.url.origin.authority} answers in an encoding that was not asked for")
    unpacker = zlib.decompressobj(wbits=47)  # gzip or zlib, told by the header

    def unpack(chunk: bytes, most: int) -> bytes:
        try:
            return unpacker.decompress(chunk, max(most, 1))
        except zlib.error:
            raise BadAnswer(f"{out.url.origin.authority} answers with broken compression") from None

    return unpack
