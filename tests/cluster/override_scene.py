"""A scenario as its user lives it: a namespace, an operator, images in a registry, overrides and what becomes of them.

Neighbours: `override_stage` is the namespace underneath, `override_stage_images` pushes, `override_stage_specs` and
`override_stage_workloads` are what is written. Not here: expectations.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from tests.cluster.api import POLICIES, Api, Json
from tests.cluster.operators import Operator, good, operator_of
from tests.cluster.override_stage import PATIENCE, Stage, is_settled, stage_of, wait_for
from tests.cluster.override_stage_images import Pushed, described, push
from tests.cluster.override_stage_specs import enforcement, override, rollout, rule

from pawl.decide.objects import ROLLOUT
from pawl.sandbox import Cluster
from pawl.sandbox.images import Image

PUBLIC = "quay.example.com"
"""Where the images of these scenarios come from; nobody answers there, and simulated nodes do not ask."""
WIDE = f"{POLICIES}/clusterimageoverrides"


@dataclass(frozen=True)
class Scene:
    """One namespace with its operator. The override is called `private` unless a test says otherwise."""

    stage: Stage
    pawl: Operator

    # images

    @property
    def place(self) -> str:
        """Where the mirror of this scene is: no other scene shares it."""
        return f"{self.stage.registry}/{self.stage.namespace}"

    def image(self, name: str = "web", tag: str = "v1", **more: Any) -> Image:
        return Image(f"{self.stage.namespace}/{name}", tag, **more)

    def push(self, name: str = "web", tag: str = "v1", **more: Any) -> Pushed:
        """Push an image to the mirror."""
        return push(self.stage.registry, self.image(name, tag, **more))

    def known(self, name: str = "web", tag: str = "v1", **more: Any) -> Pushed:
        """The same without pushing it."""
        image = self.image(name, tag, **more)
        return described(self.stage.registry, image, image)

    def source(self, name: str = "web", tag: str = "v1", **more: Any) -> str:
        """The public reference of an image, tag and digest: a simulated node says by it what runs."""
        return f"{PUBLIC}/{name}:{tag}@{self.known(name, tag, **more).digest}"

    def target(self, name: str = "web", tag: str = "v1", **more: Any) -> str:
        """What the override makes of it."""
        return self.known(name, tag, **more).pinned

    # overrides

    def mirror(self, **spec: Any) -> Json:
        """The override that takes every public image from the mirror: short to settle, all at once."""
        fields = {"enforcement": enforcement(), "rollout": rollout()} | spec
        return override(rule(PUBLIC, self.place), **fields)

    def status(self, name: str = "private") -> Json:
        status: Json = self.stage.read("imageoverrides", name).get("status", {})
        return status

    def conditions(self, name: str = "private") -> dict[str, str]:
        """The conditions as `{"Ready": "True/Succeeded"}`, of the newest generation only."""
        found = self.stage.find("imageoverrides", name) or {}
        current = found.get("status", {}).get("observedGeneration") == found.get("metadata", {}).get("generation")
        return self.stage.conditions("imageoverrides", name) if current else {}

    def message(self, condition: str, name: str = "private") -> str:
        found = self.status(name).get("conditions", [])
        return next((str(each["message"]) for each in found if each["type"] == condition), "")

    def findings(self, reason: str = "", name: str = "private") -> list[Json]:
        return [each for each in self.status(name).get("findings", []) if reason in ("", each["reason"])]

    def until(self, condition: str, value: str, name: str = "private", seconds: float = PATIENCE) -> str:
        """Wait for a condition such as ("Verified", "True"); its message."""
        self.wait(
            lambda: self.conditions(name).get(condition, "-").startswith(value), f"{condition}={value}", name, seconds
        )
        return self.message(condition, name)

    def wait(self, ask: Callable[[], Any], what: str, name: str = "private", seconds: float = PATIENCE) -> Any:
        """Wait for anything; where it fails the whole status and the end of the log are told."""
        return wait_for(ask, seconds, what, seen=lambda: self._told(name))

    def done(self, name: str = "private", seconds: float = PATIENCE) -> None:
        """Wait until all is rolled out and proved."""
        self.until("Verified", "True", name, seconds)
        self.until("Ready", "True", name, seconds)

    def _told(self, name: str) -> str:
        told = [line for line in self.pawl.lines() if line.get("level") in ("warning", "error")][-6:]
        found = (self.stage.find("imageoverrides", name) or {}).get("status", {})
        conditions = [
            f"{each['type']}={each['status']}/{each['reason']}: {each['message']}"
            for each in found.get("conditions", [])
        ]
        rest = {key: value for key, value in found.items() if key not in ("conditions", "resolved")}
        lines = [json.dumps(rest), *(json.dumps(line)[:900] for line in told), json.dumps(self.stage.images())]
        return "\n".join(["", *conditions, *lines])

    # workloads

    def start(self, *workloads: Json) -> None:
        """Install workloads and wait for their Pods."""
        self.stage.apply(*workloads)
        for body in workloads:
            self.settled(body)

    def settled(self, body: Json) -> None:
        plural, name = f"{body['kind'].lower()}s", body["metadata"]["name"]
        self.stage.wait(lambda: is_settled(self.stage.read(plural, name)), f"{plural}/{name} to settle")

    def ask(self, wish: str, name: str = "private") -> None:
        """Ask for a run now and wait until it was echoed."""
        asked = {"metadata": {"annotations": {"reconcile.pawl.dev/requestedAt": wish}}}
        self.stage.edit("imageoverrides", name, asked)
        self.wait(lambda: self.status(name).get("lastHandledReconcileAt") == wish, "the wish to be echoed", name)

    def renew(self, app: str) -> None:
        """Delete the one Pod of an app and wait for the one that its owner makes in its place."""
        (old,) = self.stage.pods(app)
        good(self.stage.delete("pods", old["metadata"]["name"]))
        self.stage.wait(lambda: any(_is_new(pod, old) for pod in self.stage.pods(app)), f"a new Pod of {app}")

    def template(self, plural: str, name: str) -> Json:
        found: Json = self.stage.read(plural, name)["spec"]["template"]
        return found

    def annotated(self, plural: str, name: str) -> bool:
        """Whether Pawl rolled a workload."""
        return ROLLOUT in self.template(plural, name)["metadata"].get("annotations", {})

    def pod_images(self, app: str) -> list[str]:
        """First image of every Pod of an app, sorted."""
        return sorted(pod["spec"]["containers"][0]["image"] for pod in self.stage.pods(app))


def _is_new(pod: Json, old: Json) -> bool:
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))
    return ready and bool(pod["metadata"]["uid"] != old["metadata"]["uid"])


@contextmanager
def scene_of(api: Api, cluster: Cluster, directory: Path, pawl: Operator, **labels: str) -> Iterator[Scene]:
    """A fresh namespace under an operator that runs already."""
    with stage_of(api, cluster, directory, **labels) as stage:
        yield Scene(stage, pawl)


@contextmanager
def keeper_of(cluster: Cluster, directory: Path, *arguments: str, plain: Sequence[str] = ()) -> Iterator[Operator]:
    """An operator that keeps the gate, for several scenes."""
    hosts = ",".join([*plain, cluster.registry or ""]).strip(",")
    with operator_of(cluster.kubeconfig, directory, "--manage-gate", "--plain-http-hosts", hosts, *arguments) as made:
        yield made
        _last_ones_go(cluster)


def _last_ones_go(cluster: Cluster) -> None:
    """Wait for cluster-wide overrides that are being deleted: without an operator they would stay for the next one."""
    with closing(Api(cluster.kubeconfig)) as api, suppress(AssertionError):
        wait_for(lambda: not any(going(each) for each in api.get(WIDE).body["items"]), 20, "the last overrides to go")


def going(body: Json) -> bool:
    """Whether an object is being deleted."""
    return "deletionTimestamp" in body["metadata"]


def unpush(pushed: Pushed) -> None:
    """Take an image out of the registry."""
    name = pushed.image.repository
    answer = httpx.delete(f"http://{pushed.registry}/v2/{name}/manifests/{pushed.digest}", trust_env=False)
    assert answer.status_code == 202, answer.text


def fresh(prefix: str) -> str:
    """A name that nothing else has."""
    return f"{prefix}-{uuid4().hex[:8]}"
