"""Simulated nodes by KWOK: Nodes that no kubelet stands behind, whose Pods become Ready without running anything.

Only Nodes with the annotation `kwok.x-k8s.io/node: fake` are managed, so a real node may stand beside them. How Pods
behave is told in `kwok_stages.yaml`. Nodes are made with their capacity at once; KWOK adds conditions and leases.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pawl.api.errors import SandboxError
from pawl.sandbox.place import Place
from pawl.sandbox.processes import Command
from pawl.sandbox.rest import Api

STAGES = Path(__file__).parent / "kwok_stages.yaml"
ANNOTATION = "kwok.x-k8s.io/node"
CAPACITY = {"cpu": "64", "memory": "256Gi", "pods": "1000"}
CREATED, EXISTS = 201, 409


def kwok(place: Place) -> Command:
    """The KWOK controller."""
    arguments = [
        f"--kubeconfig={place.pki('kwok.kubeconfig')}",
        f"--config={STAGES}",
        f"--manage-nodes-with-annotation-selector={ANNOTATION}=fake",
        "--manage-all-nodes=false",
        "--node-lease-duration-seconds=40",
        # At its default level KWOK logs each patch of each Pod, with source lines: gigabytes in a bench.
        "--v=WARN",
    ]
    return Command("kwok", (place.binary("kwok"), *arguments))


def node(index: int) -> dict[str, Any]:
    """The Node object number `index`, counted from 0."""
    name = f"node-{index}"
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "node-role.kubernetes.io/worker": "",
        "type": "kwok",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {ANNOTATION: "fake"}},
        "status": {
            "capacity": CAPACITY,
            "allocatable": CAPACITY,
            "nodeInfo": {"architecture": "amd64", "operatingSystem": "linux", "kubeletVersion": "v1.36.3"},
        },
    }


def create_nodes(api: Api, count: int) -> None:
    """Make `node-0` to `node-<count-1>`; those that exist are kept. Raises SandboxError when the server refuses."""
    for index in range(count):
        answer = api.call("POST", "/api/v1/nodes", node(index))
        if answer.status not in {CREATED, EXISTS}:
            raise SandboxError(f"Node node-{index} was refused by the API server ({answer.status}): {answer.body}")


def ready_nodes(api: Api) -> int:
    """How many Nodes are Ready now."""
    body = api.get("/api/v1/nodes").body
    items = body.get("items", []) if isinstance(body, dict) else []
    return sum("True" in set(_ready_conditions(item)) for item in items)


def _ready_conditions(item: dict[str, Any]) -> Iterator[str]:
    conditions = item.get("status", {}).get("conditions", [])
    return (condition["status"] for condition in conditions if condition["type"] == "Ready")
