"""The installed operator: a Helm release on real nodes, its Pods, its leader, and what it costs.

    with release_of(api, cluster, directory, Wish("pawl-system", image)) as release:
        release.figures()

Neighbours: `charts/pawl` is what is installed, `scripts.image` builds the image, `node_scene` is the users' side.
Not here: expectations.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from tests.cluster.api import Api, Json
from tests.cluster.operators import Operator, good
from tests.cluster.override_stage import Stage, wait_for
from tests.cluster.override_stage_workloads import bare_pod
from tests.node.node_scene import node_names

from pawl.sandbox import Cluster

CHART = Path(__file__).parents[2] / "charts" / "pawl"
LABELS = "app.kubernetes.io/name=pawl,app.kubernetes.io/component=operator"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
LEASES = "apis/coordination.k8s.io/v1/namespaces"
PATIENCE = 120.0


@dataclass(frozen=True)
class Wish:
    """What to install: the namespace, an image `host:port/repository[:tag]@sha256:...`, and values of the chart.

    `before` are objects of the namespace that the release needs. Where `anonymous`, the image is pulled onto the nodes
    beforehand.
    """

    namespace: str
    image: str
    values: Json = field(default_factory=dict)
    before: tuple[Json, ...] = ()
    anonymous: bool = True

    @property
    def all_values(self) -> Json:
        name, _, digest = self.image.partition("@")
        registry, _, repository = name.partition("/")
        repository = repository.partition(":")[0]
        return {"image": {"registry": registry, "repository": repository, "digest": digest}} | self.values


class Installed(Operator):
    """What the release's Pods log, for whoever reads the log of a process elsewhere."""

    def __init__(self, stage: Stage) -> None:
        self.namespace, self._stage = stage.namespace, stage

    @property
    def text(self) -> str:
        return "\n".join(log_of(self._stage, pod) for pod in self._stage.find_all("pods", LABELS))

    def lines(self, event: str = "") -> list[Json]:
        return entries(self.text, event)


@dataclass(frozen=True)
class Release:
    """A release; `seconds` is how long `helm install` took until all was Ready."""

    stage: Stage
    wish: Wish
    seconds: float

    @property
    def log(self) -> Installed:
        return Installed(self.stage)

    def helm(self, *arguments: str) -> str:
        return helm(self.stage.cluster, *arguments, "--namespace", self.stage.namespace)

    def upgrade(self, *arguments: str) -> None:
        """`helm upgrade` with the values that it has and others."""
        self.helm("upgrade", "pawl", str(CHART), "--reuse-values", "--wait", *arguments)

    # its Pods

    def pods(self) -> list[Json]:
        found = self.stage.find_all("pods", LABELS)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def nodes(self) -> list[str]:
        """Where its Pods are, one entry a Pod."""
        return sorted(pod["spec"].get("nodeName", "") for pod in self.pods())

    def settled(self) -> bool:
        return self.stage.settled("deployments", "pawl")

    def until_settled(self, seconds: float = PATIENCE) -> None:
        wait_for(self.settled, seconds, "all replicas to be Ready", seen=self.nodes)

    def scale(self, replicas: int) -> None:
        self.stage.edit("deployments", "pawl", {"spec": {"replicas": replicas}})

    # its leader

    def holder(self) -> str:
        """Identity of the leader; "" while the Lease is free."""
        answer = self.stage.api.get(f"{LEASES}/{self.stage.namespace}/leases/pawl")
        return str(answer.body.get("spec", {}).get("holderIdentity") or "") if answer.ok else ""

    def leader(self) -> Json:
        """The leader's Pod."""
        name = self.holder().partition("_")[0]
        return self.stage.read("pods", name)

    def taken_over(self, before: str, seconds: float = PATIENCE) -> float:
        """Wait until another process holds the Lease; the seconds that it took."""
        start = time.monotonic()
        wait_for(lambda: self.holder() not in ("", before), seconds, "another leader", seen=self.holder)
        return time.monotonic() - start

    def kill(self, pod: Json) -> None:
        """kill -9 of a Pod's process on its node."""
        for pid in processes(pod):
            os.kill(pid, signal.SIGKILL)

    # what it costs

    def figures(self) -> Json:
        """Seconds and MiB as measured now, by Pod: `start` from its process' start to ready, `rss`, `working_set`."""
        return {"install": round(self.seconds, 1), "pods": {name_of(pod): self._figures(pod) for pod in self.pods()}}

    def _figures(self, pod: Json) -> Json:
        pid = min(processes(pod))
        rss = psutil.Process(pid).memory_info().rss
        working_set = self._working_set(pod)
        return {
            "node": pod["spec"]["nodeName"],
            "start": round(self._started(pod, pid), 2),
            "rss": round(rss / 2**20, 1),
            "working_set": round(working_set / 2**20, 1),
        }

    def _started(self, pod: Json, pid: int) -> float:
        (ready, *_) = entries(log_of(self.stage, pod), "ready")
        moment = datetime.fromisoformat(ready["timestamp"])
        return moment.timestamp() - psutil.Process(pid).create_time()

    def _working_set(self, pod: Json) -> int:
        """What the kubelet says, as `kubectl top` shows it; it looks every few seconds."""
        path = f"api/v1/nodes/{pod['spec']['nodeName']}/proxy/stats/summary"
        uid = pod["metadata"]["uid"]

        def ask() -> int:
            summary = good(self.stage.api.get(path)).body
            mine = [each for each in summary["pods"] if each["podRef"]["uid"] == uid]
            found = [each.get("memory", {}).get("workingSetBytes", 0) for one in mine for each in one["containers"]]
            return int(sum(found))

        return wait_for(ask, 60, "the kubelet's figures")


