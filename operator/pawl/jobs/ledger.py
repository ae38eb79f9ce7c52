"""What a migration has proved, kept on the target itself: a worker that is killed loses at most what was in flight.

Below `.pawl/migration-<id>/`: `about` (JSON) when the target was taken, `done` (one JSON object a line: digest, size,
time), `complete` once all of it was verified. A line is written only after its blob has its name, and counts only while
a listing shows that blob in that size; a missing line costs one more hash of what is on the target, never a second read
of the source. `.pawl/worker` names the worker that writes now: one that was believed dead and comes back finds another
name there, and ends before it writes over what was pushed since.
Neighbours: `copy` writes lines, `copytarget` decides by them whose a target is. Not here:
hashing.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import msgspec

from pawl.decide import layout
from pawl.jobs.copysets import Sizes
from pawl.jobs.copystore import CopyStore
from pawl.jobs.store import StoreError

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_PREFIX: Final = f"{layout.OWN}migration-"
_LINE_BYTES: Final = 4096
_WORKER: Final = f"{layout.OWN}worker"


@dataclass(frozen=True, slots=True)
class Blob:
    """One blob as its key and a listing tell it."""

    digest: str
    size: int

    @property
    def key(self) -> str:
        """Return where it is."""
        return layout.blob_key(self.digest)


class _Line(msgspec.Struct):
    digest: str
    size: int
    time: float = 0.0


class About(msgspec.Struct):
    """What was known when a target was taken."""

    migration: str
    source: str
    taken: float


class Ledger:
    """The ledger of one migration on its target. `now` in seconds since the epoch."""

    def __init__(self, store: CopyStore, migration: str, now: Callable[[], float]) -> None:
        if not _ID.fullmatch(migration):
            raise StoreError(f"{migration!r} names no migration; give letters, digits, dots and dashes")
        self._store = store
        self._directory = f"{_PREFIX}{migration}/"
        self._id = migration
        self._now = now
        self._begun = False
        self._worker = uuid4().hex.encode()

    async def taken(self) -> bool:
        """Whether this migration took the target before."""
        return await self._store.stat(f"{self._directory}about") is not None

    async def take(self, source: str) -> None:
        """Say that the target belongs to this migration now."""
        about = About(self._id, source, self._now())
        await self._store.write(f"{self._directory}about", msgspec.json.encode(about))

    async def hold(self) -> None:
        """Say that this worker writes from here on, and no other."""
        await self._store.write(_WORKER, self._worker)

    async def still_held(self) -> None:
        """Raise StoreError where another worker writes by now."""
        if await self._store.read(_WORKER, _LINE_BYTES) != self._worker:
            raise StoreError(f"another worker writes to {self._store.label}; this one ends, look at that one")

    async def proved(self) -> Sizes:
        """Return digest and size of all that was proved so far."""
        sizes = Sizes()
        async for blob in _read(self._store, f"{self._directory}done"):
            sizes.put(blob.digest, blob.size)
        return sizes

    async def add(self, blobs: Sequence[Blob]) -> None:
        """Add what is there for good."""
        now = self._now()
        lines = [msgspec.json.encode(_Line(blob.digest, blob.size, now)) + b"\n" for blob in blobs]
        # A line end first, where the last worker may have died within a line.
        await self._store.append(f"{self._directory}done", b"" if not lines else self._start() + b"".join(lines))

    async def complete(self, objects: int, size: int) -> None:
        """Say that all was verified, and that no worker writes any more."""
        await self.still_held()
        body = msgspec.json.encode({"objects": objects, "bytes": size, "time": self._now()})
        await self._store.write(f"{self._directory}complete", body)
        await self._store.write(_WORKER, b"none")

    def _start(self) -> bytes:
        start, self._begun = (b"" if self._begun else b"\n"), True
        return start


def is_about(key: str) -> bool:
    """Whether a key says that a store was the target of a migration."""
    return key.startswith(_PREFIX) and key.endswith("/about")


async def recorded(store: CopyStore) -> AsyncIterator[Blob]:
    """Yield every blob that any migration ever brought to a store."""
    async for blob in _read(store, _PREFIX):
        yield blob


async def _read(store: CopyStore, prefix: str) -> AsyncIterator[Blob]:
    folder = layout.OWN
    async for page in store.list(folder):
        for found in page:
            if found.key.startswith(prefix) and found.key.rpartition("/")[2].startswith("done"):
                async for line in _lines(store, found.key, found.size):
                    if blob := _blob(line):
                        yield blob


async def _lines(store: CopyStore, key: str, size: int) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in store.pieces(key, 0, size):
        *lines, rest = (rest + bytes(piece)).split(b"\n")
        for line in lines:
            yield line


def _blob(line: bytes) -> Blob | None:
    # What a power cut leaves at the end of a log may be anything.
    try:
        found = msgspec.json.decode(line, type=_Line) if line and len(line) <= _LINE_BYTES else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return Blob(found.digest, found.size) if found and layout.is_digest(found.digest) and found.size >= 0 else None
