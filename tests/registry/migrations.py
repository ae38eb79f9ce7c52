"""A registry as files, made without a server, and what tests of migrations ask of one.

The walk here is the tests' own: it shares nothing with the engine but the names of keys.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass, field
from pathlib import Path

from pawl.api.registrystorage_spec import Verify
from pawl.api.registrywork import Order, Place, Report, Task
from pawl.decide import layout
from pawl.jobs.copystore import Patience
from pawl.jobs.migrate import Edges

OCI = "application/vnd.oci.image"
QUICK = Edges(patience=Patience(first=0.05, longest=0.1, total=2.0))


@dataclass
class Tree:
    """A registry below a directory. `seed` makes its bytes."""

    root: Path
    seed: int = 1
    made: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.made = random.Random(self.seed)
        (self.root / layout.ROOT).mkdir(parents=True, exist_ok=True)

    def put(self, key: str, body: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    def blob(self, body: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        self.put(layout.blob_key(digest), body)
        return {"digest": digest, "size": len(body), "mediaType": f"{OCI}.layer.v1.tar"}

    def layer(self, size: int) -> dict[str, object]:
        return self.blob(self.made.randbytes(size))

    def link(self, key: str, digest: str) -> None:
        self.put(key, digest.encode())

    def manifest(self, repository: str, document: dict[str, object]) -> dict[str, object]:
        described = self.blob(json.dumps(document).encode())
        self.link(layout.revision_link_key(repository, str(described["digest"])), str(described["digest"]))
        return described | {"mediaType": document["mediaType"]}

    def image(self, repository: str, *sizes: int) -> dict[str, object]:
        layers = [self.layer(size) for size in sizes]
        config = self.blob(json.dumps({"n": self.made.random()}).encode())
        for described in (config, *layers):
            digest = str(described["digest"])
            self.link(layout.layer_link_key(repository, digest), digest)
        media = f"{OCI}.manifest.v1+json"
        return self.manifest(repository, {"schemaVersion": 2, "mediaType": media, "config": config, "layers": layers})

    def index(self, repository: str, *images: dict[str, object]) -> dict[str, object]:
        media = f"{OCI}.index.v1+json"
        return self.manifest(repository, {"schemaVersion": 2, "mediaType": media, "manifests": list(images)})

    def tag(self, repository: str, tag: str, described: dict[str, object]) -> None:
        digest = str(described["digest"])
        self.link(layout.tag_index_key(repository, tag, digest), digest)
        self.link(layout.tag_current_key(repository, tag), digest)

    def fill(self, images: int = 6) -> Tree:
        """Put in images, an index, an untagged one, an upload and two strange files."""
        for number in range(images):
            repository = f"team/app{number % 3}"
            self.tag(repository, f"v{number}", self.image(repository, 700 + number, 4000, 1 << 16))
        parts = [self.image("multi", 3000), self.image("multi", 5000)]
        self.tag("multi", "latest", self.index("multi", *parts))
        self.image("team/app0", 100)
        self.put("docker/registry/v2/repositories/team/app0/_uploads/11-22/data", b"half")
        self.put("docker/registry/v2/scheduler-state.json", b"{}")
        self.put("lost+found/x", b"y")
        return self


def contents(root: Path) -> dict[str, str]:
    """What of a registry must be the same after a move: key to hash of bytes."""
    found = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
    kinds = {layout.EntryKind.BLOB, *layout.LINKS}
    return {
        key: hashlib.sha256(path.read_bytes()).hexdigest()
        for key, path in found.items()
        if layout.parse(key).kind in kinds
    }


def dangling(root: Path) -> list[str]:
    """What tags lead to that is not there, or not whole."""
    bad: list[str] = []
    for link in root.glob("docker/registry/v2/repositories/**/_manifests/tags/*/current/link"):
        repository = str(link.relative_to(root / layout.REPOSITORIES)).partition("/_manifests")[0]
        _follow(root, repository, link.read_text(), str(link), bad)
    return bad


def _follow(root: Path, repository: str, digest: str, asked_by: str, bad: list[str]) -> None:
    path = root / layout.blob_key(digest)
    held = (root / layout.revision_link_key(repository, digest)).is_file()
    if not held or not path.is_file() or f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" != digest:
        bad.append(f"{asked_by} -> {digest}")
        return
    document = json.loads(path.read_bytes())
    for child in document.get("manifests", ()):
        _follow(root, repository, child["digest"], digest, bad)
    for blob in (*document.get("layers", ()), *filter(None, [document.get("config")])):
        file = root / layout.blob_key(blob["digest"])
        linked = root / layout.layer_link_key(repository, blob["digest"])
        if not linked.is_file() or not file.is_file() or file.stat().st_size != blob["size"]:
            bad.append(f"{digest} -> {blob['digest']}")


def at(root: Path) -> Place:
    return Place(kind="Filesystem", path=str(root))


def order(task: Task, source: Place, target: Place, name: str = "m1", verify: Verify = Verify.DEEP) -> Order:
    return Order(task=task, id=name, source=source, target=target, verify=verify)


def silent(report: Report) -> None:
    del report
