"""Proof that a registry is whole, from its store alone: works on any registry of distribution, served or not.

The graph: every link holds the digest in its path, every tag stands for a manifest of its repository, every manifest
can be read, and what it refers to is there with the size that it says. Deep: every blob is read once and hashed.
Neighbours: `inventory` and `graph` find faults in what is read; `pawl registry verify` and the Jobs of migrations ask
here. Not here: repair.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pawl.api.errors import InputError
from pawl.api.reasons import Reason
from pawl.api.registrystorage_spec import Verify
from pawl.api.registrywork import Order, Progress, Report, Task
from pawl.decide.compact import SCHEMA_1_SAID, Digest, unpack
from pawl.decide.layout import LINK_BYTES, blob_key, layer_link_key, tag_index_key
from pawl.jobs.copystore import SMALL, CopyStore
from pawl.jobs.graph import breaks
from pawl.jobs.inventory import Inventory, read_inventory
from pawl.jobs.open import open_store
from pawl.jobs.readahead import Wanted, each, read_all
from pawl.jobs.store import ObjectMissing

Advance = Callable[[Progress], None]

SHOWN: Final = 20
_LINKS: Final = 32  # links that are read at once
_HASHED: Final = 4  # blobs that are hashed at once, and one for each core beyond


@dataclass(slots=True)
class Findings:
    """What a walk found. `broken` holds one sentence for each fault, sorted."""

    repositories: int = 0
    tags: int = 0
    manifests: int = 0
    blobs: int = 0
    bytes: int = 0
    uploads: int = 0
    deep: bool = False
    broken: list[str] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)
    """Digests of blobs whose bytes are not theirs; `broken` has a sentence for each of them, too."""
    schema1: list[str] = field(default_factory=list)
    """Digests of manifests in Docker's first format, which distribution 3 cannot read; `broken` has them, too."""
    unreferenced: int = 0
    """Bytes of blobs that no manifest refers to: a collection would free them."""

    @property
    def ok(self) -> bool:
        """Whether nothing is broken."""
        return not self.broken


async def verify(order: Order, tell: Callable[[Report], None]) -> Report:
    """Walk the target of an order, or its source where it has no target. Raises StoreError and InputError."""
    place = order.target or order.source
    if place is None:
        raise InputError(f"order {order.id}: a verification needs `target` or `source`, the store that it is about")
    store = open_store(place)
    try:
        found = await walk(store, order.verify is Verify.DEEP, lambda progress: tell(_underway(order, progress)))
    finally:
        await store.close()
    return _report(order, found)


def _underway(order: Order, progress: Progress) -> Report:
    return Report(task=Task.VERIFY, id=order.id, phase="Hashing", progress=progress)


def _report(order: Order, found: Findings) -> Report:
    how = "every blob was read" if found.deep else "blobs were not read"
    whole = f"{found.tags} tags, {found.manifests} manifests and {found.blobs} blobs are whole ({how})"
    more = f", and {len(found.broken) - 1} more faults" if len(found.broken) > 1 else ""
    reason = "" if found.ok else str(Reason.GRAPH_BROKEN)
    return Report(
        task=Task.VERIFY,
        id=order.id,
        done=True,
        ok=found.ok,
        reason=reason,
        message=whole if found.ok else f"{found.broken[0]}{more}; push what is broken again, or delete its tags",
        progress=Progress(objects=found.blobs, objects_done=found.blobs, bytes=found.bytes, bytes_done=found.bytes),
        quarantine=found.broken[:SHOWN],
    )


async def walk(store: CopyStore, deep: bool, advance: Advance = lambda _: None) -> Findings:  # noqa: FBT001 - a surface
    """Walk a registry. Raises StoreError where the store cannot be read at all."""
    inventory = await read_inventory(store)
    found = _counted(inventory, deep=deep)
    wrong = set(breaks(inventory))
    wrong.update(await _links(store, inventory))
    if deep:
        found.corrupt = await _Deep(store, inventory, advance).hash_all()
        wrong.update(f"{blob_key(digest)}: its bytes are not those of {digest}" for digest in found.corrupt)
    found.broken = sorted(wrong)
    return found


