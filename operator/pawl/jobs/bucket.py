"""A store in a bucket of S3 or MinIO.

A large object goes up in parts straight to its final key, and the upload is completed only once its bytes were proved:
one write a byte, half of what a push through the server costs. A part has max(8 MiB, size / 9000) bytes, and as many
are on their way as 40 MiB hold: what is in flight makes the speed, not the size of a part, and memory stays bounded.
Each request carries the SHA-256 of its body in its signature, which S3 and MinIO check; an ETag proves nothing. An
upload that fails is aborted; one whose worker was killed is swept by MinIO after a day, on AWS by a lifecycle rule.
Credentials are files, read again whenever they are refused: they may be changed while a copy runs. Neighbours:
`filesystem` is the other store, `bucketerrors` reads what a bucket says. Not here: what keys mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import uuid4

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from pawl.api.registrywork import Place
from pawl.jobs.bucketclient import connect
from pawl.jobs.bucketerrors import OddKey, told
from pawl.jobs.bucketreads import Readers, worth_a_try
from pawl.jobs.copystore import HURRY, MIB, PIECE, SCRATCH, Body, Hash, Patience, windowed
from pawl.jobs.store import Object, ObjectMissing, Space, StoreError, StoreFull, StoreRefused

if TYPE_CHECKING:
    from obstore import ObjectMeta

T = TypeVar("T")
PAGE: Final = 1000
PART: Final = 8 * MIB
PARTS: Final = 9000
IN_FLIGHT: Final = 40 * MIB
AHEAD: Final = 3
"""Pieces of one object that are asked for at once."""
AT_ONCE: Final = 32
"""Small objects that are asked for or sent at once."""
_CONTENT: Final = {"Content-Type": "application/octet-stream"}


def part_size(size: int) -> int:
    """Return the bytes of a part, so that an object has at most 9000 of the 10,000 that S3 allows."""
    return max(PART, -(-size // PARTS // MIB) * MIB)


class Bucket:
    """Objects below a prefix of a bucket. `open_client` makes a client anew: with fresh credentials."""

    def __init__(
        self, place: Place, patience: Patience = HURRY, open_client: Callable[[Place], S3Store] = connect
    ) -> None:
        self._place = place
        self._patience = patience
        self._connect = open_client
        self._held: S3Store | None = None
        self._prefix = f"{place.root_directory.strip('/')}/".lstrip("/")
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._readers = Readers(self._prefix, lambda error, key: told(error, self.label, key))
        self._ranges: bool | None = None

    @property
    def label(self) -> str:
        """What people call it."""
        return f"bucket {self._place.bucket} at {self._place.endpoint or 'AWS'}"

    async def list(self, prefix: str = "") -> AsyncIterator[list[Object]]:
        """Yield pages of what is below a prefix; after a refusal it goes on behind the last key."""
        last: str | None = None
        waits = self._patience.waits()
        while True:
            try:
                async for page in obstore.list(self._client(), self._prefix + prefix, offset=last, chunk_size=PAGE):
                    last, waits = page[-1]["path"] if page else last, self._patience.waits()
                    yield [self._object(meta) for meta in page]
                return
            except (BaseError, OSError, ValueError) as error:
                await self._bear(told(error, self.label, prefix), waits)

    async def stat(self, key: str) -> Object | None:
        """Return size and time of an object, None where there is none."""
        try:
            meta = await self._call(key, lambda client: obstore.head_async(client, self._prefix + key))
        except ObjectMissing:
            return None
        return Object(key, meta["size"], meta["last_modified"].timestamp())

    async def read(self, key: str, limit: int) -> bytes:
        """Return a small object whole."""
        return bytes(await self._call(key, lambda client: self._whole(client, key, limit)))

    async def read_many(self, wanted: Sequence[tuple[str, int]], *, cold: bool = False) -> Sequence[Body | StoreError]:
        """Return objects whole, many at once, each or why it could not be read."""
        del cold
        found = await self._readers.read(self._client, wanted)
        lost = {number: one for number, one in enumerate(wanted) if worth_a_try(found[number])}
        again = await asyncio.gather(*(self._one(*one) for one in lost.values()))
        for number, body in zip(lost, again, strict=True):
            found[number] = body
        return found

    async def write(self, key: str, body: bytes) -> None:
        """Write one object."""
        await self._put(key, body)

    async def write_many(self, bodies: Sequence[tuple[str, Body]]) -> None:
        """Write objects, many at once."""
        await asyncio.gather(*(self._put(key, body) for key, body in bodies))

    async def delete(self, key: str) -> None:
        """Take an object away."""
        with suppress(ObjectMissing):
            await self._call(key, lambda client: obstore.delete_async(client, self._prefix + key))

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Take objects away, many at once; one by one, for not every server knows deletion in bulk."""

        async def gone(key: str) -> None:
            async with self._slots:
                await self.delete(key)

        await asyncio.gather(*(gone(key) for key in keys))

    async def pieces(self, key: str, start: int, size: int, *, cold: bool = False) -> AsyncIterator[Body]:
        """Yield an object piece by piece in order, while the next ones are on their way."""
        del cold
        if size > PIECE and not await self._serves_ranges(key):
            async for piece in self._streamed(key, start):
                yield piece
            return

        async def fetch(begin: int) -> Body:
            length = min(PIECE, size - begin)
            if length == size:
                return await self._call(key, lambda client: self._whole(client, key, size))
            return await self._call(key, lambda client: self._range(client, key, begin, length))

        async for piece in windowed(range(start, size, PIECE), fetch, AHEAD):
            yield piece

    async def resume(self, key: str, size: int, taken: Hash) -> int:
        """Return 0: a bucket keeps nothing of an object that was begun."""
        del key, size, taken
        return 0

    async def put(self, key: str, size: int, start: int, pieces: AsyncIterator[Body]) -> None:
        """Write an object in parts, or in one request if it is one part; an error of `pieces` aborts it."""
        del start
        part = part_size(size)
        try:
            if size <= part:
                whole = b"".join([bytes(piece) async for piece in pieces])
                await self._put(key, whole)
            else:
                await obstore.put_async(
                    self._client(),
                    self._prefix + key,
                    pieces,
                    attributes=_CONTENT,
                    use_multipart=True,
                    chunk_size=part,
                    max_concurrency=max(1, IN_FLIGHT // part - 1),
                )
        except (BaseError, OSError, ValueError) as error:
            refusal = told(error, self.label, key)
            if isinstance(refusal, StoreRefused):
                self._held = None
            raise refusal from error

    async def forget(self, key: str, size: int) -> None:
        """Do nothing: a failed upload is aborted at once."""

    async def append(self, key: str, lines: bytes) -> None:
        """Write the lines as an object of their own, for a bucket cannot append."""
        await self._put(f"{key}-{uuid4().hex}", lines)

    async def settle(self) -> None:
        """Do nothing: a bucket answers when it has an object for good."""

    async def space(self) -> Space:
        """Return zeros: a bucket tells no bound."""
        return Space()

    async def prove(self) -> None:
        """Write an object, read it back, take it away."""
        key = f"{SCRATCH}proof-{uuid4().hex}"
        await self.write(key, b"proof")
        if await self.read(key, 16) != b"proof":
            raise StoreError(f"{self.label} does not give back what was written; look at its server")
        await self.delete(key)

    def holds(self, size: int, *, writing: bool) -> int:
        """Return the bytes of the parts, or of the pieces, that are on their way."""
        return min(size, IN_FLIGHT + part_size(size) if writing else (AHEAD + 1) * PIECE)

    async def close(self) -> None:
        """Let go of the client."""
        self._held = None
        self._readers.close()

    def _client(self) -> S3Store:
        if self._held is None:
            self._held = self._connect(self._place)
        return self._held

    def _object(self, meta: ObjectMeta) -> Object:
        etag = (meta["e_tag"] or "").strip('"')
        return Object(meta["path"][len(self._prefix) :], meta["size"], meta["last_modified"].timestamp(), etag)

    async def _call(self, key: str, call: Callable[[S3Store], Awaitable[T]]) -> T:
        waits = self._patience.waits()
        while True:
            try:
                return await call(self._client())
            except (BaseError, OSError, ValueError) as error:
                await self._bear(told(error, self.label, key), waits)

    async def _bear(self, error: StoreError, waits: Iterator[float]) -> None:
        """Wait and take fresh credentials; what no wait can mend, and what lasts, is raised."""
        wait = None if isinstance(error, ObjectMissing | StoreFull | OddKey) else next(waits, None)
        if wait is None:
            raise error
        await asyncio.sleep(wait)
        self._held = None

    async def _one(self, key: str, size: int) -> Body | StoreError:
        async with self._slots:
            try:
                return await self._call(key, lambda client: self._whole(client, key, size))
            except StoreError as error:
                return error

    async def _whole(self, client: S3Store, key: str, limit: int) -> Body:
        result = await obstore.get_async(client, self._prefix + key)
        if result.meta["size"] > limit:
            raise StoreError(f"{self.label}, {key} has more than {limit} bytes; it is not what its name says")
        return memoryview(await result.bytes_async())

    async def _serves_ranges(self, key: str) -> bool:
        # Some servers answer a range with 200 instead of 206, which the client takes for the whole object.
        if self._ranges is None:
            try:
                await self._call(key, lambda client: self._range(client, key, 0, 1))
            except StoreError as error:
                if "non-partial" not in str(error):
                    raise
                self._ranges = False
            else:
                self._ranges = True
        return self._ranges

    async def _streamed(self, key: str, start: int) -> AsyncIterator[Body]:
        result = await self._call(key, lambda client: obstore.get_async(client, self._prefix + key))
        skip = start
        try:
            async for chunk in result.stream(min_chunk_size=PIECE):
                view = memoryview(chunk)[skip:]
                skip = max(0, skip - len(chunk))
                if view:
                    yield view
        except (BaseError, OSError, ValueError) as error:
            raise told(error, self.label, key) from error

    async def _range(self, client: S3Store, key: str, start: int, length: int) -> Body:
        return memoryview(await obstore.get_range_async(client, self._prefix + key, start=start, length=length))

    async def _put(self, key: str, body: Body) -> None:
        async with self._slots:
            await self._call(
                key,
                lambda client: obstore.put_async(
                    client, self._prefix + key, body, attributes=_CONTENT, use_multipart=False
                ),
            )
