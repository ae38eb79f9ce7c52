"""A client of the demo's registry: it trusts the registry's authority alone, logs in, pushes, pulls, and hashes all.

Neighbours: `demo_registry_pull` pulls all the time with it. Not here: resuming, tokens, mirrors (`pawl.registry`).
"""

from __future__ import annotations

import hashlib
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp

from pawl.cli.demo_checks import CheckFailedError
from pawl.cli.demo_registry_layer import Layer
from pawl.sandbox.images import BYTES, MANIFESTS, Blob, Image, build

TIMEOUT: Final = aiohttp.ClientTimeout(total=60, sock_connect=2)
OK: Final = 200
CREATED: Final = 201
ACCEPTED: Final = 202
Body = bytes | AsyncIterator[bytes]


class WrongBytesError(CheckFailedError):
    """What was pulled is not what its digest says."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where the registry is. `name` is in its certificate; `address` may be that of a Pod."""

    address: str
    name: str
    trust: ssl.SSLContext
    user: str
    password: str = field(repr=False)


class Caller:
    """A session with the registry, as an asynchronous context manager."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        door = self._door
        login = {"Authorization": aiohttp.encode_basic_auth(door.user, door.password)}
        connector = aiohttp.TCPConnector(ssl=door.trust)
        self._session = aiohttp.ClientSession(headers=login, connector=connector, timeout=TIMEOUT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def push(self, image: Image) -> str:
        """Push an image, tag last, and return its digest. Raises CheckFailedError."""
        built = build(image)
        for blob in built.blobs:
            await self.upload(image.repository, blob.digest, len(blob.body), blob.body)
        for manifest in built.manifests:
            await self._put_manifest(image.repository, manifest, manifest.digest)
        await self._put_manifest(image.repository, built.top, image.tag)
        return built.top.digest

    async def push_layer(self, repository: str, tag: str, layer: Layer) -> float:
        """Push an image of one large layer; returns the seconds that the layer took. Raises CheckFailedError."""
        config, digest = layer.config(), layer.digest
        begun = time.monotonic()
        await self.upload(repository, digest, layer.size, layer.stream())
        seconds = time.monotonic() - begun
        await self.upload(repository, config.digest, len(config.body), config.body)
        await self._put_manifest(repository, layer.manifest(), tag)
        return seconds

    async def upload(self, repository: str, digest: str, size: int, body: Body) -> None:
        """Push a blob. Raises CheckFailedError where it is refused."""
        path = f"/v2/{repository}/blobs/uploads/"
        async with self._ask("POST", path, {}) as reply:
            _expect(reply, ACCEPTED, f"POST {path}")
            place = urlsplit(reply.headers["Location"])
        query = f"{place.query}&" if place.query else ""
        headers = {"Content-Type": BYTES, "Content-Length": str(size)}
        async with self._ask("PUT", f"{place.path}?{query}digest={digest}", headers, body) as reply:
            _expect(reply, CREATED, f"the upload of {digest}")

    async def pull(self, repository: str, reference: str, digest: str) -> int:
        """Pull an image with all of its platforms, and return its bytes. Raises WrongBytesError, CheckFailedError."""
        manifest = await self._fetch(f"/v2/{repository}/manifests/{reference}", digest)
        said = json.loads(manifest)
        total = len(manifest)
        for child in said.get("manifests", []):
            total += await self.pull(repository, child["digest"], child["digest"])
        for blob in (said.get("config"), *said.get("layers", [])):
            total += await self.pull_blob(repository, blob["digest"]) if blob else 0
        return total

    async def pull_blob(self, repository: str, digest: str) -> int:
        """Pull a blob and throw it away as it comes; returns its bytes."""
        found, size, path = hashlib.sha256(), 0, f"/v2/{repository}/blobs/{digest}"
        async with self._ask("GET", path, {}) as reply:
            _expect(reply, OK, f"GET {path}")
            async for piece in reply.content.iter_any():
                found.update(piece)
                size += len(piece)
        _same(digest, found.hexdigest(), path)
        return size

    async def _fetch(self, path: str, digest: str) -> bytes:
        async with self._ask("GET", path, {"Accept": MANIFESTS}) as reply:
            _expect(reply, OK, f"GET {path}")
            body = await reply.read()
        _same(digest, hashlib.sha256(body).hexdigest(), path)
        return body

    async def _put_manifest(self, repository: str, manifest: Blob, reference: str) -> None:
        path = f"/v2/{repository}/manifests/{reference}"
        async with self._ask("PUT", path, {"Content-Type": manifest.media_type}, manifest.body) as reply:
            _expect(reply, CREATED, f"PUT {path}")

    @asynccontextmanager
    async def _ask(
        self, method: str, path: str, headers: dict[str, str], body: Body | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("a Caller is used in its own block only")
        url = f"https://{self._door.address}{path}"
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, server_hostname=self._door.name
            ) as reply:
                yield reply
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise CheckFailedError(f"expected the registry to answer {method} {path}; saw {error!r}") from error


def _expect(reply: aiohttp.ClientResponse, status: int, what: str) -> None:
    if reply.status != status:
        raise CheckFailedError(f"expected HTTP {status} to {what}; saw HTTP {reply.status}")


def _same(digest: str, found: str, path: str) -> None:
    if digest != f"sha256:{found}":
        raise WrongBytesError(f"expected {digest} of GET {path}; saw sha256:{found}")
