"""A whole distribution registry, read from its store: repositories, tags, manifests, blobs, uploads, and its faults.

One listing, then the tags, the links of manifests, and each manifest once. Faults are noted, never raised: whoever
reads decides what they mean. About 300 bytes of memory an object. Neighbours: `decide.layout` names keys,
`decide.compact` is the form of what is held, `jobs.collectplan` judges it, `jobs.verify` compares. Not here: writing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pawl.decide.compact import Digest, Node, Tag, node_of, pack, unpack
from pawl.decide.layout import (
    BLOBS,
    LINK_BYTES,
    REPOSITORIES,
    ROOT,
    Entry,
    EntryKind,
    blob_key,
    link_etag,
    linked,
    parse,
    revision_link_key,
    tag_current_key,
)
from pawl.decide.manifestgraph import MAX_MANIFEST, Descriptor, Manifest, references
from pawl.jobs.copystore import CopyStore
from pawl.jobs.pushedtimes import read_pushed
from pawl.jobs.readahead import Wanted, each, read_all
from pawl.jobs.store import Object

__all__ = ["Fault", "FaultKind", "Held", "Inventory", "Upload", "each", "list_inventory", "read_inventory"]

_OTHER: Final = Entry(EntryKind.OTHER)


class FaultKind(StrEnum):
    """What can be wrong."""

    BAD_LINK = "BadLink"
    """A link whose body is not the digest in its path, or none at all: the server's collector stops at it."""
    STRANGE = "Strange"
    """A key that no server writes, in a place where the collector stops at it."""
    UNREADABLE = "Unreadable"
    """A manifest that is there and cannot be read."""
    MISSING = "Missing"
    """Something is referred to and not there."""
    WRONG_SIZE = "WrongSize"
    """A blob has another size than its manifest says."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `digest` is the one in the key's path, or the one of the manifest that refers."""

    kind: FaultKind
    key: str
    message: str
    entry: Entry = _OTHER
    digest: Digest = b""


@dataclass(slots=True)
class Held:
    """What one repository holds. `index`: the digests that each tag stood for once, by tag; `etags`: of its link."""

    tags: dict[str, Tag] = field(default_factory=dict)
    index: dict[str, set[Digest]] = field(default_factory=dict)
    revisions: dict[Digest, float | None] = field(default_factory=dict)
    layers: set[Digest] = field(default_factory=set)
    etags: dict[str, str] = field(default_factory=dict)
    told: set[Digest] = field(default_factory=set)
    """Manifests whose link holds what its path says, by its ETag."""


@dataclass(slots=True)
class Upload:
    """One upload that was begun: its keys, its bytes, and when it last moved."""

    keys: list[str] = field(default_factory=list)
    size: int = 0
    modified: float = 0.0


@dataclass(slots=True)
class Inventory:
    """All that a store holds. `nodes` and `opaque` are of the manifests that repositories name."""

    repositories: dict[str, Held] = field(default_factory=dict)
    blobs: dict[Digest, int] = field(default_factory=dict)
    nodes: dict[Digest, Node] = field(default_factory=dict)
    opaque: dict[Digest, str] = field(default_factory=dict)
    """Manifests that the server's collector cannot read, and why."""
    uploads: dict[tuple[str, str], Upload] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """Bytes of all blobs."""
        return sum(self.blobs.values())

    @property
    def tags(self) -> int:
        """Number of tags."""
        return sum(len(held.tags) for held in self.repositories.values())

    def of(self, repository: str) -> Held:
        """Return what is held of a repository, empty where it was unknown."""
        return self.repositories.setdefault(repository, Held())


_STOPS: Final = ("/_layers/", "/_manifests/revisions/")
"""Places under a repository in which the server's collector reads every file called `link`."""


async def read_inventory(store: CopyStore, parallel: int = 16, *, by_etag: bool = False) -> Inventory:
    """Read a store. Raises StoreError where it cannot be read at all.

    `by_etag`: what an ETag tells of a link need not be read. That is enough to plan by, and is no proof of bytes.
    """
    inventory = await list_inventory(store)
    if by_etag:
        _by_etag(inventory)
    await _carried_times(store, inventory)
    await _read_tags(store, inventory, parallel)
    await _read_revisions(store, inventory, parallel, by_etag=by_etag)
    await _read_manifests(store, inventory, parallel)
    return inventory


