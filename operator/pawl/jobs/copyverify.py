"""Proves a copy before it is served: against the ledger, against the source, link by link, manifest by manifest.

Nothing that the copy remembers is trusted here but the ledger, and a deep look does not trust that either: it hashes
each blob of the target again, from the disk itself. Damage that the source has too is no fault of the copy; it is
counted apart. Neighbours: `migrate` copies again what is found wrong here. Not here: repair.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from pawl.api.registrystorage_spec import Verify
from pawl.decide import layout
from pawl.decide.layout import EntryKind
from pawl.decide.manifestgraph import Descriptor, Manifest
from pawl.jobs.copy import BATCHES, Ways, batched, digest_of, is_small, sorted_out
from pawl.jobs.copylinks import Links, chunks, mark, read_links
from pawl.jobs.copymanifests import manifests
from pawl.jobs.copyscan import Faults, Scan
from pawl.jobs.copysets import Spool
from pawl.jobs.copystore import together
from pawl.jobs.copytarget import Held, held
from pawl.jobs.ledger import Blob
from pawl.jobs.store import StoreError


@dataclass(slots=True)
class Findings:
    """What is wrong with a copy. `old` is wrong at the source as well."""

    blobs: Faults = field(default_factory=Faults)
    """Missing, of another size, or in no ledger."""
    links: Faults = field(default_factory=Faults)
    graph: Faults = field(default_factory=Faults)
    source: Faults = field(default_factory=Faults)
    """What changed at the source, which was to rest: nobody knows what else was pushed there."""
    old: Faults = field(default_factory=Faults)
    wrong: list[Blob] = field(default_factory=list)
    """Blobs of the target that have other bytes than their name says."""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        faults = (self.blobs, self.links, self.graph, self.source)
        return not (any(each.count for each in faults) or self.wrong)

    def __str__(self) -> str:
        parts = [
            ("blobs missing", self.blobs),
            ("links wrong", self.links),
            ("references that lead nowhere", self.graph),
            ("changes at the source, which was to be read-only", self.source),
        ]
        told = [f"{faults.count} {what}: {faults}" for what, faults in parts if faults.count]
        return "; ".join(told + [f"{len(self.wrong)} blobs with other bytes than their name says"] * bool(self.wrong))


class Verifier:
    """Looks once over source and target. `scan` is the newest of the source, whose server is read-only by now."""

    def __init__(self, ways: Ways, links: Links, scan: Scan) -> None:
        self._ways, self._links, self._scan = ways, links, scan
        self.findings = Findings()
        self.count = 0
        self.bytes = 0

    async def run(self, verify: Verify) -> Findings:
        """Look at everything."""
        there = await held(self._ways.target, await self._ways.ledger.proved())
        await self._blobs(there)
        await self._sources_links(there)
        await self._target_links(there)
        await self._graph(there)
        if verify is Verify.DEEP and self.findings.sound:
            self._ways.gauge.enter("Verify", "reading every byte of the target once more")
            await self.deep()
        return self.findings

    async def deep(self) -> None:
        """Hash every blob of the source's list on the target."""
        large: list[Blob] = []
        small = Spool()
        async for blob in self._listed():
            if is_small(blob):
                small.add(f"{blob.digest} {blob.size}")
            else:
                large.append(blob)
        batches = batched(Blob(*_pair(line)) for line in small)
        streams = iter(large)
        workers = (self._hash_each(streams) for _ in range(min(2, self._ways.parallel)))
        await together(*workers, *(self._hash_batches(batches) for _ in range(BATCHES)))

    async def _blobs(self, there: Held) -> None:
        async for blob in self._listed():
            self.count += 1
            self.bytes += blob.size
            if there.proved.get(blob.digest) != blob.size:
                self.findings.blobs.add(blob.digest)
        if (self.count, self.bytes) != (self._scan.blobs, self._scan.bytes):
            before = f"{self._scan.blobs} with {self._scan.bytes} bytes before"
            self.findings.source.add(f"{self.count} blobs with {self.bytes} bytes, {before}")

    async def _listed(self) -> AsyncIterator[Blob]:
        async for page in self._ways.source.list(layout.BLOBS):
            for each in page:
                entry = layout.parse(each.key)
                if entry.kind is EntryKind.BLOB:
                    yield Blob(entry.digest, each.size)

    async def _sources_links(self, there: Held) -> None:
        count, currents = 0, Spool()
        async for page in self._ways.source.list(layout.REPOSITORIES):
            for each in page:
                kind = layout.parse(each.key).kind
                count += kind in layout.LINKS
                if kind not in layout.LINKS or each.key in self._scan.broken:
                    continue
                if each.key not in there.links:
                    self.findings.links.add(each.key)
                elif kind is EntryKind.TAG_CURRENT_LINK:
                    currents.add(each.key)
        if count != len(self._scan.keys):
            self.findings.source.add(f"{count} links, {len(self._scan.keys)} before")
        await self._sources_tags(currents)

    async def _sources_tags(self, currents: Spool) -> None:
        # A push that moves a tag to what it stood for once changes these bytes and nothing else.
        for keys in chunks(currents):
            for key, digest in await read_links(self._ways.source, keys):
                if not digest or self._links.current(key) != mark(digest):
                    self.findings.source.add(f"{key} has moved")

    async def _target_links(self, there: Held) -> None:
        spool = Spool()
        async for page in self._ways.target.list(layout.REPOSITORIES):
            for each in page:
                if layout.parse(each.key).kind in layout.LINKS:
                    spool.add(each.key)
        for keys in chunks(spool):
            for key, digest in await read_links(self._ways.target, keys):
                if not self._link_holds(there, key, digest):
                    self.findings.links.add(key)

    def _link_holds(self, there: Held, key: str, digest: str) -> bool:
        entry = layout.parse(key)
        if key not in self._scan.keys or not digest:
            return False
        if entry.kind is not EntryKind.TAG_CURRENT_LINK:
            return digest == entry.digest
        # What the source's link was when it was copied, its server being read-only by then.
        same = self._links.current(key) == mark(digest) or key in self._scan.broken
        index = layout.tag_index_key(entry.repository, entry.tag, digest)
        return same and (key in self._links.bare or index in there.links)

    async def _graph(self, there: Held) -> None:
        async for repository, digest, manifest in manifests(self._ways.target):
            name = f"{repository}@{digest}"
            if isinstance(manifest, str):
                await self._blame(Descriptor(digest, 0), f"{name} ({manifest})", there)
                continue
            for wanted in _needed(manifest):
                found = there.proved.get(wanted.digest)
                if found is None or (not manifest.schema1 and found != wanted.size):
                    await self._blame(wanted, f"{name} needs {wanted.digest}", there)

    async def _blame(self, wanted: Descriptor, told: str, there: Held) -> None:
        # The copy is at fault only for what the source has and the target has not.
        size = there.proved.get(wanted.digest)
        at_source = await self._ways.source.stat(layout.blob_key(wanted.digest))
        alike = at_source.size == size if at_source and size is not None else at_source is None
        (self.findings.old if alike else self.findings.graph).add(told)

    async def _hash_each(self, blobs: Iterator[Blob]) -> None:
        for blob in blobs:
            if await digest_of(self._ways.target, blob, self._ways.gauge, cold=True) != blob.digest:
                self.findings.wrong.append(blob)

    async def _hash_batches(self, batches: Iterator[list[Blob]]) -> None:
        for batch in batches:
            bodies = await self._ways.target.read_many([(blob.key, blob.size) for blob in batch], cold=True)
            read = sum(0 if isinstance(body, StoreError) else len(body) for body in bodies)
            self._ways.gauge.pass_by(read, fetched=False)
            _, wrong = await asyncio.to_thread(sorted_out, batch, bodies)
            self.findings.wrong += wrong


def _needed(manifest: Manifest) -> Iterator[Descriptor]:
    yield from manifest.children
    yield from (blob for blob in manifest.blobs if not blob.foreign)


def _pair(line: str) -> tuple[str, int]:
    digest, _, size = line.partition(" ")
    return digest, int(size)