def _counted(inventory: Inventory, *, deep: bool) -> Findings:
    named = {digest for held in inventory.repositories.values() for digest in held.revisions}
    marked = set(named)
    for node in inventory.nodes.values():
        marked.update(node.children, node.blobs)
    return Findings(
        repositories=len(inventory.repositories),
        tags=inventory.tags,
        manifests=len(named),
        blobs=len(inventory.blobs),
        bytes=inventory.bytes,
        uploads=len(inventory.uploads),
        deep=deep,
        schema1=sorted(unpack(digest) for digest, why in inventory.opaque.items() if why == SCHEMA_1_SAID),
        unreferenced=sum(size for digest, size in inventory.blobs.items() if digest not in marked),
    )


async def _links(store: CopyStore, inventory: Inventory) -> list[str]:
    """Read the links that an inventory does not: of layers, and of what tags stood for."""
    wrong = list[str]()

    def take(item: tuple[str, Digest], body: bytes) -> None:
        key, digest = item
        if body and body != unpack(digest).encode():
            wrong.append(f"{key}: it holds {body[:100].decode('ascii', 'replace')!r}")

    for name, held in inventory.repositories.items():
        links = [(layer_link_key(name, unpack(digest)), digest) for digest in held.layers]
        for tag, digests in held.index.items():
            links += [(tag_index_key(name, tag, unpack(digest)), digest) for digest in digests]
        await read_all(store, (Wanted(link, link[0], LINK_BYTES) for link in links), take, _LINKS)
    return wrong


class _Deep:
    """Hashes every blob, the largest first, so that the last one is no straggler."""

    def __init__(self, store: CopyStore, inventory: Inventory, advance: Advance) -> None:
        self._store, self._blobs, self._advance = store, inventory.blobs, advance
        self._done = Progress(objects=len(inventory.blobs), bytes=inventory.bytes)
        self._corrupt: list[str] = []
        self._began = time.monotonic()

    async def hash_all(self) -> list[str]:
        """Return the digests whose bytes are others, sorted. Raises StoreError."""
        sizes = sorted(self._blobs, key=lambda digest: self._blobs[digest], reverse=True)
        small = [digest for digest in sizes if self._blobs[digest] <= SMALL]
        large = sizes[: len(sizes) - len(small)]
        await each(large, self._stream, max(_HASHED, os.cpu_count() or 1))
        wanted = (Wanted(digest, blob_key(unpack(digest)), self._blobs[digest]) for digest in small)
        await read_all(self._store, wanted, self._take, _LINKS)
        return sorted(self._corrupt)

    async def _stream(self, digest: Digest) -> None:
        running, key = _hash_of(digest), blob_key(unpack(digest))
        try:
            async for piece in self._store.pieces(key, 0, self._blobs[digest], cold=True):
                await asyncio.to_thread(running.update, piece)
                self._move(0, len(piece))
        except ObjectMissing:
            running = _hash_of(digest)
        self._settle(digest, running.digest())

    def _take(self, digest: Digest, body: bytes) -> None:
        running = _hash_of(digest)
        running.update(body)
        self._settle(digest, running.digest())
        self._move(0, len(body))

    def _settle(self, digest: Digest, found: bytes) -> None:
        if found != digest:
            self._corrupt.append(unpack(digest))
        self._move(1, 0)

    def _move(self, objects: int, size: int) -> None:
        done, spent = self._done, time.monotonic() - self._began
        moved = done.bytes_done + size
        rate = int(moved / spent) if spent > 0 else 0
        left = int((done.bytes - moved) / rate) if rate else None
        change = {"objects_done": done.objects_done + objects, "bytes_done": moved, "bytes_per_second": rate}
        self._done = done.model_copy(update={**change, "eta_seconds": left})
        self._advance(self._done)


def _hash_of(digest: Digest) -> hashlib._Hash:
    return hashlib.new(unpack(digest).partition(":")[0])
