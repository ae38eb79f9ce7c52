"""A scene with Rook on it: which images its chart names, what its operator said, what Pawl wrote.

Public images carry their digest, as users of Rook's chart write it: a rule that only changes the registry keeps it, and
a simulated node can show what runs. Neighbours: `override_scene` is the scene, `rookstage` plays Rook.
Not here: expectations.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.api import Api, Json
from tests.cluster.operators import Operator, good
from tests.cluster.override_scene import PUBLIC, Scene
from tests.cluster.override_stage import stage_of
from tests.cluster.override_stage_specs import enforcement, override, rollout, rule

from pawl.cli.demo_rook_objects import DISCOVER, OPERATOR, PREPARE, WORKER
from pawl.sandbox import Cluster

NOWHERE = "registry.invalid"
"""A host from which no simulated node can pull."""
JOB = f"{PREPARE}-node-0"
DISCOVERS, JOBS, FIRST_WORKER = f"daemonsets/{DISCOVER}", f"jobs/{JOB}", f"{WORKER}-0"
ROOK = "rook"
"""Name of the image that Rook's operator has."""


class RookScene(Scene):
    """A namespace for Rook under an operator that runs already."""

    def unpullable(self, name: str = "ceph", tag: str = "v18") -> str:
        """A public reference that only the mirror can serve."""
        return f"{NOWHERE}/{name}:{tag}@{self.known(name, tag).digest}"

    def wish(self, *containers: str, templates: str = "Off", name: str = "private", host: str = PUBLIC) -> Json:
        """The override that takes images of a host from the mirror, for some containers only if named."""
        mirror = rule(host, self.place, containers=containers)
        return override(mirror, name=name, enforcement=enforcement(templates=templates), rollout=rollout())

    def install(self, image: str = "") -> None:
        """Push the operator's image to the mirror, and install the chart with its public name."""
        self.push(ROOK)
        self.stage.install(image or self.source(ROOK))

    def generation(self, plural: str, name: str) -> int:
        return int(self.stage.read(plural, name)["metadata"]["generation"])

    def uid(self, plural: str, name: str) -> str:
        found = self.stage.find(plural, name)
        return str(found["metadata"]["uid"]) if found else ""

    def images_of(self, app: str) -> set[str]:
        """Every image of every container of an app's Pods."""
        return {image for pod in self.stage.images(app).values() for image in pod.values()}

    def acted(self, action: str = "", target: str = "") -> list[str]:
        """What the operator says it wrote in this namespace: `Roll Deployment ns/web`."""
        lines = (line for line in self.pawl.lines("acted") if f" {self.stage.namespace}/" in line["object"])
        return [f"{one['action']} {one['object']}" for one in lines if action in one["action"] and target in str(one)]

    def rewrites(self, image: str, container: str = "app") -> bool:
        """Whether a Pod with this image, asked for as a dry run, comes back with another."""
        spec = {"containers": [{"name": container, "image": image}]}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": spec}
        answer = good(self.stage.api._send("POST", self.stage.path("pods"), body, params={"dryRun": "All"}))
        return str(answer.body["spec"]["containers"][0]["image"]) != image

    def complete(self, name: str = JOB) -> bool:
        """Whether a Job has completed."""
        found = (self.stage.find("jobs", name) or {}).get("status", {}).get("conditions", [])
        return any(each["type"] == "Complete" for each in found)

    def made(self) -> None:
        """Wait until Rook has made everything once and it runs."""
        self.stage.wait(lambda: self.stage.settled("daemonsets", DISCOVER), "the DaemonSet's Pods")
        self.stage.wait(lambda: self.stage.settled("deployments", OPERATOR), "the operator's Pod")
        self.stage.wait(lambda: self.stage.find("jobs", JOB), "the Job")


@contextmanager
def rook_scene(api: Api, cluster: Cluster, directory: Path, pawl: Operator) -> Iterator[RookScene]:
    """A fresh namespace for Rook; what an override left goes before the operator does."""
    with stage_of(api, cluster, directory) as stage:
        yield RookScene(stage, pawl)
