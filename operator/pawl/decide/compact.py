"""Digests and manifests in little memory: a registry has millions of the one and refers to them from all sides.

A digest is its raw bytes, 32 for sha256; the length tells the algorithm. A Node is what the walk over a registry needs
of a manifest. Neighbours: `decide.manifestgraph` reads manifests, `jobs.inventory` holds nodes, `decide.retention`
walks them.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pawl.decide.manifestgraph import Manifest

Digest = bytes
"""Raw bytes of a digest; empty: it is not known."""

SCHEMA_1_SAID: Final = "it is of Docker's schema 1, which distribution 3 cannot read"

_LENGTHS: Final = {"sha256": 32, "sha384": 48, "sha512": 64}
_NAMES: Final = {length: name for name, length in _LENGTHS.items()}


class Node(msgspec.Struct, frozen=True, gc=False):
    """One manifest. `opaque` says why the server's collector cannot read it, "" if it can."""

    children: tuple[Digest, ...] = ()
    blobs: tuple[Digest, ...] = ()
    config: Digest = b""
    subject: Digest = b""
    opaque: str = ""


class Tag(msgspec.Struct, frozen=True, gc=False):
    """What a tag stands for, and when it was pushed, in seconds since the epoch. An empty digest: it is unreadable."""

    digest: Digest
    pushed: float | None


def pack(digest: str) -> Digest:
    """Return a digest as bytes, empty where the text is none."""
    algorithm, _, value = digest.partition(":")
    try:
        raw = bytes.fromhex(value)
    except ValueError:
        return b""
    return raw if len(raw) == _LENGTHS.get(algorithm) else b""


def unpack(digest: Digest) -> str:
    """Return a digest as registries write it, "" for an empty one."""
    return f"{_NAMES[len(digest)]}:{digest.hex()}" if digest else ""


def node_of(manifest: Manifest) -> Node:
    """Return what a walk needs of a manifest."""
    return Node(
        children=tuple(pack(child.digest) for child in manifest.children),
        blobs=tuple(pack(blob.digest) for blob in manifest.blobs),
        config=pack(manifest.config.digest) if manifest.config is not None else b"",
        subject=pack(manifest.subject),
        opaque=_opaque(manifest),
    )


def _opaque(manifest: Manifest) -> str:
    if manifest.schema1:
        return SCHEMA_1_SAID
    return "it is an artifact manifest, which distribution cannot read" if manifest.artifact else ""
