"""Small real images for a registry on loopback: config, one layer, manifest, and an index where platforms are several.

Equal arguments make equal bytes, so a digest can be known before anything is pushed. For the demo, tests and benches.
Neighbours: `registry` is what they are pushed to. Not here: TLS, credentials, images that run.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from pawl.api.errors import SandboxError

INDEX: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
"""Not compressed: the bytes of gzip differ between versions of zlib, and with them the digest."""
BYTES: Final = "application/octet-stream"
MANIFESTS: Final = f"{INDEX}, {MANIFEST}"


@dataclass(frozen=True)
class Image:
    """What to push. With one platform the tag names a manifest, with several an index over them."""

    repository: str
    tag: str
    text: str = ""
    """Content of the layer's one file: another text is another digest."""
    platforms: tuple[str, ...] = ("linux/amd64",)


@dataclass(frozen=True)
class Blob:
    """Bytes with the media type under which they are referred to."""

    media_type: str
    body: bytes

    @property
    def digest(self) -> str:
        """sha256 as registries write it."""
        return "sha256:" + hashlib.sha256(self.body).hexdigest()

    def descriptor(self, **more: object) -> dict[str, object]:
        """How manifests and indexes refer to it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.body), **more}


@dataclass(frozen=True)
class Built:
    """An image as bytes: `blobs` first, then the manifests by digest, `top` at last under the tag."""

    blobs: tuple[Blob, ...]
    manifests: tuple[Blob, ...]
    top: Blob


def build(image: Image) -> Built:
    """Make the bytes of an image. Pure."""
    layer = Blob(LAYER, _tar(f"{image.repository}:{image.tag}\n{image.text}\n".encode()))
    configs = [Blob(CONFIG, encoded(_config(image, platform, layer))) for platform in image.platforms]
    return assembled(layer, configs, image.platforms)


def assembled(layer: Blob, configs: Sequence[Blob], platforms: Sequence[str]) -> Built:
    """An image of one layer with a config a platform; an index over them where there are several. Pure."""
    manifests = [Blob(MANIFEST, encoded(_manifest(config, layer))) for config in configs]
    if len(manifests) == 1:
        return Built((layer, *configs), (), manifests[0])
    children = [
        manifest.descriptor(platform=platform_fields(name)) for manifest, name in zip(manifests, platforms, strict=True)
    ]
    index = Blob(INDEX, encoded({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}))
    return Built((layer, *configs), tuple(manifests), index)


def digest_of(image: Image) -> str:
    """The digest that `Pusher.push` returns for this image."""
    return build(image).top.digest


class Pusher:
    """Pushes to one registry (`host:port`) over one kept connection; for one thread. `timeout` in seconds a request.

    Every method raises SandboxError, with the registry's words, where the registry refuses or does not answer.
    """

    def __init__(self, registry: str, timeout: float = 30.0) -> None:
        self._registry = registry
        self._connection = http.client.HTTPConnection(registry, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def push(self, image: Image) -> str:
        """Push an image, tag last, and return its digest."""
        return self.push_built(image.repository, image.tag, build(image))

    def push_built(self, repository: str, tag: str, built: Built) -> str:
        """Push the bytes of an image, tag last, and return its digest."""
        for blob in built.blobs:
            self._upload(repository, blob)
        for manifest in built.manifests:
            self._put_manifest(repository, manifest, manifest.digest)
        self._put_manifest(repository, built.top, tag)
        return built.top.digest

    def tag(self, image: Image, *more: str) -> str:
        """Let further tags point at an image that was pushed: one request each. Returns its digest."""
        top = build(image).top
        for tag in more:
            self._put_manifest(image.repository, top, tag)
        return top.digest

    def tags(self, repository: str) -> list[str]:
        """The tags of a repository, sorted; none where it does not exist. One page, as distribution answers it."""
        answer = self._ask("GET", f"/v2/{repository}/tags/list", wanted=(200, 404))
        listed = json.loads(answer.body).get("tags") if answer.status == 200 else None
        return sorted(listed or [])

    def delete_tag(self, repository: str, tag: str) -> None:
        """Take a tag away; its manifest stays and is served by digest. One that is not there is no error."""
        self._ask("DELETE", f"/v2/{repository}/manifests/{tag}", wanted=(202, 404))

    def delete_image(self, repository: str, digest: str) -> None:
        """Take a manifest away by digest, and with it every tag on it. One that is not there is no error."""
        self._ask("DELETE", f"/v2/{repository}/manifests/{digest}", wanted=(202, 404))

    def _upload(self, repository: str, blob: Blob) -> None:
        begun = self._ask("POST", f"/v2/{repository}/blobs/uploads/", wanted=(202,))
        where = urlsplit(begun.location)
        query = f"{where.query}&" if where.query else ""
        path = f"{where.path}?{query}digest={blob.digest}"
        self._ask("PUT", path, blob.body, {"Content-Type": BYTES}, wanted=(201,))

    def _put_manifest(self, repository: str, manifest: Blob, reference: str) -> None:
        kind = {"Content-Type": manifest.media_type}
        self._ask("PUT", f"/v2/{repository}/manifests/{reference}", manifest.body, kind, wanted=(201,))

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        wanted: tuple[int, ...],
    ) -> _Answer:
        try:
            answer = self._send(method, path, body, {"Accept": MANIFESTS, **(headers or {})})
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise SandboxError(f"registry {self._registry}: {method} {path}: no answer ({error})") from error
        if answer.status in wanted:
            return answer
        said = " ".join(answer.body[:200].decode(errors="replace").split())
        raise SandboxError(f"registry {self._registry}: {method} {path}: HTTP {answer.status}: {said}")

    def _send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> _Answer:
        self._connection.request(method, path, body or None, dict(headers))
        reply = self._connection.getresponse()
        return _Answer(reply.status, reply.getheader("Location") or "", reply.read())


@dataclass(frozen=True)
class _Answer:
    status: int
    location: str
    body: bytes


def _tar(content: bytes) -> bytes:
    """A layer with one file; no time, no owner, so that equal content makes equal bytes."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo("image.txt")
        entry.size, entry.mode = len(content), 0o444
        archive.addfile(entry, io.BytesIO(content))
    return raw.getvalue()


def platform_fields(name: str) -> dict[str, str]:
    """`linux/arm64/v8` as the fields of an index or a config."""
    return dict(zip(("os", "architecture", "variant"), name.split("/"), strict=False))


def _config(image: Image, platform: str, layer: Blob) -> dict[str, object]:
    labels = {"org.opencontainers.image.version": image.tag}
    files = {"type": "layers", "diff_ids": [layer.digest]}
    return {**platform_fields(platform), "config": {"Labels": labels}, "rootfs": files}


def _manifest(config: Blob, layer: Blob) -> dict[str, object]:
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.descriptor(),
        "layers": [layer.descriptor()],
    }


def encoded(document: Any) -> bytes:  # noqa: ANN401 - JSON is what it is
    """JSON in one form only, so that equal documents are equal bytes."""
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
