"""A rollout with all its parts, and operators that live one after another: for deaths in the middle of it.

The parts: an operator that is restarted as a parent, its DaemonSet that it leaves as it is, a standalone Job that
cannot pull, and a batch of Deployments. Neighbours: `override_mortal` is who dies. Not here: one operator that lives.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import cast

from tests.cluster.api import Api, Json
from tests.cluster.operators import Operator
from tests.cluster.override_scene import Scene
from tests.cluster.override_stage import stage_of
from tests.cluster.override_stage_recorder import Recorder
from tests.cluster.override_stage_scenes import NOWHERE, RookScene
from tests.cluster.override_stage_specs import enforcement, override, rollout, rule
from tests.cluster.override_stage_workloads import deployment, job

from pawl.cli.demo_rook_objects import DISCOVER, OPERATOR
from pawl.cluster.jobs import LABEL
from pawl.sandbox import Cluster

WEBS = ("web-a", "web-b", "web-c", "web-d")
STUCK = "migrate"
LEASE = "apis/coordination.k8s.io/v1/namespaces/{}/leases/pawl"


class Silent:
    """Stands where a scene has its operator."""

    def lines(self, _event: str = "") -> list[Json]:
        """Nothing: logs are told by `Lives`."""
        return []


@dataclass
class Lives:
    """Operators of one Lease namespace, one after another; the Lease of a dead one is taken away: nobody waits."""

    cluster: Cluster
    api: Api
    directory: Path
    namespace: str
    plain: str
    _numbers: Iterator[int] = field(default_factory=count)
    logs: list[Path] = field(default_factory=list)

    def live(self, writes: int) -> subprocess.Popen[bytes]:
        """Start one that dies at its n-th write."""
        self.api.delete(LEASE.format(self.namespace))
        log = self.directory / f"life-{next(self._numbers)}.log"
        self.logs.append(log)
        argv = [sys.executable, "-m", "tests.faults.override_mortal", "--namespace", self.namespace]
        argv += ["--plain-http-hosts", self.plain, "--writes", str(writes)]
        environ = {key: value for key, value in os.environ.items() if not key.startswith("PAWL_")}
        with log.open("wb") as stream:
            return subprocess.Popen(
                argv, env=environ | {"KUBECONFIG": str(self.cluster.kubeconfig)}, stderr=stream, stdout=stream
            )

    def until(self, done: Callable[[], object], writes: Sequence[int], seconds: float) -> int:
        """Let operators live and die, each at its next number of writes, until something holds; how many died."""
        end, deaths = time.monotonic() + seconds, 0
        while True:
            process = self.live(writes[deaths % len(writes)])
            try:
                while process.poll() is None and not done():
                    assert time.monotonic() < end, f"after {deaths} deaths not yet:\n{self.told()}"
                    time.sleep(0.05)
                if process.poll() is None or done():
                    return deaths
                assert process.returncode == -9, self.told()
                deaths += 1
            finally:
                process.kill()
                process.wait(20)

    def told(self) -> str:
        """The end of the last two logs."""
        return "\n".join(path.read_text(errors="replace")[-1500:] for path in self.logs[-2:])

    def deaths(self) -> list[str]:
        """At which writes they died: `patch deployments`."""
        lines = [line for path in self.logs for line in path.read_text(errors="replace").splitlines()]
        said = [json.loads(line) for line in lines if line.startswith("{") and '"dies"' in line]
        return [f"{one['verb']} {one['right']}" for one in said]


@contextmanager
def rollout_stage(api: Api, cluster: Cluster, directory: Path) -> Iterator[RookScene]:
    """A namespace in which everything runs from public places and the Job waits in vain."""
    with stage_of(api, cluster, directory) as stage:
        scene = RookScene(stage, cast("Operator", Silent()))
        scene.push()
        scene.install()
        scene.start(*(deployment(name, scene.source()) for name in WEBS))
        stage.apply(job(STUCK, f"{NOWHERE}/web:v1@{scene.known().digest}", runs="1h"))
        stage.wait(lambda: stage.waiting(STUCK) == ["ImagePullBackOff"], "the Job to wait in vain")
        yield scene


def wish(scene: Scene) -> Json:
    """The override: all public places come from the mirror; two batches, two at once."""
    rules = [rule(source, scene.place) for source in ("quay.example.com", NOWHERE)]
    steps = rollout(batches=[2, "100%"], maxConcurrent=2)
    return override(*rules, enforcement=enforcement(), rollout=steps)


def verified(scene: Scene) -> bool:
    """Whether the override says that all is done and proved, and no Job is still to be made again."""
    found = scene.conditions()
    if scene.stage.find("jobs", STUCK) is None or scene.stage.find_all("secrets", f"{LABEL}=true"):
        return False
    return found.get("Verified", "").startswith("True") and found.get("Ready", "").startswith("True")


def faults(scene: RookScene, recorder: Recorder) -> list[str]:
    """What was done twice, or undone, or not done."""
    places = [("Deployment", name) for name in (*WEBS, OPERATOR)] + [("DaemonSet", DISCOVER)]
    found = [f"{place}: {len(made)} writes" for place in places if len(made := recorder.writes(*place, "pawl")) != 1]
    jobs = recorder.created("Job", STUCK)
    found += [f"Job {STUCK}: {len(jobs)} objects instead of the old and the new one"] if len(jobs) != 2 else []
    apps: dict[str, dict[str, str]] = {app: {} for app in (*WEBS, OPERATOR, DISCOVER, STUCK)}
    for change in recorder.changes("Pod"):
        labels = change.body["metadata"].get("labels", {})
        if change.type == "ADDED" and labels.get("app") in apps:
            apps[labels["app"]].setdefault(change.uid, change.image)
    return found + [line for app, images in apps.items() for line in _backward(app, list(images.values()), scene)]


def _backward(app: str, images: list[str], scene: RookScene) -> list[str]:
    """Where a Pod of an app was made with its public image after one from the mirror, or no last one is from there."""
    ours = [image.startswith(scene.place) for image in images]
    first = ours.index(True) if True in ours else len(ours)
    if first == len(ours):
        return [f"{app}: never from the mirror: {images}"]
    return [] if all(ours[first:]) else [f"{app}: went back: {images}"]
