"""HTTP to the API server: one aiohttp session with keep-alive, credentials that renew themselves, bytes in and out.

Neighbours: `credentials` reads who we are, `client` decides what to send. Not here: retries (but for the one after a
401), meaning of answers (`refusals`).
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
import structlog
from aiohttp.connector import NEEDS_CLEANUP_CLOSED
from yarl import URL

from pawl import __version__
from pawl.api.errors import ApiUnavailable, InputError
from pawl.cluster.calls import Answer, ConnectionValues, Request
from pawl.cluster.credentials import Credentials, Place, load
from pawl.cluster.refusals import error_of, one_line

KEEP_ALIVE: Final = 60.0
"""Seconds for which an idle connection is kept. The API server closes its side after 90, so we never race it."""
RELOAD_PAUSE: Final = 5.0
"""Seconds between two readings of the credentials that a 401 may force: an exec plugin is a process each time."""
PIECE: Final = 2**19
STREAM_BUFFER: Final = 2**21
CONNECT_TIMEOUT: Final = 10.0

log = structlog.get_logger(__name__)


class HttpTransport:
    """Carries requests over HTTP. Made by `HttpTransport.open`, ended by `close`."""

    def __init__(self, place: Place, credentials: Credentials, reload_pause: float = RELOAD_PAUSE) -> None:
        self._place = place
        self._reload_pause = reload_pause
        self._loading = asyncio.Lock()
        self._retired: aiohttp.ClientSession | None = None
        self._read_at = 0.0
        self._adopt(credentials)
        self._session = self._new_session()

    @classmethod
    async def open(cls, place: Place, reload_pause: float = RELOAD_PAUSE) -> HttpTransport:
        """Read the credentials and open a session; nothing is sent yet. Raises InputError."""
        return cls(place, await load(place), reload_pause)

    async def send(self, request: Request) -> Answer:
        """Send one request; see `Transport.send`. A 401 reads the credentials again and sends once more."""
        await self._refresh_when_due()
        read_at = self._read_at
        answer = await self._exchange(request)
        # A 401 means that nothing was done, so a write may go again too.
        if answer.status == 401 and await self._reload(read_at):
            answer = await self._exchange(request)
        return answer

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a watch; see `Transport.stream`. `request.timeout` bounds the silence between two lines."""
        await self._refresh_when_due()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=request.timeout)
        try:
            async with self._call(request, timeout) as response:
                if response.status != 200:
                    if response.status == 401:
                        await self._reload(self._read_at)
                    raise error_of(request, await _answer(response))
                yield response.content.__aiter__()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unanswered(request, self._credentials.server, error) from error

    async def connection_info(self) -> ConnectionValues:
        """Return what another client needs, with credentials that are fresh now."""
        await self._refresh_when_due()
        known = self._credentials
        scheme, _, token = (known.authorization or "").partition(" ")
        return ConnectionValues(
            server=known.server,
            ca_path=known.ca_path,
            certificate_path=known.certificate_path,
            private_key_path=known.private_key_path,
            insecure=known.insecure,
            proxy=known.proxy,
            scheme=scheme or None,
            token=token or None,
            expiration=datetime.now(UTC) + timedelta(seconds=known.lifetime),
        )

    async def close(self) -> None:
        """Close all connections."""
        for session in (self._retired, self._session):
            if session is not None:
                await session.close()

    def _adopt(self, credentials: Credentials) -> None:
        now = asyncio.get_running_loop().time()
        self._credentials = credentials
        self._read_at = now
        self._due = now + credentials.lifetime
        self._headers = {"Authorization": credentials.authorization} if credentials.authorization else {}

    def _new_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                ssl=self._credentials.tls,
                keepalive_timeout=KEEP_ALIVE,
                # on these versions of Python a closed TLS connection lingers until the other side answers
                enable_cleanup_closed=NEEDS_CLEANUP_CLOSED,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            # Inside a cluster bytes are cheaper than the CPU that gzip takes on both sides.
            headers={"User-Agent": f"pawl/{__version__}", "Accept-Encoding": "identity"},
            read_bufsize=STREAM_BUFFER,
        )

    async def _refresh_when_due(self) -> None:
        if asyncio.get_running_loop().time() < self._due:
            return
        try:
            await self._reload(self._read_at)
        except InputError as error:
            # The old credentials may still serve; the API server is the one to say that they do not.
            self._due = asyncio.get_running_loop().time() + self._reload_pause
            log.warning("credentials could not be renewed", error=str(error))

    async def _reload(self, read_at: float) -> bool:
        """Read the credentials again unless another task did since `read_at`; tell whether a new try makes sense."""
        async with self._loading:
            if self._read_at > read_at:
                return True
            if asyncio.get_running_loop().time() - read_at < self._reload_pause:
                return False
            before = self._credentials.fingerprint
            self._adopt(await load(self._place))
            if self._credentials.fingerprint != before:
                await self._replace_session()
            return True

    async def _replace_session(self) -> None:
        """Open a session for the new certificates; the old one serves its running requests until the next turn."""
        if self._retired is not None:
            await self._retired.close()
        self._retired, self._session = self._session, self._new_session()

    def _call(self, request: Request, timeout: aiohttp.ClientTimeout) -> aiohttp.client._RequestContextManager:
        headers = {**self._headers, "Accept": request.accept}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        url = URL(f"{self._credentials.server}{request.path}", encoded=True)
        return self._session.request(
            request.method,
            url.with_query(request.query) if request.query else url,
            data=_payload(request.body),
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
            proxy=self._credentials.proxy,
            server_hostname=self._credentials.tls_server_name,
        )

    async def _exchange(self, request: Request) -> Answer:
        try:
            async with self._call(request, aiohttp.ClientTimeout(total=request.timeout)) as response:
                return await _answer(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unanswered(request, self._credentials.server, error) from error


def _payload(body: bytes | None) -> bytes | io.BytesIO | None:
    """Large bodies go in pieces, so that the event loop can turn in between."""
    return body if body is None or len(body) <= PIECE else io.BytesIO(body)


async def _answer(response: aiohttp.ClientResponse) -> Answer:
    after = response.headers.get("Retry-After") if response.status >= 400 else None
    return Answer(response.status, await response.read(), None if after is None else retry_after(after))


def retry_after(value: str) -> float | None:
    """Return the seconds that a Retry-After header asks for, in either of its two forms, or None if it is neither."""
    with suppress(ValueError):
        return max(float(int(value)), 0.0)
    with suppress(ValueError):
        return max((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds(), 0.0)
    return None


def _unanswered(request: Request, server: str, error: Exception) -> ApiUnavailable:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = f"its certificate is not trusted ({error.certificate_error}); check the CA of the kubeconfig"
    elif isinstance(error, TimeoutError):
        cause = "it gave no answer in time"
    else:
        cause = str(error) or type(error).__name__
    return ApiUnavailable(one_line(f"could not {request.verb} {request.target} at {server}: {cause}"))