async def list_inventory(store: CopyStore) -> Inventory:
    """Read what a listing tells: no digest of a tag, no manifest. Raises StoreError."""
    inventory = Inventory()
    async for page in store.list(f"{ROOT}/"):
        for found in page:
            _note(inventory, found)
    return inventory


def _note(inventory: Inventory, found: Object) -> None:
    entry = parse(found.key)
    digest = pack(entry.digest)
    pushed = found.modified if found.modified > 0 else None
    if entry.kind is EntryKind.BLOB:
        inventory.blobs[digest] = found.size
    elif entry.kind is EntryKind.UPLOAD:
        _note_upload(inventory, entry, found)
    elif entry.kind is EntryKind.TAG_CURRENT_LINK:
        inventory.of(entry.repository).tags[entry.tag] = Tag(b"", pushed)
        if found.etag:
            inventory.of(entry.repository).etags[entry.tag] = found.etag
    elif entry.digest:
        _note_link(inventory, entry, digest, found)
    elif fault := _strange(found.key):
        inventory.faults.append(fault)


def _note_link(inventory: Inventory, entry: Entry, digest: Digest, found: Object) -> None:
    held = inventory.of(entry.repository)
    if entry.kind is EntryKind.TAG_INDEX_LINK:
        held.index.setdefault(entry.tag, set()).add(digest)
    if found.size != len(entry.digest):
        inventory.faults.append(_bad_link(found.key, entry, f"it has {found.size} bytes, a digest has 71 and more"))
    elif entry.kind is EntryKind.LAYER_LINK:
        held.layers.add(digest)
    elif entry.kind is EntryKind.REVISION_LINK:
        held.revisions[digest] = found.modified if found.modified > 0 else None
        if found.etag and found.etag == link_etag(entry.digest):
            held.told.add(digest)


def _note_upload(inventory: Inventory, entry: Entry, found: Object) -> None:
    name = found.key[len(REPOSITORIES) + len(entry.repository) + len("/_uploads/") :].split("/", 1)[0]
    upload = inventory.uploads.setdefault((entry.repository, name), Upload())
    upload.keys.append(found.key)
    upload.size += found.size
    upload.modified = max(upload.modified, found.modified)


def _strange(key: str) -> Fault | None:
    """Note what makes the server's collector stop: it takes each `data` for a blob, and each `link` for a link."""
    name = key.rpartition("/")[2]
    if key.startswith(BLOBS) and name == "data":
        return Fault(FaultKind.STRANGE, key, "it is no blob, and the collector stops at it")
    if key.startswith(REPOSITORIES) and name == "link" and any(place in key for place in _STOPS):
        return Fault(
            FaultKind.BAD_LINK, key, "its path is no digest, or its repository has no name that a server takes"
        )
    return None


def _bad_link(key: str, entry: Entry, message: str) -> Fault:
    return Fault(FaultKind.BAD_LINK, key, message, entry, pack(entry.digest))


async def _carried_times(store: CopyStore, inventory: Inventory) -> None:
    pushed = await read_pushed(store)
    for name, held in inventory.repositories.items() if pushed.tags else ():
        for tag, one in held.tags.items():
            if one.pushed is not None:
                held.tags[tag] = Tag(one.digest, pushed.time_of(name, tag, one.pushed))


def _by_etag(inventory: Inventory) -> None:
    for held in inventory.repositories.values():
        for tag, etag in held.etags.items():
            for digest in held.index.get(tag, ()):
                if etag == link_etag(unpack(digest)):
                    held.tags[tag] = Tag(digest, held.tags[tag].pushed)


