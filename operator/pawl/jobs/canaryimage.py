"""A tiny image that a probe pushes and a kubelet pulls: one layer with one file, and a label that makes it new.

An index over several platforms, so that a node of any of them finds its own. Pure. Neighbours: `probe` pushes it.
Not here: I/O, randomness.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from pawl.registry.servercheck import Blob

INDEX: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar"

_MACHINES: Final = MappingProxyType({"x86_64": "amd64", "aarch64": "arm64"})
_ARCHITECTURES: Final = ("amd64", "arm64")
"""Those that clusters mix; that of the probe itself is added where it is another."""


@dataclass(frozen=True, slots=True)
class CanaryImage:
    """What is pushed: blobs, then the manifest of each platform by digest, the index at last."""

    blobs: tuple[Blob, ...]
    manifests: tuple[Blob, ...]
    index: Blob


def canary_image(label: str, machine: str) -> CanaryImage:
    """Return the image for a label and a machine as `platform.machine()` names it. Equal arguments, equal bytes."""
    architectures = tuple(dict.fromkeys((*_ARCHITECTURES, _MACHINES.get(machine, machine))))
    layer = Blob(LAYER, _layer())
    configs = tuple(Blob(CONFIG, _json(_config(label, architecture, layer))) for architecture in architectures)
    manifests = tuple(Blob(MANIFEST, _json(_manifest(config, layer))) for config in configs)
    return CanaryImage((layer, *configs), manifests, Blob(INDEX, _json(_index(manifests, architectures))))


def children_of(index: bytes) -> list[str]:
    """Return the digests that an index of ours names; none of what is no index."""
    try:
        named = [child["digest"] for child in json.loads(index)["manifests"]]
    except (ValueError, KeyError, TypeError):
        return []
    return [digest for digest in named if isinstance(digest, str)]


def _config(label: str, architecture: str, layer: Blob) -> dict[str, Any]:
    return {
        "architecture": architecture,
        "os": "linux",
        "config": {"Labels": {"dev.pawl.canary": label}, "Cmd": ["/canary"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
    }


def _manifest(config: Blob, layer: Blob) -> dict[str, Any]:
    head = {"schemaVersion": 2, "mediaType": MANIFEST}
    return {**head, "config": _descriptor(config), "layers": [_descriptor(layer)]}


def _index(manifests: Sequence[Blob], architectures: Sequence[str]) -> dict[str, Any]:
    children = [
        {**_descriptor(manifest), "platform": {"os": "linux", "architecture": architecture}}
        for manifest, architecture in zip(manifests, architectures, strict=True)
    ]
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": children}


def _descriptor(blob: Blob) -> dict[str, Any]:
    return {"mediaType": blob.media_type, "digest": blob.digest, "size": len(blob.body)}


def _layer() -> bytes:
    content, raw = b"pushed by Pawl to prove that this registry takes and gives images\n", io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo("canary.txt")
        entry.size, entry.mode = len(content), 0o444
        archive.addfile(entry, io.BytesIO(content))
    return raw.getvalue()


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
