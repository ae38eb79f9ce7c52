"""Copies links, kind by kind in the order of the layout, so that nothing on the target names what is not there.

A link is copied only if it holds the digest that its key names; the link of a tag only if the target has the link of
that manifest among those the tag ever stood for, or, once the source rests, at least the manifest. Links of a damaged
blob are not copied. Neighbours: `copyscan` says which, `copy` copied the blobs. Not here: what a manifest names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from pawl.decide import layout
from pawl.decide.layout import EntryKind
from pawl.jobs.copy import BATCH, Ways
from pawl.jobs.copyscan import Scan
from pawl.jobs.copysets import Sizes, Spool
from pawl.jobs.copystore import Body, CopyStore, together
from pawl.jobs.store import ObjectMissing, StoreError

WORKERS: Final = 2


class Links:
    """Copies links. `there` holds the keys that are on the target and grows; `currents` what tags stand for there."""

    def __init__(self, ways: Ways, there: Sizes) -> None:
        self._ways = ways
        self._there = there
        self._currents = Sizes()
        self.postponed: list[str] = []
        """Tags that moved while they were copied: the next round takes them."""
        self.bare = Sizes()
        """Tags that are as they are at the source: without a link among those that the tag ever stood for."""

    def current(self, key: str) -> int | None:
        """Return the mark of what a tag's link was copied with."""
        return self._currents.get(key)

    async def follow(self, scan: Scan) -> int:
        """Delete links that have left the source, tags first: what is named must not go before what names it."""
        gone = {kind: Spool() for kind in layout.LINKS}
        async for page in self._ways.target.list(layout.REPOSITORIES):
            for each in page:
                kind = layout.parse(each.key).kind
                if kind in gone and each.key not in scan.keys:
                    gone[kind].add(each.key)
        for kind in reversed(layout.LINKS):
            for keys in chunks(gone[kind]):
                await self._ways.ledger.still_held()
                await self._ways.target.delete_many(keys)
                for key in keys:
                    self._there.drop(key)
            await self._ways.target.settle()
        return sum(map(len, gone.values()))

    async def copy(self, scan: Scan, damaged: Iterable[str]) -> None:
        """Copy what a scan says. Bad links are added to its faults."""
        self.postponed.clear()
        bad = frozenset(damaged)
        for kind in layout.LINKS:
            batches = chunks(scan.todo[kind])
            await together(*(self._each(kind, batches, scan, bad) for _ in range(WORKERS)))

    async def copy_bare(self, scan: Scan) -> None:
        """Copy tags that the server serves although the link that tells what they stood for is lost."""
        for keys in chunks(self.postponed):
            wanted = []
            for key, digest in await read_links(self._ways.source, keys):
                if layout.revision_link_key(layout.parse(key).repository, digest) in self._there:
                    wanted.append((key, digest))
                    self.bare.put(key, 0)
                else:
                    scan.spoilt(key, "its manifest is not there")
            await self._write(EntryKind.TAG_CURRENT_LINK, wanted)

    async def _each(self, kind: EntryKind, batches: Iterator[Sequence[str]], scan: Scan, bad: frozenset[str]) -> None:
        for keys in batches:
            bodies = await read_links(self._ways.source, keys)
            wanted = [(key, body) for key, body in bodies if self._fits(kind, key, body, scan, bad)]
            await self._write(kind, wanted)
            self._ways.gauge.done(len(keys), 0)

    async def _write(self, kind: EntryKind, wanted: Sequence[tuple[str, str]]) -> None:
        if wanted:
            await self._ways.ledger.still_held()
            await self._ways.target.write_many([(key, digest.encode()) for key, digest in wanted])
        for key, digest in wanted:
            self._there.put(key, len(digest))
            if kind is EntryKind.TAG_CURRENT_LINK:
                self._currents.put(key, mark(digest))

    def _fits(self, kind: EntryKind, key: str, digest: str, scan: Scan, bad: frozenset[str]) -> bool:
        entry = layout.parse(key)
        if not digest or entry.digest not in ("", digest):
            scan.spoilt(key, "not the digest that it must hold")
            return False
        if digest in bad:
            return False
        return kind is not EntryKind.TAG_CURRENT_LINK or self._moves(key, entry.repository, entry.tag, digest)

    def _moves(self, key: str, repository: str, tag: str, digest: str) -> bool:
        if layout.tag_index_key(repository, tag, digest) not in self._there:
            self.postponed.append(key)
            return False
        return key not in self._there or self._currents.get(key) != mark(digest)


async def read_links(store: CopyStore, keys: Sequence[str]) -> list[tuple[str, str]]:
    """Return key and digest of links, "" where a link holds none; those that are gone are left out."""
    bodies = await store.read_many([(key, layout.LINK_BYTES) for key in keys])
    return [(key, _digest(body)) for key, body in zip(keys, bodies, strict=True) if not isinstance(body, ObjectMissing)]


def mark(digest: str) -> int:
    """Return a number that stands for a digest: 63 bits of it."""
    return int(digest.rpartition(":")[2][:16], 16) >> 1


def chunks(lines: Iterable[str]) -> Iterator[Sequence[str]]:
    """Yield keys in batches."""
    rest = iter(lines)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _digest(body: Body | StoreError) -> str:
    if isinstance(body, StoreError):
        raise body
    return layout.linked(bytes(body))
