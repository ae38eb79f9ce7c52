"""The namespace where Rook plays: what is asked of it, and what a user does there with kubectl.

Neighbours: `demo_stage` has sandbox, kubectl and replicas, `demo_board` judges rows. Not here: what should be true.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pawl.api.errors import NotFound
from pawl.api.imageoverride import ClusterImageOverride
from pawl.api.meta import Condition
from pawl.cli import demo_rook_wish as wish
from pawl.cli.demo_board import Family, Workload, rows
from pawl.cli.demo_checks import Check, expect, until
from pawl.cli.demo_rook_objects import DISCOVER, MON, OPERATOR, PREPARE, WORKER, Json
from pawl.cli.demo_rook_watch import Follower
from pawl.cli.demo_stage import Answer, Stage, answer_of
from pawl.cli.demo_story import Before
from pawl.cluster.resources import (
    CLUSTER_IMAGE_OVERRIDES,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    SECRETS,
    SERVICE_ACCOUNTS,
    Resource,
)
from pawl.decide.objects import RESTART, ROLLOUT
from pawl.sandbox.images import Image, Pusher

NODES: Final = 2
"""Simulated nodes: enough for a DaemonSet of more than one Pod, and for a Job that is done beside one that is stuck."""
STUCK_NODE: Final = "node-1"
STUCK: Final = f"{PREPARE}-{STUCK_NODE}"
DONE: Final = f"{PREPARE}-node-0"
MODES: Final = (
    *("--period", "0.4"),
    *("--workers", "1", "--pod-compare"),
    *("--job-image", wish.CEPH, "--job-node", STUCK_NODE),
    "--skip-if-exists",
)
"""How Rook plays: an existing DaemonSet is left alone, a bare Pod of another image than its own is made anew."""
APPS: Final = MappingProxyType(
    {f"Deployment {OPERATOR}": DEPLOYMENTS, f"DaemonSet {DISCOVER}": DAEMON_SETS, f"Deployment {MON}": DEPLOYMENTS}
)
KINDS: Final = (DEPLOYMENTS, DAEMON_SETS, JOBS, PODS)
ARRIVAL: Final = 10.0
"""Seconds in which a controller of Kubernetes makes what belongs to a new namespace."""
JOB_LABEL: Final = "batch.kubernetes.io/job-name"


def start_rook(stage: Stage) -> None:
    """Start the operator that plays Rook; it lives as the Pod of its Deployment does."""
    place = ("--namespace", wish.NAMESPACE, "--kubeconfig", str(stage.sandbox.kubeconfig))
    stage.crew.start("rook", "-m", "pawl.cli.demo_rook", *place, *MODES)


async def push(stage: Stage, *images: Image) -> None:
    """Push images to the sandbox's registry. Raises SandboxError."""

    def work() -> None:
        with Pusher(registry_of(stage)) as pusher:
            for image in images:
                pusher.push(image)

    await asyncio.to_thread(work)


def registry_of(stage: Stage) -> str:
    """The sandbox's registry as `host:port`; the proxy of the first acts is not in front of it."""
    return stage.sandbox.registry or ""


async def find(stage: Stage, resource: Resource, namespace: str = wish.NAMESPACE) -> list[Json]:
    """The objects of a kind in a namespace. Raises ClusterError."""
    return [each async for page in stage.cluster.list_pages(resource, namespace) for each in json.loads(page)["items"]]


async def workloads(stage: Stage, wanted: Collection[str] = ()) -> list[Workload]:
    """How far each workload of Rook's namespace is on its way to the wanted images. Raises ClusterError."""
    return rows(_families({resource: await find(stage, resource) for resource in KINDS}), wanted)


@asynccontextmanager
async def followed(
    stage: Stage, wanted: Collection[str], tell: Callable[[Sequence[Workload]], None]
) -> AsyncIterator[None]:
    """Tell of the workloads at once and after each change, for the time of the block. Raises ClusterError."""
    follower = Follower(stage.cluster, wish.NAMESPACE, lambda held: tell(rows(_families(held), wanted)))
    async with follower.following(*KINDS):
        yield


async def is_finished(stage: Stage, job: str) -> bool:
    """Whether a Job has done its work. Raises ClusterError."""
    found = json.loads(await stage.cluster.get(JOBS, wish.NAMESPACE, job))
    return any(each["type"] == "Complete" for each in found.get("status", {}).get("conditions", []))