@contextmanager
def release_of(api: Api, cluster: Cluster, directory: Path, wish: Wish) -> Iterator[Release]:
    """Install the chart into a namespace that takes restricted Pods only; it goes at the end, CRDs stay."""
    stage = Stage(api, cluster, wish.namespace, directory)
    if wish.anonymous:
        pull_everywhere(stage, wish.image)
    metadata = {"name": wish.namespace, "labels": RESTRICTED}
    good(api.post("api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))
    try:
        stage.apply(*wish.before)
        yield install(stage, wish)
    finally:
        with suppress(subprocess.CalledProcessError):
            helm(cluster, "uninstall", "pawl", "--namespace", wish.namespace, "--wait", "--ignore-not-found")
        api.delete(f"api/v1/namespaces/{wish.namespace}")
        wait_for(lambda: not api.get(f"api/v1/namespaces/{wish.namespace}").ok, PATIENCE, "the namespace to go")


def install(stage: Stage, wish: Wish) -> Release:
    values = stage.directory / f"{wish.namespace}.json"
    values.write_text(json.dumps(wish.all_values))
    start = time.monotonic()
    arguments = ["install", "pawl", str(CHART), "--namespace", wish.namespace, "--values", str(values)]
    helm(stage.cluster, *arguments, "--take-ownership", "--wait", "--timeout", f"{PATIENCE:.0f}s")
    return Release(stage, wish, time.monotonic() - start)


def helm(cluster: Cluster, *arguments: str) -> str:
    """Run Helm against the cluster; what it said. CalledProcessError with its words where it fails."""
    environ = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    argv = [str(Path(sys.executable).with_name("helm")), *arguments]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}{done.stdout}"
    return done.stdout


def pull_everywhere(stage: Stage, image: str) -> None:
    """Have the image on every node, so that an installation does not wait for it."""
    for name in node_names(stage.api):
        body = bare_pod(f"pull-{name}", image, nodeName=name, restartPolicy="Never")
        body["spec"]["containers"][0]["args"] = ["--version"]
        good(stage.api.post("api/v1/namespaces/default/pods", body))
    for name in node_names(stage.api):
        path = f"api/v1/namespaces/default/pods/pull-{name}"
        ended(lambda path=path: good(stage.api.get(path)).body["status"].get("phase", ""))  # type: ignore[misc]
        stage.api.delete(path)


def ended(phase: Callable[[], str]) -> None:
    assert wait_for(lambda: phase() in ("Succeeded", "Failed") and phase(), PATIENCE, "the image") == "Succeeded"


def name_of(pod: Json) -> str:
    return str(pod["metadata"]["name"])


def processes(pod: Json) -> list[int]:
    """Processes of a Pod's containers on this machine: their cgroup names the container."""
    states: list[Any] = pod["status"]["containerStatuses"]
    containers = [state["containerID"].rpartition("/")[2] for state in states]
    found = []
    for path in Path("/proc").glob("[0-9]*/cgroup"):
        with suppress(OSError):
            text = path.read_text()
            found += [int(path.parent.name)] * any(container in text for container in containers)
    return sorted(found)


def log_of(stage: Stage, pod: Json) -> str:
    answer = stage.api.get(stage.path("pods", name_of(pod)) + "/log?container=pawl")
    return str(answer.body.get("message", ""))


def entries(text: str, event: str = "") -> list[Json]:
    """The log's entries; of one event, if named."""
    lines = [line for line in text.splitlines() if line.startswith("{") and line.endswith("}")]
    return [entry for entry in map(json.loads, lines) if event in ("", entry["event"])]
