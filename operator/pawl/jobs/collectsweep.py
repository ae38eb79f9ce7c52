"""What a collection deletes itself, and in which order; the blobs are the server's collector's.

A tag loses its current link first, so that it is gone at once, then the links of what it stood for; a manifest goes
after the indexes over it. Markers are for the server's collector: it stops where a directory that it wants to list is
not there. Neighbours: `collect` calls, `collectplan` says what goes. Not here: whether anything may go.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from pawl.api.registrywork import Place
from pawl.decide.compact import Digest, Node, unpack
from pawl.decide.layout import (
    BLOBS,
    REPOSITORIES,
    ROOT,
    layer_link_key,
    revision_link_key,
    tag_current_key,
    tag_index_key,
)
from pawl.decide.retention import Judged
from pawl.jobs.collectplan import Draft
from pawl.jobs.copystore import CopyStore
from pawl.jobs.inventory import Held, Inventory, list_inventory

_MARKER: Final = ".pawl"
_TAGS: Final = 50
"""Tags a batch: so many at most are half deleted when a kill comes."""
_LINKS: Final = 500


def removals(inventory: Inventory, draft: Draft) -> Iterator[list[str]]:
    """Yield keys in batches: each batch may be deleted in any order once those before it are gone."""
    for name, judged in sorted(draft.judged.items()):
        held = inventory.repositories[name]
        for some in _batches([verdict.tag for verdict in judged.verdicts if not verdict.keep], _TAGS):
            yield [tag_current_key(name, tag) for tag in some]
            yield [key for tag in some for key in _index_keys(name, held, tag)]
        yield from _batches(_stale_index_keys(name, held, judged), _LINKS)
    yield from _batches(draft.dead_links, _LINKS)
    for name, judged in sorted(draft.judged.items()):
        doomed = inventory.repositories[name].revisions.keys() - judged.kept
        for layer in _parents_first(doomed, inventory.nodes):
            yield from _batches([revision_link_key(name, unpack(digest)) for digest in layer], _LINKS)


def _index_keys(name: str, held: Held, tag: str) -> list[str]:
    return [tag_index_key(name, tag, unpack(digest)) for digest in held.index.get(tag, ())]


def _stale_index_keys(name: str, held: Held, judged: Judged) -> list[str]:
    """Name index links of tags that are gone, and those of tags that stay to manifests that go or are gone."""
    found = list[str]()
    for tag, digests in held.index.items():
        if tag not in held.tags:
            found += _index_keys(name, held, tag)
        else:
            lost = digests - (held.revisions.keys() & judged.kept) - {held.tags[tag].digest}
            found += [tag_index_key(name, tag, unpack(digest)) for digest in lost]
    return found


def _parents_first(doomed: Iterable[Digest], nodes: dict[Digest, Node]) -> Iterator[list[Digest]]:
    """Yield manifests in layers, none before the indexes over it. Hashes make no rings, but hostile bytes may."""
    left = set(doomed)
    while left:
        below = {child for digest in left if (node := nodes.get(digest)) is not None for child in node.children}
        layer = left - below or left
        yield sorted(layer)
        left -= layer


def _batches(items: Iterable[str], size: int) -> Iterator[list[str]]:
    waiting = iter(items)
    while batch := list(islice(waiting, size)):
        yield batch


async def lay_markers(store: CopyStore) -> None:
    """Make what the server's collector lists: repositories, blobs, and the layers of each repository. StoreError."""
    inventory = await list_inventory(store)
    wanted = [] if inventory.blobs else [f"{BLOBS}{_MARKER}"]
    wanted += [] if inventory.repositories else [f"{REPOSITORIES}{_MARKER}"]
    bare = [name for name, held in inventory.repositories.items() if _has_manifests(held) and not held.layers]
    wanted += [f"{REPOSITORIES}{name}/_layers/{_MARKER}" for name in bare]
    if wanted:
        await store.write_many([(key, b"") for key in wanted])


def _has_manifests(held: Held) -> bool:
    return bool(held.tags or held.index or held.revisions)


async def sweep_links(store: CopyStore, inventory: Inventory) -> None:
    """Delete links to layers that are gone, all links of repositories without images, and their markers. StoreError."""
    gone = list[str]()
    uploading = {repository for repository, _ in inventory.uploads}
    for name, held in inventory.repositories.items():
        empty = not _has_manifests(held) and name not in uploading
        stale = held.layers if empty else held.layers - inventory.blobs.keys()
        gone += [layer_link_key(name, unpack(digest)) for digest in stale]
        gone += [f"{REPOSITORIES}{name}/_layers/{_MARKER}"] if empty else []
    gone += await _needless_markers(store, inventory)
    for batch in _batches(gone, _LINKS):
        await store.delete_many(batch)


async def _needless_markers(store: CopyStore, inventory: Inventory) -> list[str]:
    """Name the markers that hold a place where something else is by now, or whose repository is gone."""
    found = list[str]()
    async for page in store.list(f"{ROOT}/"):
        found += [one.key for one in page if one.key.endswith(f"/{_MARKER}")]
    return [key for key in found if not _is_needed(key, inventory)]


def _is_needed(key: str, inventory: Inventory) -> bool:
    if key in (f"{BLOBS}{_MARKER}", f"{REPOSITORIES}{_MARKER}"):
        return not (inventory.blobs if key.startswith(BLOBS) else inventory.repositories)
    name = key[len(REPOSITORIES) :].partition("/_layers/")[0]
    held = inventory.repositories.get(name)
    return held is not None and _has_manifests(held) and not held.layers & inventory.blobs.keys()


async def purge_uploads(store: CopyStore, inventory: Inventory, before: float) -> None:
    """Delete uploads that have not moved since a moment. Raises StoreError."""
    stale = [key for upload in inventory.uploads.values() if upload.modified < before for key in upload.keys]
    for batch in _batches(stale, _LINKS):
        await store.delete_many(batch)


async def prune(place: Place | None) -> None:
    """Delete empty directories below a filesystem's registry: the server takes one for a tag or a repository."""
    if place is not None and place.kind == "Filesystem":
        roots = [Path(place.path) / kind for kind in (BLOBS, REPOSITORIES)]
        await asyncio.to_thread(_prune, roots)


def _prune(roots: Sequence[Path]) -> None:
    for root in roots:
        for directory, _, _ in os.walk(root, topdown=False):
            if Path(directory) != root:
                with suppress(OSError):
                    Path(directory).rmdir()
