"""Lists a source once and says what is to be copied, in the order in which it may be written.

Links are listed before blobs: the blobs that a link needs were there before the link, so a list of blobs that was begun
later holds them. What is pushed meanwhile is found by the next round. Neighbours: `copy` and `copylinks` copy it,
`copytarget` knows what is there already. Not here: reading bodies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from pawl.decide import layout
from pawl.decide.layout import EntryKind
from pawl.jobs.copy import is_small
from pawl.jobs.copysets import Sizes, Spool
from pawl.jobs.ledger import Blob
from pawl.jobs.store import Object, Store

SHOWN: Final = 20


@dataclass(slots=True)
class Faults:
    """What was found wrong at the source: the first names, and how many there are."""

    shown: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, text: str) -> None:
        """Add one."""
        self.count += 1
        if len(self.shown) < SHOWN:
            self.shown.append(text)

    def __str__(self) -> str:
        more = f" and {self.count - len(self.shown)} more" if self.count > len(self.shown) else ""
        return ", ".join(self.shown) + more


@dataclass(slots=True)
class Scan:
    """What a source holds, and what of it is to be copied."""

    blobs: int = 0
    bytes: int = 0
    largest: int = 0
    links: int = 0
    large: list[Blob] = field(default_factory=list)
    small: Spool = field(default_factory=Spool)
    small_bytes: int = 0
    todo: dict[EntryKind, Spool] = field(default_factory=lambda: {kind: Spool() for kind in layout.LINKS})
    keys: Sizes = field(default_factory=Sizes)
    """Keys of all links, sound or not: what the target has beyond them has left the source."""
    broken: Sizes = field(default_factory=Sizes)
    """Of these, the links that hold no digest, or another one than they must: they are not copied."""
    faults: Faults = field(default_factory=Faults)

    @property
    def todo_bytes(self) -> int:
        """Return the bytes that are to be copied."""
        return self.small_bytes + sum(blob.size for blob in self.large)

    @property
    def todo_blobs(self) -> int:
        """Return how many blobs are to be copied."""
        return len(self.small) + len(self.large)

    def spoilt(self, key: str, why: str) -> None:
        """Note a link that cannot be copied."""
        self.broken.put(key, 0)
        self.faults.add(f"{key} ({why})")

    def large_first(self) -> Iterator[Blob]:
        """Yield the large blobs, the largest first: the longest stream must not begin last."""
        return iter(sorted(self.large, key=lambda blob: -blob.size))

    def small_ones(self) -> Iterator[Blob]:
        """Yield the small blobs as they were listed."""
        for line in self.small:
            digest, _, size = line.partition(" ")
            yield Blob(digest, int(size))


async def scan(source: Store, proved: Sizes, there: Sizes) -> Scan:
    """List a source. `proved`: blobs that need no copy; `there`: links that need none."""
    found = Scan()
    async for page in source.list(layout.REPOSITORIES):
        for each in page:
            _link(found, each, there)
    async for page in source.list(layout.BLOBS):
        for each in page:
            _blob(found, each, proved)
    return found


def _link(found: Scan, each: Object, there: Sizes) -> None:
    entry = layout.parse(each.key)
    if entry.kind not in layout.LINKS:
        if entry.kind is EntryKind.OTHER and each.key.endswith("/link"):
            found.faults.add(f"{each.key} (in a place where no server writes)")
        return
    current = entry.kind is EntryKind.TAG_CURRENT_LINK
    found.keys.put(each.key, each.size)
    if each.size != len(entry.digest) and not (current and 0 < each.size <= layout.LINK_BYTES):
        found.spoilt(each.key, f"{each.size} bytes")
        return
    found.links += 1
    # What a tag stands for changes without a change of its key or size: it is read in every round.
    if current or each.key not in there:
        found.todo[entry.kind].add(each.key)


def _blob(found: Scan, each: Object, proved: Sizes) -> None:
    entry = layout.parse(each.key)
    if entry.kind is not EntryKind.BLOB:
        return
    found.blobs += 1
    found.bytes += each.size
    found.largest = max(found.largest, each.size)
    blob = Blob(entry.digest, each.size)
    if proved.get(entry.digest) == each.size:
        return
    if is_small(blob):
        found.small.add(f"{blob.digest} {blob.size}")
        found.small_bytes += blob.size
    else:
        found.large.append(blob)
