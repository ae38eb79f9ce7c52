"""What the keys of a distribution registry mean, and in which order they must be written.

The layout has been the same on every driver since distribution 2.0, so a move of a registry is a copy of keys. Written
in the order of `EntryKind.rank` any prefix of the work is a valid registry: nothing names what is not there yet.
Keys are relative to the driver's root directory, without a leading slash. Neighbours: `jobs.migrate` and
`jobs.inventory` read stores by it, `decide.manifestgraph` knows what manifests name. Not here: input and output.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ROOT: Final = "docker/registry/v2"
BLOBS: Final = f"{ROOT}/blobs/"
REPOSITORIES: Final = f"{ROOT}/repositories/"
OWN: Final = ".pawl/"
"""What Pawl keeps beside a registry: ledgers of migrations. The server never looks there."""
LINK_BYTES: Final = 256
"""More than any link holds: the longest digest has 135 characters."""

_HEX_LENGTHS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
_HEX: Final = re.compile(r"[0-9a-f]{64,128}")
_ATOM = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_HOST_PART = r"[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*"
_HOST = rf"{_HOST_PART}(?:\.{_HOST_PART})*"
_NAME: Final = re.compile(rf"(?:{_HOST}/)?{_ATOM}(?:/{_ATOM})*")
"""Servers take a first part that looks like a host, with capitals and without a bound, though no client sends one."""
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


class EntryKind(StrEnum):
    """Kinds in the order in which they must be written; the last three are never copied."""

    BLOB = "Blob"
    LAYER_LINK = "LayerLink"
    REVISION_LINK = "RevisionLink"
    TAG_INDEX_LINK = "TagIndexLink"
    TAG_CURRENT_LINK = "TagCurrentLink"
    """The only kind whose bytes change: it holds the digest that the tag stands for now."""
    UPLOAD = "Upload"
    PAWL = "Pawl"
    OTHER = "Other"

    @property
    def rank(self) -> int:
        """Return its place in the write order."""
        return _RANKS[self]


_RANKS: Final = {kind: rank for rank, kind in enumerate(EntryKind)}
LINKS: Final = (
    EntryKind.LAYER_LINK,
    EntryKind.REVISION_LINK,
    EntryKind.TAG_INDEX_LINK,
    EntryKind.TAG_CURRENT_LINK,
)
"""Small objects whose body is a digest, in the order in which they must be written."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one key is. Fields that its kind does not have are empty; `TAG_CURRENT_LINK` has no digest in its key."""

    kind: EntryKind
    repository: str = ""
    tag: str = ""
    digest: str = ""


_OTHER: Final = Entry(EntryKind.OTHER)


def parse(key: str) -> Entry:
    """Return what a key is: total, and whatever is not exactly of the layout is OTHER."""
    if key.startswith(BLOBS):
        return _blob(key[len(BLOBS) :].split("/"))
    if key.startswith(REPOSITORIES):
        return _in_repository(key[len(REPOSITORIES) :])
    return Entry(EntryKind.PAWL) if key.startswith(OWN) else _OTHER


def is_digest(text: str) -> bool:
    """Whether this is a whole digest of an algorithm that distribution stores by."""
    algorithm, _, value = text.partition(":")
    return _HEX_LENGTHS.get(algorithm) == len(value) and _HEX.fullmatch(value) is not None


def linked(body: bytes) -> str:
    """Return the digest that a link holds, "" where it holds none. The server accepts not even a line end after it."""
    text = body.decode("ascii", "replace") if len(body) <= LINK_BYTES else ""
    return text if is_digest(text) else ""


def link_etag(digest: str) -> str:
    """Return the ETag that S3 gives a link to a digest: of an object that was put whole it is the MD5 of its bytes.

    Encrypted buckets give others, which are that of no link.
    """
    return hashlib.md5(digest.encode(), usedforsecurity=False).hexdigest()


def blob_key(digest: str) -> str:
    """Return where a blob is."""
    algorithm, _, value = digest.partition(":")
    return f"{BLOBS}{algorithm}/{value[:2]}/{value}/data"


def layer_link_key(repository: str, digest: str) -> str:
    """Return where a repository says that it holds a blob."""
    return f"{REPOSITORIES}{repository}/_layers/{_path(digest)}/link"


def revision_link_key(repository: str, digest: str) -> str:
    """Return where a repository says that it holds a manifest."""
    return f"{REPOSITORIES}{repository}/_manifests/revisions/{_path(digest)}/link"


def tag_index_key(repository: str, tag: str, digest: str) -> str:
    """Return where it is kept that a tag stood for a manifest once."""
    return f"{REPOSITORIES}{repository}/_manifests/tags/{tag}/index/{_path(digest)}/link"


def tag_current_key(repository: str, tag: str) -> str:
    """Return where it is kept what a tag stands for."""
    return f"{REPOSITORIES}{repository}/_manifests/tags/{tag}/current/link"


def _path(digest: str) -> str:
    return digest.replace(":", "/", 1)


def _blob(parts: list[str]) -> Entry:
    if len(parts) != 4 or parts[3] != "data":
        return _OTHER
    digest = f"{parts[0]}:{parts[2]}"
    return Entry(EntryKind.BLOB, digest=digest) if is_digest(digest) and parts[2][:2] == parts[1] else _OTHER


def _in_repository(rest: str) -> Entry:
    # No part of a repository's name begins with an underscore, so the first `/_` ends the name.
    name, _, tail = rest.partition("/_")
    if not _NAME.fullmatch(name):
        return _OTHER
    parts = tail.split("/")
    if parts[0] == "uploads":
        return Entry(EntryKind.UPLOAD, name) if len(parts) > 1 else _OTHER
    if parts[0] == "layers":
        return _link(EntryKind.LAYER_LINK, name, "", parts[1:])
    return _in_manifests(name, parts) if parts[0] == "manifests" and len(parts) > 2 else _OTHER


def _in_manifests(name: str, parts: list[str]) -> Entry:
    if parts[1] == "revisions":
        return _link(EntryKind.REVISION_LINK, name, "", parts[2:])
    tag, rest = parts[2], parts[3:]
    if parts[1] != "tags" or not _TAG.fullmatch(tag):
        return _OTHER
    if rest == ["current", "link"]:
        return Entry(EntryKind.TAG_CURRENT_LINK, name, tag)
    return _link(EntryKind.TAG_INDEX_LINK, name, tag, rest[1:]) if rest[:1] == ["index"] else _OTHER


def _link(kind: EntryKind, name: str, tag: str, parts: list[str]) -> Entry:
    if len(parts) != 3 or parts[2] != "link":
        return _OTHER
    digest = f"{parts[0]}:{parts[1]}"
    return Entry(kind, name, tag, digest) if is_digest(digest) else _OTHER
