"""The Node, its lease and its StorageClass as objects. Pure."""

from __future__ import annotations

import platform
from datetime import datetime
from typing import Any

Json = dict[str, Any]

PROVISIONER = "pawl.dev/host"
CLASS = "host"
CAPACITY = {"cpu": "16", "memory": "64Gi", "pods": "200", "ephemeral-storage": "500Gi"}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def stamp(now: datetime) -> str:
    """A time as Kubernetes writes it."""
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def node(name: str) -> Json:
    """The Node. KWOK leaves it alone, as it has not KWOK's annotation."""
    arch = ARCHITECTURES.get(platform.machine(), platform.machine())
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": arch,
        "pawl.dev/host-node": "true",
    }
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def node_status(now: datetime) -> Json:
    """What the Node says of itself."""
    quiet = ("MemoryPressure", "DiskPressure", "PIDPressure")
    said = [("Ready", "True", "KubeletReady"), *((kind, "False", "KubeletHasSufficient") for kind in quiet)]
    conditions = [
        {"type": kind, "status": status, "reason": reason, "message": "", "lastHeartbeatTime": stamp(now)}
        for kind, status, reason in said
    ]
    info = {"architecture": "amd64", "operatingSystem": "linux", "kubeletVersion": "v1.36.3"}
    address = [{"type": "InternalIP", "address": "127.0.0.1"}]
    facts = {"capacity": CAPACITY, "allocatable": CAPACITY, "nodeInfo": info, "addresses": address}
    return {"status": {**facts, "conditions": conditions}}


def lease(name: str, now: datetime) -> Json:
    """The sign of life that the node controller looks for."""
    renewed = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": renewed},
    }


def storage_class() -> Json:
    """The class whose claims are directories here; it is the default, and its claims may grow."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
        "allowVolumeExpansion": True,
    }


def volume(claim: Json, path: str, node_name: str, policy: str) -> Json:
    """The PersistentVolume for a claim, bound to it from the start, and to this node."""
    meta, spec = claim["metadata"], claim["spec"]
    bound = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": meta["namespace"], "name": meta["name"]}
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node_name]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": f"pvc-{meta['uid']}",
            "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER},
        },
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": policy,
            "storageClassName": spec["storageClassName"],
            "claimRef": bound | {"uid": meta["uid"]},
            "hostPath": {"path": path, "type": "DirectoryOrCreate"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }
