"""Reads every manifest of a store that some repository holds, tagged or not.

Neighbours: `preflight` looks for formats that the server cannot read, `copyverify` for references that lead nowhere.
Not here: tags and retention (`inventory`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from pawl.decide import layout
from pawl.decide.layout import EntryKind
from pawl.decide.manifestgraph import MAX_MANIFEST, Manifest, references
from pawl.jobs.copysets import Sizes
from pawl.jobs.copystore import Body, CopyStore
from pawl.jobs.store import StoreError

AT_ONCE: Final = 24
"""Manifests in memory at once: most have a few KiB, each may have 4 MiB."""


async def manifests(store: CopyStore) -> AsyncIterator[tuple[str, str, Manifest | str]]:
    """Yield repository and digest of each manifest, once, and what it is or why it cannot be read."""
    seen, batch = Sizes(), list[tuple[str, str]]()
    async for page in store.list(layout.REPOSITORIES):
        for each in page:
            entry = layout.parse(each.key)
            if entry.kind is EntryKind.REVISION_LINK and each.size == len(entry.digest) and entry.digest not in seen:
                seen.put(entry.digest, 0)
                batch.append((entry.repository, entry.digest))
            if len(batch) == AT_ONCE:
                async for found in _read(store, batch):
                    yield found
                batch = []
    async for found in _read(store, batch):
        yield found


async def _read(store: CopyStore, batch: list[tuple[str, str]]) -> AsyncIterator[tuple[str, str, Manifest | str]]:
    bodies = await store.read_many([(layout.blob_key(digest), MAX_MANIFEST) for _, digest in batch])
    for (repository, digest), body in zip(batch, bodies, strict=True):
        yield repository, digest, _manifest(body)


def _manifest(body: Body | StoreError) -> Manifest | str:
    if isinstance(body, StoreError):
        return str(body)
    try:
        return references(None, bytes(body))
    except ValueError as error:
        return str(error)
