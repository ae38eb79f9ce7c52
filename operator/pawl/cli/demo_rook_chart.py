"""What Rook's chart installs, cut down to what makes a simulated operator run; a user applies it. Pure.

The operator's image is a value of the chart and reaches nothing but the operator's Deployment, as in the real one
(`rook/rook: deploy/charts/rook-ceph/templates/deployment.yaml`).
Neighbours: `demo_rook_objects` is what the operator makes by itself. Not here: rights, which the simulation has anyway.
"""

from __future__ import annotations

from pawl.cli.demo_rook_objects import CLUSTER, OPERATOR, WORKER, Json


def chart(image: str, ceph: str) -> list[Json]:
    """Everything: `image` is the operator's, `ceph` the one that the custom resource names."""
    return [account(OPERATOR), account(WORKER), cluster(ceph), operator(image)]


def account(name: str) -> Json:
    """A ServiceAccount without pull Secrets."""
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}


def cluster(ceph: str) -> Json:
    """The ConfigMap that stands for the custom resource."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CLUSTER}, "data": {"image": ceph}}


def operator(image: str) -> Json:
    """The operator's Deployment: one Pod, and none beside it while it is replaced, as the chart has it."""
    container = {"name": OPERATOR, "image": image, "args": ["ceph", "operator"]}
    spec = {
        "replicas": 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": {"app": OPERATOR}},
        "template": {
            "metadata": {"labels": {"app": OPERATOR}},
            "spec": {"serviceAccountName": OPERATOR, "containers": [container]},
        },
    }
    metadata = {"name": OPERATOR, "labels": {"app": OPERATOR}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
