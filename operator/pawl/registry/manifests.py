"""Manifests and indexes: their bytes are hashed here, and what they say about platforms is read.

A digest is what *we* computed over the bytes, never what a header says: a header is the server's opinion, and a
selection that names a digest must be what a node will verify.
Neighbours: `client` asks; `platforms` compares names. Not here: layers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec

from pawl.api.errors import BadAnswer
from pawl.registry.answers import decode_bytes, media_type, refuse_html
from pawl.registry.targets import Access, reference_target
from pawl.registry.wire import Answer, Header

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
"""Bound of a manifest, an index or a config in bytes (the distribution specification's own recommendation)."""

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
IMAGE_CONFIGS = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
)
INDEXES, SINGLES = frozenset({OCI_INDEX, DOCKER_LIST}), frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
ACCEPT: tuple[Header, ...] = (
    (b"Accept", ", ".join((OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST)).encode()),
    (b"Accept-Encoding", b"identity"),
)


@dataclass(frozen=True, slots=True)
class Child:
    """An image inside an index. `platform` is os/arch[/variant]."""

    digest: str
    platform: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or an index, without its bytes.

    Attributes:
        digest: sha256 over the bytes, computed here.
        media_type: what it is.
        size: bytes.
        platforms: os/arch[/variant] of the images it offers, attestations left out; None if not asked for.
            Empty if it is no image (a chart, a signature).
        children: the images of an index.
        config: digest of the config of a single manifest.

    """

    digest: str
    media_type: str
    size: int
    platforms: tuple[str, ...] | None
    children: tuple[Child, ...] = ()
    config: str | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """What HEAD says. `claimed_digest` is the header's word: good for a hint, never for a selection."""

    claimed_digest: str
    media_type: str
    size: int | None


@dataclass(frozen=True, slots=True)
class NotModified:
    """The reference still names the digest that was known."""

    digest: str


class _Platform(msgspec.Struct):
    os: str = ""
    architecture: str = ""
    variant: str = ""

    def text(self) -> str:
        """os/arch[/variant], or empty for none and for attestations (unknown/unknown)."""
        if not self.os or not self.architecture or "unknown" in {self.os, self.architecture}:
            return ""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class _Descriptor(msgspec.Struct):
    digest: str
    mediaType: str = ""  # noqa: N815 - the specification's name
    size: int = 0
    platform: _Platform | None = None


class _Body(msgspec.Struct):
    schemaVersion: int  # noqa: N815
    mediaType: str = ""  # noqa: N815
    manifests: list[_Descriptor] | None = None
    config: _Descriptor | None = None
    layers: list[msgspec.Raw] | None = None
    fsLayers: list[msgspec.Raw] | None = None  # noqa: N815


def read_manifest(answer: Answer, asked_digest: str | None, what: str) -> tuple[Manifest, str]:
    """The manifest in an answer, and the digest of the config to read its platform from (empty for none).

    Raises:
        BadAnswer: other bytes than the digest asked for, schema 1, no manifest, or one that is two things at once.

    """
    refuse_html(answer, what)
    if asked_digest is not None and not matches(answer.body, asked_digest):
        raise BadAnswer(f"{what}: the bytes that came have another digest than the one asked for")
    kind = media_type(answer)
    if kind.startswith("application/vnd.docker.distribution.manifest.v1"):
        raise _schema1(what)
    body = decode_bytes(answer.body, _Body, what)
    if body.schemaVersion == 1 or body.fsLayers is not None:
        raise _schema1(what)
    _refuse_ambiguous(body, kind, what)
    digest = "sha256:" + hashlib.sha256(answer.body).hexdigest()
    _refuse_flipped(answer, digest, what)
    return _described(body, digest, kind, len(answer.body))


def _refuse_flipped(answer: Answer, digest: str, what: str) -> None:
    """A header never makes a digest ours, but one that disagrees says that the bytes were damaged on the way."""
    claimed = answer.header("docker-content-digest")
    if claimed.startswith("sha256:") and claimed != digest:
        raise BadAnswer(f"{what}: the bytes that came have another digest than the registry says")


def _schema1(what: str) -> BadAnswer:
    return BadAnswer(f"{what}: a manifest of Docker's schema 1, which containerd no longer runs; push the image again")


def _refuse_ambiguous(body: _Body, kind: str, what: str) -> None:
    """One document must not be an index to one reader and a manifest to another (CVE-2021-41190)."""
    said = {name for name in (body.mediaType, kind) if name in INDEXES | SINGLES}
    is_index, is_single = body.manifests is not None, body.config is not None or body.layers is not None
    if is_index == is_single:
        raise BadAnswer(f"{what}: neither an index nor a manifest, or both at once")
    if len(said) > 1 or not said <= (INDEXES if is_index else SINGLES):
        raise BadAnswer(f"{what}: its media type says another thing than its content")


def _described(body: _Body, digest: str, kind: str, size: int) -> tuple[Manifest, str]:
    media = body.mediaType or kind
    if body.manifests is not None:
        found = ((d.digest, d.platform.text() if d.platform else "") for d in body.manifests)
        children = tuple(Child(digest, platform) for digest, platform in found if platform)
        platforms = tuple(dict.fromkeys(child.platform for child in children))
        return Manifest(digest, media, size, platforms, children), ""
    config = body.config
    if config is None:
        return Manifest(digest, media, size, ()), ""
    readable = config.digest if config.mediaType in IMAGE_CONFIGS else ""
    return Manifest(digest, media, size, None if readable else (), config=config.digest), readable


def read_platform(body: bytes, digest: str, what: str) -> tuple[str, ...]:
    """The platform that an image config names, as a tuple of one or none.

    Raises:
        BadAnswer: other bytes than the digest says, or no config.

    """
    if not matches(body, digest):
        raise BadAnswer(f"{what}: the config's bytes have another digest than the manifest says")
    platform = decode_bytes(body, _Platform, what).text()
    return (platform,) if platform else ()


def matches(body: bytes, digest: str) -> bool:
    """Whether bytes have this digest (sha256 or sha512). An unknown algorithm matches nothing."""
    algorithm, _, value = digest.partition(":")
    if algorithm not in {"sha256", "sha512"}:
        return False
    return hashlib.new(algorithm, body).hexdigest() == value


def read_head(answer: Answer, what: str) -> Head:
    """What the headers say.

    Raises:
        BadAnswer: a web page, or no content type of a manifest.

    """
    refuse_html(answer, what)
    kind = media_type(answer)
    length = answer.header("content-length")
    return Head(answer.header("docker-content-digest"), kind, int(length) if length.isdigit() else None)


def manifest_name(access: Access, path: str, reference: str) -> str:
    """How messages name a manifest."""
    separator = "@" if is_digest(reference) else ":"
    return f"{access.endpoint.host}/{path}{separator}{reference}"


def manifest_target(path: str, reference: str) -> str:
    """Path of a manifest. Raises ValueError for something that is no tag or digest."""
    return reference_target(path, "manifests", reference)


def is_digest(reference: str) -> bool:
    """Whether a reference is a digest rather than a tag: tags hold no colon."""
    return ":" in reference
