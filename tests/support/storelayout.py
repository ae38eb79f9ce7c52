"""Registries written as files, in the layout of distribution: any shape, any age, any damage, without a push.

    store = Layout(tmp_path)
    web = store.image("shop/web", layers=[b"base", b"app"])
    store.tag("shop/web", "v1", web, age=timedelta(days=3))

Neighbours: `registries` serves what was written; `tests/registry/test_gc_model.py` writes random ones.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLD = timedelta(days=100)
ROOT = "docker/registry/v2"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()


def descriptor(body: bytes, media_type: str = "application/octet-stream", **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(body), "size": len(body), **more}


@dataclass
class Layout:
    """A store below `root`. What is written is remembered in `bodies`, by digest."""

    root: Path
    bodies: dict[str, bytes] = field(default_factory=dict)

    @property
    def base(self) -> Path:
        return self.root / ROOT

    def blob(self, body: bytes) -> str:
        digest = digest_of(body)
        self.bodies[digest] = body
        _write(self.blob_path(digest), body)
        return digest

    def blob_path(self, digest: str) -> Path:
        algorithm, _, value = digest.partition(":")
        return self.base / "blobs" / algorithm / value[:2] / value / "data"

    def revision_path(self, repository: str, digest: str) -> Path:
        return self.repository(repository) / "_manifests/revisions" / digest.replace(":", "/") / "link"

    def layer_path(self, repository: str, digest: str) -> Path:
        return self.repository(repository) / "_layers" / digest.replace(":", "/") / "link"

    def tag_path(self, repository: str, tag: str) -> Path:
        return self.repository(repository) / "_manifests/tags" / tag / "current/link"

    def index_path(self, repository: str, tag: str, digest: str) -> Path:
        return self.repository(repository) / "_manifests/tags" / tag / "index" / digest.replace(":", "/") / "link"

    def repository(self, name: str) -> Path:
        return self.base / "repositories" / name

    def layer(self, repository: str, body: bytes) -> str:
        digest = self.blob(body)
        _write(self.layer_path(repository, digest), digest.encode())
        return digest

    def image(
        self,
        repository: str,
        layers: Iterable[bytes],
        *,
        config: bytes = b"{}",
        subject: str = "",
        age: timedelta = OLD,
    ) -> str:
        """An image; the layers and the config are linked."""
        several = list(layers)
        for body in (config, *several):
            self.layer(repository, body)
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(config),
            "layers": [descriptor(body) for body in several],
            **self._subject(subject),
        }
        return self.manifest(repository, document, age)

    def index(self, repository: str, children: Sequence[str], age: timedelta = OLD) -> str:
        """An index over manifests; a child that was never written is one that is missing."""
        listed = [
            {"mediaType": MANIFEST, "digest": child, "size": len(self.bodies.get(child, b"lost"))} for child in children
        ]
        return self.manifest(repository, {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}, age)

    def manifest(self, repository: str, document: Any, age: timedelta = OLD) -> str:
        return self.revision(repository, json.dumps(document).encode(), age)

    def revision(self, repository: str, body: bytes, age: timedelta = OLD) -> str:
        digest = self.blob(body)
        _write(self.revision_path(repository, digest), digest.encode(), age)
        return digest

    def tag(self, repository: str, tag: str, digest: str, age: timedelta = OLD) -> None:
        _write(self.index_path(repository, tag, digest), digest.encode(), age)
        _write(self.tag_path(repository, tag), digest.encode(), age)

    def upload(self, repository: str, name: str, body: bytes, age: timedelta) -> Path:
        where = self.repository(repository) / "_uploads" / name
        _write(where / "data", body, age)
        _write(where / "startedat", NOW.isoformat().encode(), age)
        return where

    # what is there now

    def tags(self) -> set[tuple[str, str]]:
        """Every directory that the server lists as a tag."""
        found = self.base.glob("repositories/**/_manifests/tags/*")
        return {(self._name(path), path.name) for path in found if path.is_dir()}

    def revisions(self) -> set[tuple[str, str]]:
        found = self.base.glob("repositories/**/_manifests/revisions/*/*/link")
        return {(self._name(path), f"{path.parents[1].name}:{path.parent.name}") for path in found}

    def blobs(self) -> dict[str, bytes]:
        found = self.base.glob("blobs/*/*/*/data")
        return {f"{path.parents[2].name}:{path.parent.name}": path.read_bytes() for path in found}

    def files(self) -> dict[str, bytes]:
        """Every file but those of Pawl."""
        found = [path for path in self.base.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.root)): path.read_bytes() for path in found}

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.base / "repositories")).partition("/_")[0]

    def _subject(self, subject: str) -> dict[str, Any]:
        about = {"mediaType": MANIFEST, "digest": subject, "size": len(self.bodies.get(subject, b"lost"))}
        return {"subject": about} if subject else {}


def _write(path: Path, body: bytes, age: timedelta = OLD) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    moment = (NOW - age).timestamp()
    os.utime(path, (moment, moment))
