"""A tiny image that a probe pushes and a kubelet pulls: one layer with one file, and a label that makes it new.

Pure. Neighbours: `probe` pushes it. Not here: I/O, randomness.
"""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pawl.registry.servercheck import Blob

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar"

_ARCHITECTURES: Final = MappingProxyType({"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"})


@dataclass(frozen=True, slots=True)
class CanaryImage:
    """What is pushed: blobs first, then the manifest."""

    blobs: tuple[Blob, ...]
    manifest: Blob


def canary_image(label: str, machine: str) -> CanaryImage:
    """Return the image for a label and a machine as `platform.machine()` names it. Equal arguments, equal bytes."""
    layer = Blob(LAYER, _layer())
    config = Blob(CONFIG, _json(_config(label, _ARCHITECTURES.get(machine, machine), layer)))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _descriptor(config),
        "layers": [_descriptor(layer)],
    }
    return CanaryImage((layer, config), Blob(MANIFEST, _json(manifest)))


def _config(label: str, architecture: str, layer: Blob) -> dict[str, object]:
    return {
        "architecture": architecture,
        "os": "linux",
        "config": {"Labels": {"dev.pawl.canary": label}, "Cmd": ["/canary"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
    }


def _descriptor(blob: Blob) -> dict[str, object]:
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
