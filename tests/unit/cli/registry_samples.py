"""RegistryStorages as the API server hands them out, for tests of what is shown of them."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

GIB = 1 << 30
SINCE = "2026-11-21T10:00:00Z"
CLAIM: Json = {"id": "c1", "kind": "Filesystem", "claim": "main-registry-c1", "ownClaim": True}
BUCKET: Json = {"id": "b1", "kind": "S3", "endpoint": "http://minio:9000", "bucket": "images"}


def condition(kind: str = "Ready", status: str = "True", reason: str = "Serving") -> Json:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": f"{kind} {reason}",
        "lastTransitionTime": SINCE,
    }


def migration(phase: str = "Bulk", **more: object) -> Json:
    figures = {"objects": 100, "objectsDone": 34, "bytes": 40 * GIB, "bytesDone": 14 * GIB}
    return {
        "id": "m1",
        "phase": phase,
        "source": BUCKET,
        "target": CLAIM,
        "startedAt": SINCE,
        "phaseSince": SINCE,
        **figures,
        "bytesPerSecond": 200 << 20,
        "etaSeconds": 130,
        "message": "copies blobs",
        **more,
    }


def document(name: str = "main", namespace: str = "shop", **status: object) -> Json:
    usage = {
        "bytes": 12 * GIB,
        "capacity": 100 * GIB,
        "percent": 13,
        "tags": 250,
        "blobs": 900,
        "repositories": 2,
        "largest": [{"name": "shop/web", "bytes": 8 * GIB, "tags": 200}],
    }
    told = {"phase": "Serving", "address": "main-registry.shop:5000", "store": CLAIM, "usage": usage}
    return {
        "apiVersion": "pawl.dev/v1alpha1",
        "kind": "RegistryStorage",
        "metadata": {"name": name, "namespace": namespace, "generation": 1, "uid": "u"},
        "spec": {},
        "status": {**told, "conditions": [condition()], **status},
    }
