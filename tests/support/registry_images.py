"""Images for the fake registry: small, deterministic, with true digests.

Neighbours: `registry` serves them. Not here: layers with content; nothing ever unpacks these images.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest_of(body: bytes) -> str:
    """sha256 of bytes, as registries write it."""
    return "sha256:" + hashlib.sha256(body).hexdigest()


@dataclass
class Repository:
    """What one repository holds: tags to digests, digests to (media type, bytes)."""

    tags: dict[str, str] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def push(self, tag: str, platforms: Sequence[str], content: str, *, single: bool) -> str:
        """Store an image under a tag; its digest. Equal arguments make equal bytes."""
        children = [self._image(platform, content) for platform in platforms]
        if single:
            digest = str(children[0]["digest"])
        else:
            index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [*children, self._attestation(content)]}
            digest = self.put(OCI_INDEX, json.dumps(index).encode())
        self.tags[tag] = digest
        return digest

    def put(self, media_type: str, body: bytes, tag: str = "") -> str:
        """Store the bytes of a manifest; its digest."""
        digest = digest_of(body)
        self.manifests[digest] = (media_type, body)
        if tag:
            self.tags[tag] = digest
        return digest

    def _blob(self, body: bytes) -> str:
        digest = digest_of(body)
        self.blobs[digest] = body
        return digest

    def _image(self, platform: str, content: str) -> dict[str, object]:
        described = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
        config = json.dumps({**described, "config": {"Labels": {"content": content}}}).encode()
        layer = f"{platform} {content}".encode()
        body = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": {"mediaType": OCI_CONFIG, "digest": self._blob(config), "size": len(config)},
                "layers": [{"mediaType": OCI_LAYER, "digest": self._blob(layer), "size": len(layer)}],
            }
        ).encode()
        digest = self.put(OCI_MANIFEST, body)
        return {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(body), "platform": described}

    def _attestation(self, content: str) -> dict[str, object]:
        """What BuildKit adds to an index; it is no platform."""
        body = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [], "of": content}).encode()
        unknown = {"os": "unknown", "architecture": "unknown"}
        return {
            "mediaType": OCI_MANIFEST,
            "digest": self.put(OCI_MANIFEST, body),
            "size": len(body),
            "platform": unknown,
        }
