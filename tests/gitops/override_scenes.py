"""Every state of an override that a health check tells apart, brought about by the running operator.

Overrides of one namespace and of the cluster go through the same plays; `Wish` says which one is written.
Neighbours: `policy_scenes` does it for policies, `fixtures` writes down what comes out. Not here: expectations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.cluster.api import POLICIES, Json
from tests.cluster.operators import good
from tests.cluster.override_scene import PUBLIC, Scene
from tests.cluster.override_stage import plural_of, wait_for
from tests.cluster.override_stage_specs import cluster_override, enforcement, override, rollout, rule
from tests.cluster.override_stage_workloads import bare_pod, deployment

CLUSTER: Final = "clusterimageoverride"
NAME: Final = "mirror"
CHURN: Final = 12
"""Pods that an owner deletes, at most, before Pawl is expected to step back."""


@dataclass(frozen=True)
class Wish:
    """One override in one scene: written, changed and read, whichever of the two kinds it is."""

    scene: Scene
    kind: str

    @property
    def name(self) -> str:
        """Objects of the cluster need a name that no other scene has."""
        return f"{NAME}-{self.scene.stage.namespace}" if self.kind == CLUSTER else NAME

    @property
    def path(self) -> str:
        where = "" if self.kind == CLUSTER else f"/namespaces/{self.scene.stage.namespace}"
        return f"{POLICIES}{where}/{self.kind}s/{self.name}"

    def body(self, *rules: Json, **spec: Any) -> Json:
        """The override from the public registry to the mirror, unless there are other rules."""
        wanted = rules or (rule(PUBLIC, self.scene.place),)
        fields = {"enforcement": enforcement(), "rollout": rollout()} | spec
        if self.kind != CLUSTER:
            return override(*wanted, name=self.name, **fields)
        labels = {"kubernetes.io/metadata.name": self.scene.stage.namespace}
        return cluster_override(*wanted, namespaces=labels, name=self.name, **fields)

    def apply(self, *rules: Json, **spec: Any) -> Json:
        return good(self.scene.stage.api.apply(self.path, self.body(*rules, **spec), "kubectl")).body

    def read(self) -> Json:
        return good(self.scene.stage.api.get(self.path)).body

    def said(self) -> dict[str, str]:
        """The conditions of the newest generation as `{"Ready": "True/Verified"}`."""
        found = self.read()
        if found["status"].get("observedGeneration") != found["metadata"]["generation"]:
            return {}
        return {one["type"]: f"{one['status']}/{one['reason']}" for one in found["status"].get("conditions", [])}

    def until(self, condition: str, value: str) -> Json:
        """Wait for a condition such as ("Ready", "True/Verified"); the override that has it."""
        wait_for(lambda: self.said().get(condition) == value, what=f"{condition}={value}", seen=self.read)
        return self.read()

    def delete(self) -> None:
        """Take it away, and wait until it is gone: what follows is not to be rewritten."""
        self.scene.stage.api.delete(self.path)
        self.scene.stage.wait(lambda: not self.scene.stage.api.get(self.path).ok, "the override to be gone")

    def runs(self, *names: str, **spec: Any) -> None:
        """Deployments that run a public image whose mirror is there."""
        self.scene.push()
        self.scene.start(*(deployment(name, self.scene.source(), **spec) for name in names))


Play = Callable[[Wish], Json]


def untouched(wish: Wish) -> Json:
    """An override as the API server answers its creation, before anybody saw it."""
    path = wish.path.rpartition("/")[0]
    body = wish.body()
    body["spec"]["suspend"] = True
    assert plural_of(body) == path.rpartition("/")[2]
    return good(wish.scene.stage.api.post(path, body)).body


def _verified(wish: Wish) -> Json:
    wish.runs("web")
    wish.apply()
    return wish.until("Ready", "True/Verified")


def _admission_only(wish: Wish) -> Json:
    wish.runs("web")
    wish.apply(rollout=rollout(mode="AdmissionOnly"))
    return wish.until("Ready", "True/AdmissionOnly")


def _rolling(wish: Wish) -> Json:
    wish.runs("web", "worker", minReadySeconds=10)
    wish.apply(rollout=rollout(maxConcurrent=1))
    return wish.until("Reconciling", "True/RollingOut")


def _missing(wish: Wish) -> Json:
    wish.scene.start(deployment("web", wish.scene.source()))
    wish.apply()
    return wish.until("Ready", "False/ImageMissing")


def _not_idempotent(wish: Wish) -> Json:
    wish.apply(rule("docker.io/a", "docker.io/b"), rule("docker.io/b", "docker.io/c"))
    return wish.until("Stalled", "True/NotIdempotent")


def _contested(wish: Wish) -> Json:
    """An owner that is no controller of Kubernetes deletes each Pod that comes rewritten, and makes it anew."""
    stage = wish.scene.stage
    wish.scene.push()
    owner = good(stage.api.post(stage.path("configmaps"), _config_map())).body["metadata"]
    wish.apply()
    stage.wait(lambda: stage.find("imagerules", "pawl"), "the table")
    pod = bare_pod("worker", wish.scene.source())
    pod["metadata"]["ownerReferences"] = [_reference(owner)]
    for _ in range(CHURN):
        _lives(wish, pod)
        stage.wait(lambda: _judged(wish) or _stepped_back(wish), "Pawl to see the Pod")
        if _stepped_back(wish):
            break
        good(stage.api.delete(f"{stage.path('pods', 'worker')}?gracePeriodSeconds=0"))
        stage.wait(lambda: not _judged(wish), "Pawl to miss the Pod")
    stage.wait(lambda: _stepped_back(wish), "Pawl to step back")
    stage.wait(lambda: _keeps_its_image(wish, pod), "a Pod that Pawl leaves as it is")
    return wish.until("Ready", "False/PodChurn")


def _keeps_its_image(wish: Wish, pod: Json) -> bool:
    """Whether the Pod runs what its owner wrote; one that was still rewritten is made anew."""
    _lives(wish, pod)
    stage = wish.scene.stage
    if stage.image("pods", "worker") == wish.scene.source():
        return True
    stage.api.delete(f"{stage.path('pods', 'worker')}?gracePeriodSeconds=0")
    return False


def _judged(wish: Wish) -> bool:
    """Whether there is a live Pod, right or wrong."""
    return not wish.said().get("Verified", "Unknown").startswith("Unknown")


def _stepped_back(wish: Wish) -> bool:
    return "Contested" in wish.said()


def _lives(wish: Wish, pod: Json) -> None:
    """Wait until the Pod runs; make it as often as it is not there."""
    stage = wish.scene.stage

    def runs() -> bool:
        found = stage.find("pods", "worker")
        if found is None:
            stage.api.post(stage.path("pods"), pod)
        return found is not None and found["status"].get("phase") == "Running"

    stage.wait(runs, "the Pod to run")


def _config_map() -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cluster"}}


def _reference(owner: Json) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": owner["name"], "uid": owner["uid"], "controller": True}


def _drifted(wish: Wish) -> Json:
    """A bare Pod that was there before: nobody would make it anew, so Pawl leaves it."""
    wish.scene.push()
    stage = wish.scene.stage
    good(stage.api.post(stage.path("pods"), bare_pod("lone", wish.scene.source())))
    stage.wait(lambda: stage.read("pods", "lone")["status"].get("phase") == "Running", "the Pod to run")
    wish.apply()
    return wish.until("Ready", "False/Drifted")


def _awaits(wish: Wish) -> Json:
    wish.runs("web")
    wish.apply(rollout=rollout(mode="Plan"))
    return wish.until("Ready", "False/ApprovalRequired")


def _paused(wish: Wish) -> Json:
    wish.runs("web")
    wish.apply(rollout=rollout(paused=True))
    return wish.until("Ready", "False/Paused")


def _suspended(wish: Wish) -> Json:
    wish.runs("web")
    wish.apply(suspend=True)
    return wish.until("Ready", "False/Suspended")


PLAYS: Final[Mapping[str, Play]] = {
    "new": untouched,
    "verified": _verified,
    "admission-only": _admission_only,
    "rolling": _rolling,
    "image-missing": _missing,
    "not-idempotent": _not_idempotent,
    "contested": _contested,
    "drifted": _drifted,
    "awaits-approval": _awaits,
    "paused": _paused,
    "suspended": _suspended,
}
