"""What a user writes in the third part of the demo: a Secret, and a registry on MinIO, later on a local volume. Pure.

The node is written before its kubelet comes, with a taint, so that nothing but the registry's Pods is put on it.
Neighbours: `demo_registry_stage` applies. Not here: the bytes that are pushed (`demo_registry_layer`).
"""

from __future__ import annotations

import json
from typing import Any, Final

from pawl.api.meta import API_VERSION
from pawl.sandbox.images import Image
from pawl.sandbox.minio import Minio

Json = dict[str, Any]

IMAGE: Final = "pawl:demo"
"""Pawl's own image, which its Jobs run; the node takes this Python for it."""
NODE: Final = "host"
NAMESPACE: Final = "registries"
NAME: Final = "main"
BUCKET: Final = "images"
SECRET: Final = "minio"
TAINT: Final = "pawl.dev/demo"

PLATFORMS: Final = ("linux/amd64", "linux/arm64")
TEXT: Final = "pawl demo\n" * 20_000
PULLED: Final = tuple(Image("shop/web", tag, TEXT, PLATFORMS) for tag in ("v1.0.0", "v1.1.0", "v1.2.0"))
"""What the client pulls all the time."""
ROTTEN: Final = Image("shop/archive", "v0.1.0", TEXT)
"""What nobody has pulled for long: where bytes rot unseen."""


def node() -> str:
    """The node, tainted before it is Ready."""
    taint = {"key": TAINT, "value": NODE, "effect": "NoSchedule"}
    labels = {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"}
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": labels}}
    return json.dumps(body | {"spec": {"taints": [taint]}})


def home(minio: Minio) -> str:
    """The registry's namespace, with the keys of the bucket."""
    place = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    keys = {"accessKey": minio.access_key, "secretKey": minio.secret_key}
    metadata = {"name": SECRET, "namespace": NAMESPACE}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": keys}
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [place, secret]})


def on_bucket(minio: Minio) -> Json:
    """`spec.storage` for the bucket."""
    return {"s3": {"endpoint": minio.endpoint, "bucket": BUCKET, "credentialsSecretRef": {"name": SECRET}}}


def on_volume() -> Json:
    """`spec.storage` for a local volume."""
    return {"filesystem": {"size": "10Gi"}}


def registry(storage: Json, port: int) -> str:
    """The registry, named by a NodePort on loopback. How full this machine's disk is must not decide what is seen."""
    spec: Json = {
        "storage": storage,
        "server": {
            "nodeSelector": {"kubernetes.io/hostname": NODE},
            "tolerations": [{"key": TAINT, "operator": "Exists"}],
        },
        "access": {"host": f"127.0.0.1:{port}", "service": {"type": "NodePort", "nodePort": port}},
        "pressure": {"expandAt": 97, "collectAt": 98, "readOnlyAt": 99},
        "migration": {"rollbackWindow": "1h"},
    }
    metadata = {"name": NAME, "namespace": NAMESPACE}
    return json.dumps({"apiVersion": API_VERSION, "kind": "RegistryStorage", "metadata": metadata, "spec": spec})
