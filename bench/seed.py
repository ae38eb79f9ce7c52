"""Fills a distribution server's filesystem with repositories, in its own layout: 100,000 pushes would take minutes.

Layout: distribution `registry/storage/paths.go` (docker/registry/v2). Every repository has one image under many tags,
so a tag is a link file; the server reads them as if they had been pushed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def image(text: str) -> tuple[bytes, bytes]:
    """Return config and manifest of an image of one empty layer list."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "comment": text}).encode()
    descriptor = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": digest(config),
        "size": len(config),
    }
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor, "layers": []}
    return config, json.dumps(manifest).encode()


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def repository(root: Path, name: str, tags: Iterable[str], text: str = "seed") -> None:
    """Write one repository whose tags all name one image."""
    base = root / "docker/registry/v2"
    home = base / "repositories" / name
    config, manifest = image(text)
    for data in (config, manifest):
        _blob(base, data)
        _link(home / "_layers" / "sha256" / digest(data)[7:] / "link", digest(data))
    wanted = digest(manifest)
    _link(home / "_manifests/revisions/sha256" / wanted[7:] / "link", wanted)
    for tag in tags:
        _link(home / "_manifests/tags" / tag / "current/link", wanted)
        _link(home / "_manifests/tags" / tag / "index/sha256" / wanted[7:] / "link", wanted)


def _blob(base: Path, data: bytes) -> None:
    name = digest(data)[7:]
    path = base / "blobs/sha256" / name[:2] / name / "data"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(target)


def versions(count: int) -> list[str]:
    """Return `count` semantic versions, v0.0.0 upwards."""
    return [f"v{number // 100}.{number // 10 % 10}.{number % 10}" for number in range(count)]
