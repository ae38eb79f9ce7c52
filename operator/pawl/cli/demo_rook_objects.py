"""What the operator that plays Rook writes: DaemonSet, Jobs, Deployment and bare Pods, as manifests. Pure.

The forms follow Rook where images and owners are concerned (`rook/rook: pkg/operator/discover/discover.go`,
`pkg/operator/ceph/cluster/osd/provision_spec.go`): owners are copied from the operator's own Pod without
blockOwnerDeletion, a prepare Pod has two images from two sources.
Neighbours: `demo_rook_life` decides when they are written. Not here: the chart's objects, which a user applies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pawl.cluster.resources import Resource

Json = dict[str, Any]
OwnerKind = Literal["replicaset", "deployment", "configmap"]

DAEMON_SETS: Final = Resource("apps", "v1", "daemonsets")
DEPLOYMENTS: Final = Resource("apps", "v1", "deployments")
REPLICA_SETS: Final = Resource("apps", "v1", "replicasets")
JOBS: Final = Resource("batch", "v1", "jobs")
NODES: Final = Resource("", "v1", "nodes", namespaced=False)

OPERATOR: Final = "rook-ceph-operator"
"""Name of the operator's Deployment, and the value of the label `app` on its Pods."""
CLUSTER: Final = "rook-ceph-cluster"
"""The ConfigMap that stands for the custom resource; its key `image` is the field that names an image."""
DISCOVER: Final = "rook-discover"
PREPARE: Final = "rook-prepare"
MON: Final = "rook-mon"
WORKER: Final = "rook-worker"
"""Prefix of the bare Pods, and their ServiceAccount."""
DELAY: Final = "pod-complete.stage.kwok.x-k8s.io/delay"
"""Annotation by which a simulated Pod of a Job runs for a while."""


@dataclass(frozen=True, slots=True)
class Modes:
    """How the operator behaves; times in seconds."""

    namespace: str
    period: float = 2.0
    skip_if_exists: bool = False
    put_loop: float = 0.0
    """PUT the DaemonSet again after so long; 0: once per start."""
    revert: bool = False
    workers: int = 0
    pod_compare: bool = False
    owner: OwnerKind = "replicaset"
    """What owns Jobs, Deployment and bare Pods. In Rook a custom resource does: `configmap`."""
    job_image: str = ""
    """Image of a Job's main container; "": the operator's own."""
    job_node: str = ""
    """The node whose Job has that image; "": all."""
    job_runs: str = ""
    """How long a simulated Pod of a Job runs, as Go writes durations; "": it completes at once."""


@dataclass(frozen=True, slots=True)
class Own:
    """What the operator knows of its own Pod, read once at its start."""

    pod: str
    uid: str
    image: str
    owners: tuple[Json, ...]


def own_of(pod: Json) -> Own:
    """Read a Pod as the operator reads its own."""
    metadata = pod["metadata"]
    return Own(metadata["name"], metadata["uid"], pod["spec"]["containers"][0]["image"], unblocked(metadata))


def unblocked(metadata: Json) -> tuple[Json, ...]:
    """The ownerReferences of an object without blockOwnerDeletion."""
    owners = metadata.get("ownerReferences", [])
    return tuple({key: value for key, value in owner.items() if key != "blockOwnerDeletion"} for owner in owners)


def owner_of(api_version: str, kind: str, metadata: Json) -> Json:
    """A controller's ownerReference to an object."""
    named = {"name": metadata["name"], "uid": metadata["uid"]}
    return {"apiVersion": api_version, "kind": kind, **named, "controller": True}


def discover(own: Own) -> Json:
    """The DaemonSet that looks for disks; its image is the operator's own."""
    template = _template(DISCOVER, {"containers": [{"name": "rook-discover", "image": own.image}]})
    spec = {"selector": _selector(DISCOVER), "updateStrategy": {"type": "RollingUpdate"}, "template": template}
    return _object("apps/v1", "DaemonSet", DISCOVER, own.owners) | {"spec": spec}


def prepare(own: Own, modes: Modes, node: str, owners: Sequence[Json]) -> Json:
    """The Job that prepares one node: binaries come from the operator's image, the work from another's."""
    image = modes.job_image if modes.job_node in ("", node) else ""
    pod = {
        "restartPolicy": "Never",
        "nodeSelector": {"kubernetes.io/hostname": node},
        "initContainers": [{"name": "copy-bins", "image": own.image}],
        "containers": [{"name": "provision", "image": image or own.image}],
    }
    template = _template(PREPARE, pod)
    if modes.job_runs:
        template["metadata"]["annotations"] = {DELAY: modes.job_runs}
    # A Pod that fails would be made anew by the Job itself: only the operator is to do that.
    spec = {"backoffLimit": 0, "template": template}
    return _object("batch/v1", "Job", prepare_name(node), owners) | {"spec": spec}


def prepare_name(node: str) -> str:
    """Name of the Job of one node."""
    return f"{PREPARE}-{node}"


def mon(image: str, owners: Sequence[Json]) -> Json:
    """The Deployment of a daemon, with the image that the custom resource names."""
    template = _template(MON, {"containers": [{"name": "mon", "image": image}]})
    spec = {"replicas": 1, "selector": _selector(MON), "template": template}
    return _object("apps/v1", "Deployment", MON, owners) | {"spec": spec}


def worker(own: Own, index: int, owners: Sequence[Json]) -> Json:
    """A bare Pod with the operator's own image."""
    body = _object("v1", "Pod", f"{WORKER}-{index}", [_follower(owner) for owner in owners])
    container = {"name": "worker", "image": own.image}
    return body | {"spec": {"restartPolicy": "Never", "serviceAccountName": WORKER, "containers": [container]}}


def _follower(owner: Json) -> Json:
    """A ReplicaSet lets go of Pods that it controls and does not select, so it only owns the worker."""
    return owner | {"controller": False} if owner["kind"] == "ReplicaSet" else owner


def image_in(body: Json) -> str:
    """The image of the first container of a Pod, or of a template."""
    spec = body["spec"]
    image: str = spec.get("template", {}).get("spec", spec)["containers"][0]["image"]
    return image


def _object(api_version: str, kind: str, name: str, owners: Sequence[Json]) -> Json:
    metadata = {"name": name, "labels": {"app": name}, "ownerReferences": list(owners)}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def _selector(app: str) -> Json:
    return {"matchLabels": {"app": app}}


def _template(app: str, spec: Json) -> Json:
    return {"metadata": {"labels": {"app": app}}, "spec": spec}
