"""A namespace for scenarios of overrides: objects in, Pods and images out, waiting on conditions with deadlines.

Neighbours: `rookstage` puts Rook on it, `override_stage_recorder` remembers what happened on it, `appliers` are the
GitOps tools, `override_stage_images` fills registries, `override_stage_specs` writes overrides. Not here: expectations.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from tests.cluster.api import POLICIES, Answer, Api, Json
from tests.cluster.operators import Operator, good, operator_of
from tests.cluster.override_stage_recorder import Recorder, recording
from tests.cluster.rookstage import FakeRook, rook_of

from pawl.cli import demo_rook_chart as rook_chart
from pawl.cli.demo_rook_objects import OPERATOR, image_in
from pawl.sandbox import Cluster

T = TypeVar("T")
POLL = 0.05
PATIENCE = 60.0
"""Seconds for what controllers of a busy machine do: a rollout, a garbage collection."""
HELM = "helm"
CEPH = "registry.example.com/ceph/ceph:v18"
"""What the custom resource names, unless a test says otherwise."""
GROUPS = {
    "pods": "api/v1",
    "configmaps": "api/v1",
    "secrets": "api/v1",
    "serviceaccounts": "api/v1",
    "events": "api/v1",
    "deployments": "apis/apps/v1",
    "replicasets": "apis/apps/v1",
    "daemonsets": "apis/apps/v1",
    "statefulsets": "apis/apps/v1",
    "jobs": "apis/batch/v1",
    "cronjobs": "apis/batch/v1",
    "poddisruptionbudgets": "apis/policy/v1",
    "imageoverrides": POLICIES,
    "imagepolicies": POLICIES,
    "imagerules": POLICIES,
}


def wait_for(ask: Callable[[], T], seconds: float = PATIENCE, what: str = "", *, seen: Callable[[], object] = str) -> T:
    """Ask until the answer is true and return it. AssertionError after `seconds`, with `what` and what `seen` shows."""
    end = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < end, f"after {seconds:g} s not yet: {what or ask}; seen: {seen()}"
        time.sleep(POLL)
    return answer


@dataclass(frozen=True)
class Stage:
    """One namespace of a real cluster. `directory` is where processes log."""

    api: Api
    cluster: Cluster
    namespace: str
    directory: Path

    @property
    def registry(self) -> str:
        """`host:port` of the sandbox's registry."""
        assert self.cluster.registry, "this cluster has no registry"
        return self.cluster.registry

    def path(self, plural: str, name: str = "") -> str:
        return f"{GROUPS[plural]}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    # what users write

    def apply(self, *objects: Json, manager: str = HELM) -> None:
        """Apply objects on the server, as Helm does since version 4."""
        for body in objects:
            good(self.api.apply(self.path(plural_of(body), body["metadata"]["name"]), body, manager))

    def apply_cluster(self, body: Json, manager: str = HELM) -> None:
        """Apply an object without a namespace of ours: a ClusterImageOverride."""
        good(self.api.apply(f"{POLICIES}/{plural_of(body)}/{body['metadata']['name']}", body, manager))

    def edit(self, plural: str, name: str, patch: Json) -> Json:
        """Change an object by a merge patch, as `kubectl edit` does; the object after it."""
        return good(self.api.merge(self.path(plural, name), patch)).body

    def set_image(self, plural: str, name: str, image: str) -> Json:
        """Change the image of the first container, of a template or of a Pod."""
        place = "/spec/containers/0/image" if plural == "pods" else "/spec/template/spec/containers/0/image"
        return good(self.api.json_patch(self.path(plural, name), {"op": "replace", "path": place, "value": image})).body

    def delete(self, plural: str, name: str, propagation: str = "Background") -> Answer:
        return self.api.delete(f"{self.path(plural, name)}?propagationPolicy={propagation}")

    def kubectl(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run the sandbox's kubectl in the namespace."""
        environ = {**os.environ, **self.cluster.env, "KUBECONFIG": str(self.cluster.kubeconfig)}
        argv = [environ.get("KUBECTL", "kubectl"), "-n", self.namespace, *arguments]
        return subprocess.run(argv, env=environ, input=stdin, capture_output=True, text=True, check=False)

    # Rook

    def install(self, image: str, ceph: str = CEPH) -> None:
        """Install Rook's chart, or upgrade to another image, and wait for the operator's Pod."""
        self.apply(*rook_chart.chart(image, ceph))
        self.wait(lambda: self.settled("deployments", OPERATOR), "the operator's Pod to be Ready")

    def upgrade(self, image: str) -> None:
        """Change the chart's value of the image, and wait for the operator's new Pod."""
        self.apply(rook_chart.operator(image))
        self.wait(lambda: self.settled("deployments", OPERATOR), "the operator's new Pod to be Ready")

    def set_cluster_image(self, image: str) -> None:
        """Edit the image that the custom resource names."""
        self.apply(rook_chart.cluster(image))

    @contextmanager
    def rook(self, *modes: str, period: float = 0.5) -> Iterator[FakeRook]:
        """The operator that plays Rook, as a process."""
        with rook_of(self.cluster.kubeconfig, self.directory, self.namespace, *modes, period=period) as running:
            yield running

    @contextmanager
    def recording(self) -> Iterator[Recorder]:
        """Remember all that happens to workloads and Pods here, from now on."""
        with recording(self.cluster.kubeconfig, self.namespace) as recorder:
            yield recorder

    # what users see

    def read(self, plural: str, name: str) -> Json:
        return good(self.api.get(self.path(plural, name))).body

    def find(self, plural: str, name: str) -> Json | None:
        """An object, None where there is none."""
        answer = self.api.get(self.path(plural, name))
        return answer.body if answer.ok else None

    def find_all(self, plural: str, selector: str = "") -> Sequence[Json]:
        suffix = f"?labelSelector={selector}" if selector else ""
        items: Sequence[Json] = good(self.api.get(self.path(plural) + suffix)).body["items"]
        return items

    def pods(self, app: str = "") -> Sequence[Json]:
        """Pods that are not about to go; of one app, if named."""
        found = self.find_all("pods", f"app={app}" if app else "")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def images(self, app: str = "") -> dict[str, dict[str, str]]:
        """Images by Pod and container, init containers among them."""
        return {pod["metadata"]["name"]: images_of(pod["spec"]) for pod in self.pods(app)}

    def image(self, plural: str, name: str) -> str:
        """Image of the first container of a template or of a Pod; "" where the object is not there."""
        found = self.find(plural, name)
        return image_in(found) if found else ""

    def conditions(self, plural: str, name: str) -> dict[str, str]:
        """The conditions of an object as `{"Ready": "True/Succeeded"}`; {} where there are none yet."""
        found = (self.find(plural, name) or {}).get("status", {}).get("conditions", [])
        return {each["type"]: f"{each['status']}/{each.get('reason', '')}" for each in found}

    def settled(self, plural: str, name: str) -> bool:
        """Whether a workload's controller has seen the newest generation and all Pods are of it and Ready."""
        found = self.find(plural, name)
        return found is not None and is_settled(found)

    def waiting(self, app: str) -> Sequence[str]:
        """Why the containers of an app's Pods wait."""
        states = [state for pod in self.pods(app) for state in pod["status"].get("containerStatuses", [])]
        return [state["state"]["waiting"]["reason"] for state in states if "waiting" in state["state"]]

    def wait(self, ask: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
        """`wait_for`, with the Pods and their images told where it fails."""
        return wait_for(ask, seconds, what, seen=self.images)


@contextmanager
def stage_of(api: Api, cluster: Cluster, directory: Path, **labels: str) -> Iterator[Stage]:
    """A fresh namespace with these labels; it goes at the end, with all that is in it."""
    name = f"s-{uuid4().hex[:10]}"
    metadata = {"name": name, "labels": labels}
    good(api.post("api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))
    try:
        yield Stage(api, cluster, name, directory)
    finally:
        api.delete(f"api/v1/namespaces/{name}")


@contextmanager
def pawl_of(stage: Stage, *arguments: str, plain: Sequence[str] = ()) -> Iterator[Operator]:
    """One replica of Pawl that leads and keeps the gate; `plain` are registries without TLS besides the sandbox's."""
    hosts = [*plain, *([stage.cluster.registry] if stage.cluster.registry else [])]
    flags = ("--manage-gate", *(("--plain-http-hosts", ",".join(hosts)) if hosts else ()), *arguments)
    with operator_of(stage.cluster.kubeconfig, stage.directory, *flags) as running:
        yield running


def plural_of(body: Json) -> str:
    kind = str(body["kind"]).lower()
    return kind if kind.endswith("rules") else f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"


def images_of(spec: Json) -> dict[str, str]:
    """Images of a Pod spec by the name of the container."""
    groups = ("initContainers", "containers", "ephemeralContainers")
    return {each["name"]: each["image"] for group in groups for each in spec.get(group, [])}


def is_settled(workload: Json) -> bool:
    status, spec = workload.get("status", {}), workload["spec"]
    if status.get("observedGeneration", 0) < workload["metadata"]["generation"]:
        return False
    if workload["kind"] == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        return bool(wanted) and status.get("updatedNumberScheduled", 0) == status.get("numberReady", 0) == wanted
    wanted = spec.get("replicas", 1)
    counts = (status.get("replicas", 0), status.get("updatedReplicas", 0), status.get("readyReplicas", 0))
    return counts == (wanted, wanted, wanted)
