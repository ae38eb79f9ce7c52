"""A scene on real nodes: images that run, workloads that end quickly, and the imageIDs that kubelets show.

Public images stand under `a-public` and their mirror under `z-mirror` of one registry: containerd shows the first of
all names that it has for a content, so a node that ever ran the public one goes on naming that. Neighbours:
`tests.cluster.override_scene` is the scene underneath, `node_images` makes images. Not here: expectations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.cluster.api import Api, Json
from tests.cluster.operators import Operator, good
from tests.cluster.override_scene import Scene, keeper_of
from tests.cluster.override_stage import stage_of
from tests.cluster.override_stage_specs import enforcement, override, rollout, rule
from tests.node.node_images import Place, Placed, Program, put

from pawl.decide.digests import digest_of
from pawl.sandbox import Cluster

GROUPS = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


@dataclass(frozen=True)
class NodeScene(Scene):
    """One namespace on real nodes. `tool` is the static program that every image holds."""

    tool: bytes = field(repr=False)

    # images

    @property
    def public(self) -> str:
        return f"{self.stage.registry}/{self.stage.namespace}/a-public"

    @property
    def place(self) -> str:
        return f"{self.stage.registry}/{self.stage.namespace}/z-mirror"

    def public_of(self, program: Program) -> Placed:
        """Push an image under the public name."""
        return self._put(program, "a-public")

    def mirror_of(self, program: Program) -> Placed:
        """Push an image to the mirror."""
        return self._put(program, "z-mirror")

    def both(self, program: Program) -> tuple[Placed, Placed]:
        """Push the very same bytes under both names."""
        return self.public_of(program), self.mirror_of(program)

    def _put(self, program: Program, side: str) -> Placed:
        text = program.text or f"{self.stage.namespace}/{program.repository}:{program.tag}"
        named = replace(program, repository=f"{self.stage.namespace}/{side}/{program.repository}", text=text)
        return put(Place(self.stage.registry), named, self.tool)

    def mirror(self, **spec: Any) -> Json:
        """The override that takes every public image from the mirror: short to settle, all at once."""
        return override(rule(self.public, self.place), **{"enforcement": enforcement(), "rollout": rollout()} | spec)

    # what kubelets say

    def image_ids(self, app: str) -> dict[str, set[str]]:
        """Digests in the imageIDs of an app's Pods, by container."""
        found: dict[str, set[str]] = {}
        for pod in self.stage.pods(app):
            for state in states_of(pod):
                found.setdefault(state["name"], set()).add(digest_of(state.get("imageID", "")))
        return found

    def shown(self, app: str) -> list[str]:
        """The imageIDs of an app's Pods, whole, each once."""
        return sorted({state.get("imageID", "") for pod in self.stage.pods(app) for state in states_of(pod)})

    def verdicts(self) -> list[tuple[str, str, str]]:
        """The findings as (workload, verdict, reason)."""
        return [(each["name"], each["verdict"], each["reason"]) for each in self.findings()]


def states_of(pod: Json) -> list[Json]:
    return [state for group in GROUPS for state in pod["status"].get(group, [])]


def quick(body: Json, **more: Any) -> Json:
    """A workload whose Pods end within a second; `more` goes into the Pod spec."""
    spec = pod_spec_of(body)
    spec.update({"terminationGracePeriodSeconds": 1} | more)
    return body


def pod_spec_of(body: Json) -> Json:
    """The Pod spec of a workload, of a CronJob or of a Pod."""
    spec: Json = body["spec"]
    spec = spec.get("jobTemplate", {"spec": spec})["spec"]
    found: Json = spec["template"]["spec"] if "template" in spec else spec
    return found


def phases(pods: Sequence[Json]) -> list[str]:
    return [pod["status"].get("phase", "") for pod in pods]


def node_names(api: Api) -> list[str]:
    return sorted(node["metadata"]["name"] for node in good(api.get("api/v1/nodes")).body["items"])


def pinned(body: Json, node: str) -> Json:
    """A workload whose Pods all run on one node."""
    return quick(body, nodeSelector={"kubernetes.io/hostname": node})


@contextmanager
def node_scene_of(
    api: Api, cluster: Cluster, directory: Path, pawl: Operator, tool: bytes, **labels: str
) -> Iterator[NodeScene]:
    """A fresh namespace on real nodes, under an operator that runs already."""
    with stage_of(api, cluster, directory, **labels) as stage:
        yield NodeScene(stage, pawl, tool)


@contextmanager
def two_replicas(cluster: Cluster, directory: Path, *plain: str) -> Iterator[Operator]:
    """Two replicas on this machine with one Lease; the one that leads. It keeps the gate."""
    with ExitStack() as stack:
        leader = stack.enter_context(keeper_of(cluster, directory, plain=plain))
        hosts = ",".join([*plain, cluster.registry or ""])
        flags = ("--manage-gate", "--plain-http-hosts", hosts)
        other = Operator(cluster.kubeconfig, directory / "standby.log", leader.namespace, *flags)
        stack.callback(other.close)
        other.wait_log("listening")
        yield leader