def _families(found: Mapping[Resource, list[Json]]) -> Iterable[Family]:
    pods = found[PODS]
    for title, resource in APPS.items():
        name = title.partition(" ")[2]
        body = next((each for each in found[resource] if each["metadata"]["name"] == name), None)
        if body is not None:
            yield Family(title, [pod for pod in pods if _label(pod, "app") == name], _due(body), _is_written(body))
    for job in found[JOBS]:
        name = job["metadata"]["name"]
        yield Family(f"Job {name}", [pod for pod in pods if _label(pod, JOB_LABEL) == name])
    for pod in pods:
        if pod["metadata"]["name"].startswith(WORKER):
            yield Family(f"Pod {pod['metadata']['name']}", [pod])


def _due(body: Json) -> int:
    """How many Pods a workload should have: a DaemonSet says it in its status."""
    return int(body["spec"].get("replicas") or body.get("status", {}).get("desiredNumberScheduled", 0))


def _label(body: Json, name: str) -> str:
    return str(body["metadata"].get("labels", {}).get(name, ""))


def _is_written(body: Json) -> bool:
    notes = body["spec"]["template"]["metadata"].get("annotations", {})
    return ROLLOUT in notes or RESTART in notes


async def standing(stage: Stage) -> Before:
    """Generations and uids as they are now. Raises ClusterError."""
    titles = {"Deployment": DEPLOYMENTS, "DaemonSet": DAEMON_SETS, "Job": JOBS, "Pod": PODS}
    found = Before()
    for kind, resource in titles.items():
        for each in await find(stage, resource):
            title, metadata = f"{kind} {each['metadata']['name']}", each["metadata"]
            found.uids[title] = str(metadata["uid"])
            found.generations |= {title: int(metadata["generation"])} if title in APPS else {}
    return found


def told(stage: Stage, event: str, name: str) -> int:
    """How often Rook says that it did something to an object, such as `created` to `jobs/rook-prepare-node-1`."""
    lines = (json.loads(line) for line in (stage.crew.logs / "rook.log").read_text().splitlines() if line[:1] == "{")
    return sum((line["event"], line["object"]) == (event, name) for line in lines)


async def override(stage: Stage) -> ClusterImageOverride:
    """Read the override from the API server. Raises ClusterError."""
    raw = await stage.cluster.get(CLUSTER_IMAGE_OVERRIDES, None, wish.OVERRIDE)
    return ClusterImageOverride.model_validate_json(raw)


def said(found: ClusterImageOverride, kind: str) -> Condition | None:
    """One condition of an override, if it is about the newest generation."""
    if found.status.observed_generation != found.metadata.generation:
        return None
    return next((each for each in found.status.conditions if each.type == kind), None)


async def has_copy(stage: Stage) -> bool:
    """Whether Rook's namespace has the pull Secret."""
    try:
        await stage.cluster.get(SECRETS, wish.NAMESPACE, wish.SECRET)
    except NotFound:
        return False
    return True


async def run_pod(stage: Stage, namespace: str, name: str, *more: str) -> Json:
    """`kubectl run` a Pod with the chart's image and return it as the API server made it.

    Raises CheckFailedError where kubectl is refused.
    """
    await _has_account(stage, namespace)
    command = ("run", name, "-n", namespace, f"--image={wish.PUBLIC}", "-o", "json", *more)
    answer = await stage.kubectl(*command)
    expect(answer.code == 0, f"kubectl run {name} to be accepted", answer.err)
    found: Json = json.loads(answer.out)
    return found


async def _has_account(stage: Stage, namespace: str) -> None:
    """Wait for what the API server wants before a namespace's first Pod."""

    async def ask() -> bool:
        return bool(await stage.cluster.get(SERVICE_ACCOUNTS, namespace, "default"))

    await until(Check[bool](f"ServiceAccount {namespace}/default", ARRIVAL, bool), ask)


async def why(stage: Stage, pod: str) -> Json:
    """`pawl why` of a Pod's first image. Raises CheckFailedError."""
    place = ("-n", wish.NAMESPACE, "--kubeconfig", str(stage.sandbox.kubeconfig))
    answer = await answer_of(sys.executable, "-m", "pawl", "why", pod, *place, "-o", "json")
    expect(answer.code == 0, f"pawl why {pod} to answer", answer.err)
    found: Json = json.loads(answer.out)["images"][0]
    return found


async def offline(stage: Stage) -> Answer:
    """`pawl rewrite` the chart by the override, on this machine alone."""
    registry = registry_of(stage)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "override.json"
        file.write_text(wish.override(registry, secret=True))
        command = (sys.executable, "-m", "pawl", "rewrite", "-o", "json", "-f", str(file), "-")
        return await answer_of(*command, stdin=wish.installation(wish.mirrored(registry)))
