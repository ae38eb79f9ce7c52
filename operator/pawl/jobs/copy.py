"""Copies blobs: every byte is hashed against the name of its blob while it goes by, and nothing else counts as copied.

Large blobs go first, as streams, several at once as far as memory allows; small ones beside them in batches, because
each costs a round trip and not bandwidth. A blob whose bytes are not what its name says is tried twice more and then
put into quarantine; the others go on. What is on the target already but in no ledger is proved by one hash there.
Neighbours: `copylinks` copies links, `copyscan` says what is missing, `ledger` keeps what is proved.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from pawl.jobs.copygauge import Gauge
from pawl.jobs.copysets import Sizes
from pawl.jobs.copystore import MIB, PATIENT, SMALL, Body, CopyStore, Damaged, Hash, Patience, together
from pawl.jobs.ledger import Blob, Ledger
from pawl.jobs.store import ObjectMissing, StoreError, StoreFull

TRIES: Final = 3
BATCH: Final = 1000
BATCH_BYTES: Final = 8 * MIB
BATCHES: Final = 2
MEMORY: Final = 64 * MIB


@dataclass(frozen=True, slots=True)
class Ways:
    """From where, to where, and with what."""

    source: CopyStore
    target: CopyStore
    ledger: Ledger
    gauge: Gauge
    parallel: int = 4
    patience: Patience = PATIENT


class Budget:
    """Memory that streams share."""

    def __init__(self, total: int) -> None:
        self._total = self._free = total
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def room(self, wanted: int) -> AsyncIterator[None]:
        """Wait until there is room. One that wants more than all gets all."""
        share = min(wanted, self._total)
        async with self._changed:
            await self._changed.wait_for(lambda: self._free >= share)
            self._free -= share
        try:
            yield
        finally:
            async with self._changed:
                self._free += share
                self._changed.notify_all()


class Copier:
    """Copies blobs and keeps account. `proved` grows; `unproved` is what the target holds that no ledger knows."""

    def __init__(self, ways: Ways, proved: Sizes, unproved: Sizes) -> None:
        self._ways = ways
        self._proved = proved
        self._unproved = unproved
        self._memory = Budget(MEMORY)
        self.damaged: list[str] = []

    async def blobs(self, large: Iterable[Blob], small: Iterable[Blob]) -> None:
        """Copy all. What is damaged is in `damaged` afterwards; what is gone from the source is passed over."""
        streams, batches = iter(large), batched(small)
        await together(
            *(self._each(streams) for _ in range(self._ways.parallel)),
            *(self._each_batch(batches) for _ in range(BATCHES)),
        )

    async def _each(self, blobs: Iterator[Blob]) -> None:
        for blob in blobs:
            await self._one(blob)

    async def _each_batch(self, batches: Iterator[list[Blob]]) -> None:
        for batch in batches:
            await self._batch(batch)

    async def _one(self, blob: Blob) -> None:
        source, target = self._ways.source, self._ways.target
        wanted = source.holds(blob.size, writing=False) + target.holds(blob.size, writing=True)
        async with self._memory.room(wanted):
            if await self._is_there(blob) or await self._stream(blob):
                await self._prove([blob])

    async def _is_there(self, blob: Blob) -> bool:
        if self._unproved.get(blob.digest) != blob.size:
            return False
        found = await digest_of(self._ways.target, blob, self._ways.gauge)
        return found == blob.digest

    async def _stream(self, blob: Blob) -> bool:
        tries, waits = TRIES, self._ways.patience.waits()
        while tries:
            resumed = 0
            taken = new_hash(blob.digest)
            try:
                resumed = await self._ways.target.resume(blob.key, blob.size, taken)
                await self._put(blob, resumed, taken)
            except Damaged:
                await self._ways.target.forget(blob.key, blob.size)
                # The fault may lie in what was resumed: that is no try of the source.
                tries -= 0 if resumed else 1
            except ObjectMissing:
                return False
            except StoreFull:
                raise
            except StoreError as error:
                await _bear(error, waits)
            else:
                return True
        self.damaged.append(blob.digest)
        self._ways.gauge.quarantine.append(blob.digest)
        return False

    async def _put(self, blob: Blob, start: int, taken: Hash) -> None:
        source, target, gauge = self._ways.source, self._ways.target, self._ways.gauge
        pieces = checked(source.pieces(blob.key, start, blob.size), blob, start, taken, gauge)
        await target.put(blob.key, blob.size, start, pieces)

    async def _batch(self, batch: Sequence[Blob]) -> None:
        there = [blob for blob in batch if self._unproved.get(blob.digest) == blob.size]
        proved, _ = await self._read(self._ways.target, there, fetched=False)
        known = {blob.digest for blob, _ in proved}
        sound, rest = await self._read(self._ways.source, [blob for blob in batch if blob.digest not in known])
        if sound:
            await self._ways.target.write_many([(blob.key, body) for blob, body in sound])
        await self._prove([blob for blob, _ in (*proved, *sound)])
        for blob in rest:
            await self._one(blob)

    async def _read(
        self, store: CopyStore, blobs: Sequence[Blob], *, fetched: bool = True
    ) -> tuple[list[tuple[Blob, Body]], list[Blob]]:
        bodies = await store.read_many([(blob.key, blob.size) for blob in blobs]) if blobs else []
        read = sum(0 if isinstance(body, StoreError) else len(body) for body in bodies)
        self._ways.gauge.pass_by(read, fetched=fetched)
        return await asyncio.to_thread(sorted_out, blobs, bodies)

    async def _prove(self, blobs: Sequence[Blob]) -> None:
        if blobs:
            if any(blob.digest in self._unproved for blob in blobs):
                # In place of other bytes of that size, or never synced: a power cut must not show those as proved.
                await self._ways.target.settle()
            await self._ways.ledger.add(blobs)
            for blob in blobs:
                self._proved.put(blob.digest, blob.size)
            self._ways.gauge.done(len(blobs), sum(blob.size for blob in blobs))


def new_hash(digest: str) -> Hash:
    """Return a fresh hash of the algorithm of a digest."""
    return hashlib.new(digest.partition(":")[0], usedforsecurity=False)


async def checked(
    pieces: AsyncIterator[Body], blob: Blob, start: int, taken: Hash, gauge: Gauge
) -> AsyncIterator[Body]:
    """Pass pieces on, hashed while they are written. Ends with Damaged unless all of them are the blob."""
    count = start
    async for piece in pieces:
        hashing = asyncio.ensure_future(asyncio.to_thread(taken.update, piece))
        try:
            yield piece
        finally:
            await hashing
        count += len(piece)
        gauge.pass_by(len(piece))
    if count != blob.size or taken.hexdigest() != blob.digest.partition(":")[2]:
        raise Damaged(f"{blob.key} has other bytes than its name says; push its image again")


async def digest_of(store: CopyStore, blob: Blob, gauge: Gauge, *, cold: bool = False) -> str:
    """Return the digest of what a store holds for a blob, "" where it holds nothing that can be read."""
    taken = new_hash(blob.digest)
    try:
        async for piece in store.pieces(blob.key, 0, blob.size, cold=cold):
            await asyncio.to_thread(taken.update, piece)
            gauge.pass_by(len(piece), fetched=False)
    except (ObjectMissing, Damaged):
        return ""
    return f"{blob.digest.partition(':')[0]}:{taken.hexdigest()}"


def sorted_out(
    blobs: Sequence[Blob], bodies: Sequence[Body | StoreError]
) -> tuple[list[tuple[Blob, Body]], list[Blob]]:
    """Part blobs whose bytes are what their name says from the rest."""
    sound: list[tuple[Blob, Body]] = []
    rest: list[Blob] = []
    for blob, body in zip(blobs, bodies, strict=True):
        if not isinstance(body, StoreError) and len(body) == blob.size and _is(blob, body):
            sound.append((blob, body))
        else:
            rest.append(blob)
    return sound, rest


def batched(blobs: Iterable[Blob]) -> Iterator[list[Blob]]:
    """Yield batches that are bounded in number and in bytes."""
    batch: list[Blob] = []
    room = BATCH_BYTES
    for blob in blobs:
        if batch and (len(batch) == BATCH or blob.size > room):
            yield batch
            batch, room = [], BATCH_BYTES
        batch.append(blob)
        room -= blob.size
    if batch:
        yield batch


def is_small(blob: Blob) -> bool:
    """Whether a blob is copied in a batch."""
    return blob.size <= SMALL


def _is(blob: Blob, body: Body) -> bool:
    taken = new_hash(blob.digest)
    taken.update(body)
    return taken.hexdigest() == blob.digest.partition(":")[2]


async def _bear(error: StoreError, waits: Iterator[float]) -> None:
    wait = next(waits, None)
    if wait is None:
        raise error
    await asyncio.sleep(wait)
