"""Images that run, byte by byte: what a tag names (manifest or index), how a layer is packed, under which names.

    placed = put(Place(registry), Program("shop/web", "v1"), tool)
    placed.digest, placed.platforms["linux/amd64"], placed.configs["linux/amd64"]

Every image holds the same one layer with the sandbox's static program, so pulls are small and only once. Equal
arguments make equal bytes. Neighbours: `pawl.sandbox.images` is the form of blobs, and
`tests.cluster.override_stage_images` makes images for simulated nodes. Not here: nodes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import ssl
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, replace

import httpx

from pawl.sandbox.images import CONFIG, INDEX, LAYER, MANIFEST, Blob, Built

AMD64 = "linux/amd64"
MULTI = (AMD64, "linux/arm64")
FOREVER = ("pause",)
ONCE = ("exit", "0")
PROGRAM = "tool"
PATH = f"/{PROGRAM}"


@dataclass(frozen=True)
class Program:
    """An image. With several platforms (or `indexed`) the tag names an index, else a manifest.

    Attributes:
        text: content of a label: another text is another config, and so another image.
        words: arguments of the program, which are the image's command.
        entry: words that Pods cannot replace.
        packed: the layer is compressed: another manifest with the same config, as other tools push it.
        note: an annotation of the index: another index over the same manifests.
    """

    repository: str
    tag: str = "v1"
    text: str = ""
    words: tuple[str, ...] = FOREVER
    entry: tuple[str, ...] = ()
    platforms: tuple[str, ...] = (AMD64,)
    indexed: bool = False
    packed: bool = False
    note: str = ""

    def at(self, repository: str, tag: str = "") -> Program:
        """The same content under another name."""
        return replace(self, repository=repository, tag=tag or self.tag)


@dataclass(frozen=True)
class Place:
    """A registry to push to: `host:port`, and what it asks for."""

    registry: str
    tls: ssl.SSLContext | None = None
    user: tuple[str, str] | None = None

    def client(self) -> httpx.Client:
        scheme = "https" if self.tls else "http"
        return httpx.Client(
            base_url=f"{scheme}://{self.registry}",
            verify=self.tls or False,
            auth=self.user,
            trust_env=False,
            timeout=30,
        )


@dataclass(frozen=True)
class Placed:
    """An image in a registry. `digest` is what its tag names; `platforms` and `configs` are digests by platform."""

    registry: str
    program: Program
    digest: str
    platforms: dict[str, str]
    configs: dict[str, str]

    @property
    def name(self) -> str:
        return f"{self.registry}/{self.program.repository}"

    @property
    def tagged(self) -> str:
        return f"{self.name}:{self.program.tag}"

    @property
    def pinned(self) -> str:
        return f"{self.tagged}@{self.digest}"

    @property
    def by_digest(self) -> str:
        """The name with the digest of what this machine runs, without a tag."""
        return f"{self.name}@{self.platforms[AMD64]}"

    @property
    def acceptable(self) -> frozenset[str]:
        """Digests by which a node may name this content."""
        return frozenset({self.digest, self.platforms[AMD64], self.configs[AMD64]})


def put(place: Place, program: Program, tool: bytes) -> Placed:
    """Push an image, its tag last."""
    made = build(program, tool)
    with place.client() as client:
        for blob in made.blobs:
            _upload(client, program.repository, blob)
        for manifest in made.manifests:
            _manifest(client, program.repository, manifest, manifest.digest)
        _manifest(client, program.repository, made.top, program.tag)
    return described(place.registry, program, made)


def copy(source: Place, name: str, target: Place, repository: str) -> str:
    """Copy an image for one platform, `repository@digest` of a registry; its new name with the digest."""
    path, _, digest = name.partition("@")
    with source.client() as there, target.client() as here:
        kinds = f"{MANIFEST}, application/vnd.docker.distribution.manifest.v2+json"
        answer = there.get(f"/v2/{path}/manifests/{digest}", headers={"Accept": kinds})
        assert answer.status_code == 200, answer.text
        found = answer.json()
        for each in (found["config"], *found["layers"]):
            blob = there.get(f"/v2/{path}/blobs/{each['digest']}", follow_redirects=True).content
            _upload(here, repository, Blob(each["mediaType"], blob))
        _manifest(here, repository, Blob(answer.headers["Content-Type"], answer.content), digest)
    return f"{target.registry}/{repository}@{digest}"


def build(program: Program, tool: bytes) -> Built:
    """Make the bytes of an image. Pure."""
    tar = layer(tool)
    stored = gzip.compress(tar, 1, mtime=0) if program.packed else tar
    blob = Blob(f"{LAYER}+gzip" if program.packed else LAYER, stored)
    configs = [Blob(CONFIG, _json(_config(program, platform, tar))) for platform in program.platforms]
    manifests = [Blob(MANIFEST, _json(_image(config, blob))) for config in configs]
    if len(manifests) == 1 and not program.indexed:
        return Built((blob, *configs), (), manifests[0])
    return Built((blob, *configs), tuple(manifests), Blob(INDEX, _json(_index(program, manifests))))


def described(registry: str, program: Program, made: Built) -> Placed:
    manifests = made.manifests or (made.top,)
    digests = [manifest.digest for manifest in manifests]
    configs = [str(json.loads(manifest.body)["config"]["digest"]) for manifest in manifests]
    by_platform = [dict(zip(program.platforms, each, strict=True)) for each in (digests, configs)]
    return Placed(registry, program, made.top.digest, *by_platform)


def layer(tool: bytes) -> bytes:
    """A tar with the program, a /tmp that everybody may write to, and a user."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo(PROGRAM)
        entry.size, entry.mode = len(tool), 0o755
        archive.addfile(entry, io.BytesIO(tool))
    return raw.getvalue()


def _config(program: Program, platform: str, tar: bytes) -> dict[str, object]:
    system, _, architecture = platform.partition("/")
    settings = {"Entrypoint": [PATH, *program.entry], "Cmd": list(program.words), "User": "65532:65532"}
    labels = {"of": program.text or f"{program.repository}:{program.tag}"}
    files = {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest()]}
    return {"os": system, "architecture": architecture, "config": settings | {"Labels": labels}, "rootfs": files}


def _image(config: Blob, blob: Blob) -> dict[str, object]:
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.descriptor(),
        "layers": [blob.descriptor()],
    }


def _index(program: Program, manifests: Sequence[Blob]) -> dict[str, object]:
    named = zip(manifests, program.platforms, strict=True)
    children = [
        each.descriptor(platform=dict(zip(("os", "architecture"), name.split("/"), strict=True)))
        for each, name in named
    ]
    noted = {"annotations": {"note": program.note}} if program.note else {}
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": children} | noted


def _upload(client: httpx.Client, repository: str, blob: Blob) -> None:
    if client.head(f"/v2/{repository}/blobs/{blob.digest}").status_code == 200:
        return
    begun = client.post(f"/v2/{repository}/blobs/uploads/")
    assert begun.status_code == 202, begun.text
    where = httpx.URL(begun.headers["Location"]).copy_add_param("digest", blob.digest)
    answer = client.put(where, content=blob.body, headers={"Content-Type": "application/octet-stream"})
    assert answer.status_code == 201, answer.text


def _manifest(client: httpx.Client, repository: str, manifest: Blob, reference: str) -> None:
    kind = {"Content-Type": manifest.media_type}
    answer = client.put(f"/v2/{repository}/manifests/{reference}", content=manifest.body, headers=kind)
    assert answer.status_code == 201, answer.text


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
