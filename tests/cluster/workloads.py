"""Workloads for tests on a real API server: manifests, raw writes, and rows as the world would hold them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tests.cluster.api import Api, Json

from pawl.api.errors import Conflict
from pawl.cluster.rows_workloads import decoders
from pawl.decide.objects import PodRow, WorkloadRow

T = TypeVar("T")

PATHS = {
    "Deployment": "apis/apps/v1/namespaces/{}/deployments",
    "StatefulSet": "apis/apps/v1/namespaces/{}/statefulsets",
    "DaemonSet": "apis/apps/v1/namespaces/{}/daemonsets",
    "ReplicaSet": "apis/apps/v1/namespaces/{}/replicasets",
    "Job": "apis/batch/v1/namespaces/{}/jobs",
    "CronJob": "apis/batch/v1/namespaces/{}/cronjobs",
    "Pod": "api/v1/namespaces/{}/pods",
}
VERSIONS = {"Job": "batch/v1", "CronJob": "batch/v1", "Pod": "v1"}


def pod_spec(**images: str) -> Json:
    return {"containers": [{"name": name, "image": image} for name, image in images.items()]}


def manifest(kind: str, name: str, spec: Json, **metadata: Any) -> Json:
    """A workload of `kind` whose Pods have this spec; a Deployment of no Pods."""
    version = VERSIONS.get(kind, "apps/v1")
    meta = {"name": name, "annotations": {"mine": "stays"}, **metadata}
    return {"apiVersion": version, "kind": kind, "metadata": meta, "spec": _spec(kind, name, spec)}


def _spec(kind: str, name: str, spec: Json) -> Json:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": spec}
    if kind == "Pod":
        return spec
    if kind == "Job":
        return {"template": {"spec": {"restartPolicy": "Never", **spec}}}
    if kind == "CronJob":
        return {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": _spec("Job", name, spec)}}
    sized = {} if kind == "DaemonSet" else {"replicas": 0}
    service = {"serviceName": name} if kind == "StatefulSet" else {}
    return {**sized, **service, "selector": {"matchLabels": labels}, "template": template}


def path_of(kind: str, namespace: str, name: str = "") -> str:
    base = PATHS[kind].format(namespace)
    return f"{base}/{name}" if name else base


def create(api: Api, namespace: str, body: Json) -> Json:
    answer = api.post(path_of(body["kind"], namespace), body)
    assert answer.ok, answer.message
    return answer.body


def live(api: Api, kind: str, namespace: str, name: str) -> Json:
    answer = api.get(path_of(kind, namespace, name))
    assert answer.ok, answer.message
    return answer.body


def row_of(api: Api, kind: str, namespace: str, name: str) -> WorkloadRow:
    row = decoders()[kind](json.dumps(live(api, kind, namespace, name)).encode())
    assert isinstance(row, WorkloadRow)
    return row


def pod_row_of(api: Api, namespace: str, name: str) -> PodRow:
    row = decoders()["Pod"](json.dumps(live(api, "Pod", namespace, name)).encode())
    assert isinstance(row, PodRow)
    return row


def template_of(body: Json) -> Json:
    spec = body["spec"]
    found: Json = spec["jobTemplate"]["spec"]["template"] if "jobTemplate" in spec else spec["template"]
    return found


def images_of(body: Json) -> dict[str, str]:
    spec = template_of(body)["spec"]
    found = {each["name"]: each["image"] for group in ("initContainers", "containers") for each in spec.get(group, [])}
    volumes = {each["name"]: each["image"]["reference"] for each in spec.get("volumes", []) if "image" in each}
    return {**found, **volumes}


def managers_of(body: Json) -> list[str]:
    return [each["manager"] for each in body["metadata"]["managedFields"] if not each.get("subresource")]


async def undisturbed(write: Callable[[], Awaitable[T]]) -> T:
    """Write, and read anew and write again while the cluster's own controllers write the status in between."""
    for _ in range(50):
        try:
            return await write()
        except Conflict:
            continue
    raise AssertionError("the object never came to rest")