async def _read_tags(store: CopyStore, inventory: Inventory, parallel: int) -> None:
    def take(place: tuple[str, str], body: bytes) -> None:
        repository, tag = place
        held = inventory.repositories[repository]
        held.tags[tag] = Tag(pack(linked(body)), held.tags[tag].pushed)
        if not linked(body):
            entry = Entry(EntryKind.TAG_CURRENT_LINK, repository, tag)
            inventory.faults.append(_bad_link(tag_current_key(repository, tag), entry, "it holds no digest"))

    places = [
        (name, tag) for name, held in inventory.repositories.items() for tag in held.tags if not held.tags[tag].digest
    ]
    await read_all(store, (Wanted(place, tag_current_key(*place), LINK_BYTES) for place in places), take, parallel)


async def _read_revisions(store: CopyStore, inventory: Inventory, parallel: int, *, by_etag: bool) -> None:
    """Read the links of manifests: the server's collector believes their bodies, not their paths."""

    def take(place: tuple[str, Digest], body: bytes) -> None:
        repository, digest = place
        name = unpack(digest)
        if body != name.encode():
            inventory.repositories[repository].revisions.pop(digest, None)
            entry = Entry(EntryKind.REVISION_LINK, repository, digest=name)
            said = f"it holds {linked(body) or 'no digest'}"
            inventory.faults.append(_bad_link(revision_link_key(repository, name), entry, said))

    places = [
        (name, digest)
        for name, held in inventory.repositories.items()
        for digest in held.revisions
        if not (by_etag and digest in held.told)
    ]
    links = (Wanted(place, revision_link_key(place[0], unpack(place[1])), LINK_BYTES) for place in places)
    await read_all(store, links, take, parallel)


async def _read_manifests(store: CopyStore, inventory: Inventory, parallel: int) -> None:
    shared: dict[Digest, Digest] = {digest: digest for digest in inventory.blobs}

    def take(digest: Digest, body: bytes) -> None:
        try:
            manifest = references(None, body)
        except ValueError as error:
            _unreadable(inventory, digest, str(error))
        else:
            _note_manifest(inventory, digest, manifest, shared)

    named = {digest for held in inventory.repositories.values() for digest in held.revisions} & inventory.blobs.keys()
    for digest in [large for large in named if inventory.blobs[large] > MAX_MANIFEST]:
        named.discard(digest)
        _unreadable(inventory, digest, "it is larger than a manifest may be")
    manifests = (Wanted(digest, blob_key(unpack(digest)), inventory.blobs[digest]) for digest in named)
    await read_all(store, manifests, take, parallel)


def _unreadable(inventory: Inventory, digest: Digest, why: str) -> None:
    inventory.opaque[digest] = why
    inventory.faults.append(Fault(FaultKind.UNREADABLE, blob_key(unpack(digest)), why, digest=digest))


def _note_manifest(inventory: Inventory, digest: Digest, manifest: Manifest, shared: dict[Digest, Digest]) -> None:
    node = node_of(manifest)
    inventory.nodes[digest] = Node(_same(node.children, shared), _same(node.blobs, shared), node.config, node.subject)
    if node.opaque:
        _unreadable(inventory, digest, node.opaque)
    for descriptor in (*manifest.children, *manifest.blobs):
        if fault := _dangling(inventory, digest, descriptor, sized=not manifest.schema1):
            inventory.faults.append(fault)


def _same(digests: Iterable[Digest], shared: dict[Digest, Digest]) -> tuple[Digest, ...]:
    """Return the digests as they are held already: images share most of their layers."""
    return tuple(shared.setdefault(digest, digest) for digest in digests)


def _dangling(inventory: Inventory, digest: Digest, descriptor: Descriptor, *, sized: bool) -> Fault | None:
    size = inventory.blobs.get(pack(descriptor.digest))
    key = blob_key(descriptor.digest)
    if size is None and not descriptor.foreign:
        return Fault(FaultKind.MISSING, key, f"manifest {unpack(digest)} refers to it", digest=digest)
    if sized and size is not None and size != descriptor.size:
        said = f"it has {size} bytes, manifest {unpack(digest)} says {descriptor.size}"
        return Fault(FaultKind.WRONG_SIZE, key, said, digest=digest)
    return None
