"""Takes a target for a migration: what it holds, whether it may be used, and whether all fits.

A target that holds a registry is refused, for its tags would be deleted as surplus. It is taken all the same if it
took part in this migration before, or if every blob that it names is in the source or in a ledger on the source: then
it holds nothing that the source never had. That is what a store is that a way back leads to, and what a migration
that was given up left behind; it needs no mark on a store that must stay as it was. Where no move was ever made from or
to either of them, each link must be in the source, too: a registry of its own may share every blob. What such a store
holds counts only after it was hashed once. Neighbours: `migrate` asks, `preflight` finds what is wrong with a source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pawl.api.reasons import Reason
from pawl.decide import layout
from pawl.decide.layout import EntryKind
from pawl.jobs.copyscan import Faults, Scan
from pawl.jobs.copysets import Sizes
from pawl.jobs.copystore import MIB, SCRATCH, CopyStore
from pawl.jobs.ledger import is_about, recorded
from pawl.jobs.store import Space, Store, StoreError

_RESERVE: Final = 1024 * MIB
_INODES: Final = 2.4
"""Inodes a blob or link takes: itself, a directory of its own, and some that it shares."""


class Halt(StoreError):
    """A migration that must not go on; `reason` is a word of `api.reasons`."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Held:
    """What a target holds. `proved`: by the ledger, and still there in its size; `unproved`: by nothing yet."""

    proved: Sizes
    unproved: Sizes
    links: Sizes


async def held(target: Store, proved: Sizes) -> Held:
    """List a target against its ledger."""
    found = Held(Sizes(), Sizes(), Sizes())
    async for page in target.list(layout.ROOT + "/"):
        for each in page:
            entry = layout.parse(each.key)
            if entry.kind in layout.LINKS:
                found.links.put(each.key, each.size)
            elif entry.kind is EntryKind.BLOB:
                known = proved.get(entry.digest) == each.size
                (found.proved if known else found.unproved).put(entry.digest, each.size)
    return found


async def may_take(source: CopyStore, target: CopyStore) -> None:
    """Raise Halt(TargetNotEmpty) where a target holds what the source never had."""
    strangers = Faults()
    known: Sizes | None = None
    moved = await _has_moved(source) or await _has_moved(target)
    async for page in target.list(layout.ROOT + "/"):
        for each in page:
            entry = layout.parse(each.key)
            if entry.kind is EntryKind.BLOB or entry.kind in layout.LINKS:
                known = known or await _ever_had(source)
                alien = entry.digest not in known if entry.digest else False
                if alien or (not moved and entry.kind in layout.LINKS and each.key not in known):
                    strangers.add(each.key)
    if strangers.count:
        raise Halt(
            Reason.TARGET_NOT_EMPTY,
            f"{target.label} holds another registry: {strangers.count} objects that the source never had, such as "
            f"{strangers.shown[0]}; empty it, or name another",
        )


async def _has_moved(store: CopyStore) -> bool:
    return any([is_about(each.key) async for page in store.list(layout.OWN) for each in page])


async def _ever_had(source: CopyStore) -> Sizes:
    known = Sizes()
    async for page in source.list(layout.BLOBS):
        for each in page:
            known.put(layout.parse(each.key).digest, each.size)
    async for page in source.list(layout.REPOSITORIES):
        for each in page:
            known.put(each.key, 0)
    async for blob in recorded(source):
        known.put(blob.digest, blob.size)
    return known


async def clear(target: CopyStore, keep: str = "") -> None:
    """Take away half-written objects that a worker left behind, but for those whose names end with `keep`."""
    async for page in target.list(SCRATCH):
        await target.delete_many([each.key for each in page if not keep or not each.key.endswith(keep)])


def fits(scan: Scan, there: Held, room: Space) -> str:
    """Return why all that is missing does not fit, "" where it does."""
    missing = _missing(scan, there)
    reserve = min(_RESERVE, room.capacity // 50)
    need = int(missing * 1.10) + scan.largest * (missing > 0) + reserve
    if room.capacity and need > room.free:
        return f"needs {need} bytes free ({missing} to copy, a tenth more, and the largest blob), has {room.free}"
    links = max(0, scan.links - len(there.links))
    inodes = int(_INODES * (scan.todo_blobs + links))
    if room.inodes and inodes > room.inodes_free:
        return f"needs {inodes} inodes free, has {room.inodes_free}"
    return ""


def _missing(scan: Scan, there: Held) -> int:
    return max(0, scan.todo_bytes - there.unproved.total)
