"""Images with known digests in a registry, under one name or under several, with equal or with other content.

Neighbours: `pawl.sandbox.images` makes the bytes. Not here: registries that lie (`tests.support.registry`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import httpx

from pawl.sandbox.images import Blob, Image, Pusher, build

AMD64 = "linux/amd64"
MULTI = ("linux/amd64", "linux/arm64")


@dataclass(frozen=True)
class Pushed:
    """An image in a registry. `digest` is what its tag names; `platforms` and `configs` are digests by platform."""

    registry: str
    image: Image
    digest: str
    platforms: dict[str, str]
    configs: dict[str, str]

    @property
    def name(self) -> str:
        """host/repository."""
        return f"{self.registry}/{self.image.repository}"

    @property
    def tagged(self) -> str:
        return f"{self.name}:{self.image.tag}"

    @property
    def pinned(self) -> str:
        """Tag and digest, from which a simulated node fills the imageID."""
        return f"{self.tagged}@{self.digest}"


def push(registry: str, image: Image) -> Pushed:
    """Push an image."""
    with Pusher(registry) as pusher:
        pusher.push(image)
    return described(registry, image, image)


def push_copy(registry: str, of: Image, repository: str, tag: str = "") -> Pushed:
    """Push the very bytes of an image under another name: every digest is the same."""
    name = replace(of, repository=repository, tag=tag or of.tag)
    made = build(of)
    with httpx.Client(base_url=f"http://{registry}", trust_env=False) as client:
        for blob in made.blobs:
            _upload(client, repository, blob)
        for manifest in made.manifests:
            _put(client, repository, manifest, manifest.digest)
        _put(client, repository, made.top, name.tag)
    return described(registry, name, of)


def push_pair(registry: str, source: Image, repository: str, text: str | None = None) -> tuple[Pushed, Pushed]:
    """Push an image and its mirror under `repository`: of equal content, or of other content if there is a `text`."""
    if text is None:
        return push(registry, source), push_copy(registry, source, repository)
    return push(registry, source), push(registry, replace(source, repository=repository, text=text))


def described(registry: str, name: Image, content: Image) -> Pushed:
    """What is known of an image with the name of one and the bytes of another; nothing is sent."""
    made = build(content)
    manifests = made.manifests or (made.top,)
    platforms = {platform: manifest.digest for platform, manifest in zip(name.platforms, manifests, strict=True)}
    configs = {
        platform: str(json.loads(manifest.body)["config"]["digest"])
        for platform, manifest in zip(name.platforms, manifests, strict=True)
    }
    return Pushed(registry, name, made.top.digest, platforms, configs)


def _upload(client: httpx.Client, repository: str, blob: Blob) -> None:
    begun = client.post(f"/v2/{repository}/blobs/uploads/")
    assert begun.status_code == 202, begun.text
    where = httpx.URL(begun.headers["Location"]).copy_add_param("digest", blob.digest)
    answer = client.put(where, content=blob.body, headers={"Content-Type": "application/octet-stream"})
    assert answer.status_code == 201, answer.text


def _put(client: httpx.Client, repository: str, manifest: Blob, reference: str) -> None:
    kind = {"Content-Type": manifest.media_type}
    answer = client.put(f"/v2/{repository}/manifests/{reference}", content=manifest.body, headers=kind)
    assert answer.status_code == 201, answer.text
