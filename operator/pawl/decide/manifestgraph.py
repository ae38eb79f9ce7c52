"""What a manifest refers to: its config, its layers, its children, and the image that it is about.

Total over hostile bytes: a Manifest or a ValueError, and never more work than 4 MiB are worth. A document is read as
distribution reads it, since its collector and ours must mark the same: an index with layers is neither.
Neighbours: `jobs.inventory` reads whole stores with this, `decide.retention` walks the graph, `decide.layout` knows
where manifests are. Not here: platforms and media types of what is inside an image (`registry.manifests`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from pawl.decide.layout import is_digest

MAX_MANIFEST: Final = 4 << 20
"""Bytes of the largest manifest that registries are asked to take."""

INDEXES: Final = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
SINGLES: Final = frozenset(
    {"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"}
)
SCHEMA_1: Final = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)
ARTIFACT: Final = "application/vnd.oci.artifact.manifest.v1+json"
"""Of a draft of OCI 1.1: other registries took it, distribution never did."""


class Descriptor(msgspec.Struct, frozen=True):
    """One reference. `foreign`: its bytes may be elsewhere, at the URLs that it names."""

    digest: str
    size: int
    foreign: bool = False


class Manifest(msgspec.Struct, frozen=True):
    """What one manifest or index refers to.

    Attributes:
        children: manifests of an index.
        config: of an image.
        layers: of an image; the blobs of an artifact.
        subject: digest of the image that this one is about, "" if none.
        schema1: Docker's first format, which distribution 3 cannot read. Its sizes are 0: it names none.
        artifact: the draft format that distribution cannot read.

    """

    children: tuple[Descriptor, ...] = ()
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    subject: str = ""
    schema1: bool = False
    artifact: bool = False

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Config and layers."""
        return self.layers if self.config is None else (self.config, *self.layers)


class _Wire(msgspec.Struct):
    digest: str
    size: int
    urls: list[str] | None = None


class _Layer(msgspec.Struct, rename="camel"):
    blob_sum: str


class _Document(msgspec.Struct, rename="camel"):
    schema_version: int = 0
    media_type: str = ""
    config: _Wire | None = None
    layers: list[_Wire] | None = None
    manifests: list[_Wire] | None = None
    blobs: list[_Wire] | None = None
    subject: _Wire | None = None
    fs_layers: list[_Layer] | None = None


_DECODER: Final = msgspec.json.Decoder(_Document)


def references(media_type: str | None, raw: bytes) -> Manifest:
    """Read a manifest. `media_type` is what a server called it, None where nobody did: then it must say it itself.

    Raises ValueError with a sentence where this is no manifest that a registry could serve.
    """
    if len(raw) > MAX_MANIFEST:
        raise ValueError(f"{len(raw)} bytes are more than a manifest may have ({MAX_MANIFEST})")
    try:
        document = _DECODER.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"it is no manifest: {_short(error)}") from None
    return _read(document, document.media_type or media_type or "")


def _read(document: _Document, kind: str) -> Manifest:
    if document.schema_version == 1 or kind in SCHEMA_1:
        return _schema_1(document)
    if kind == ARTIFACT:
        layers = _all(document.blobs)
        return Manifest(layers=layers, subject=_subject(document), artifact=True)
    if document.schema_version != 2:
        raise ValueError(f"schemaVersion {document.schema_version} is unknown")
    if kind in INDEXES or (not kind and document.manifests is not None):
        return _index(document)
    if kind and kind not in SINGLES:
        raise ValueError(f"media type {kind[:100]!r} is unknown")
    return _single(document)


def _schema_1(document: _Document) -> Manifest:
    sums = dict.fromkeys(layer.blob_sum for layer in document.fs_layers or ())
    return Manifest(layers=tuple(Descriptor(_digest(digest), 0) for digest in sums), schema1=True)


def _index(document: _Document) -> Manifest:
    if document.config is not None or document.layers:
        raise ValueError("it is an index and an image at once")
    return Manifest(children=_all(document.manifests), subject=_subject(document))


def _single(document: _Document) -> Manifest:
    if document.manifests:
        raise ValueError("it is an image and an index at once")
    if document.config is None:
        raise ValueError("it is an image without a config")
    return Manifest((), _descriptor(document.config), _all(document.layers), _subject(document))


def _subject(document: _Document) -> str:
    return "" if document.subject is None else _digest(document.subject.digest)


def _all(found: list[_Wire] | None) -> tuple[Descriptor, ...]:
    return tuple(map(_descriptor, found or ()))


def _descriptor(wire: _Wire) -> Descriptor:
    if wire.size < 0:
        raise ValueError(f"{wire.digest[:80]!r} has {wire.size} bytes")
    return Descriptor(_digest(wire.digest), wire.size, bool(wire.urls))


def _digest(text: str) -> str:
    if not is_digest(text):
        raise ValueError(f"{text[:80]!r} is no digest")
    return text


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
