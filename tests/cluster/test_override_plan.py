"""What a person holds back: a plan that waits for approval, a window that is closed, a pause in the middle.

Neighbours: `test_override_rollouts` for what workloads hold back themselves. Not here: `pawl plan`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cluster.api import Api
from tests.cluster.operators import Operator, good
from tests.cluster.override_scene import Scene, keeper_of, scene_of
from tests.cluster.override_stage_recorder import Recorder
from tests.cluster.override_stage_specs import rollout
from tests.cluster.override_stage_workloads import daemon_set, deployment

from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240), pytest.mark.usefixtures("installed")]


@pytest.fixture(scope="module")
def pawl(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with keeper_of(cluster, tmp_path_factory.mktemp("pawl")) as running:
        yield running


@pytest.fixture
def scene(api: Api, cluster: Cluster, tmp_path: Path, pawl: Operator) -> Iterator[Scene]:
    with scene_of(api, cluster, tmp_path, pawl) as made:
        yield made


def approve(scene: Scene, value: str) -> None:
    scene.stage.edit("imageoverrides", "private", {"spec": {"rollout": {"approvedPlan": value}}})


def pause(scene: Scene, *, paused: bool) -> None:
    scene.stage.edit("imageoverrides", "private", {"spec": {"rollout": {"paused": paused}}})


def writes(recorder: Recorder, *names: str) -> list[int]:
    return [len(recorder.writes("Deployment", name, "pawl")) for name in names]


def test_a_plan_waits_for_its_approval(scene: Scene) -> None:
    """In Plan mode the user reads what would be done; nothing is written before the hash is in the spec."""
    scene.push()
    scene.start(deployment("web", scene.source()), daemon_set("agent", scene.source()))
    with scene.stage.recording() as recorder:
        seen = len(recorder.changes())
        scene.stage.apply(scene.mirror(rollout=rollout(mode="Plan")))
        told = scene.until("RolledOut", "False/ApprovalRequired")
        plan = scene.status()["plan"]
        assert plan["hash"] in told
        assert plan["counts"]["rollouts"] == 2
        assert {(step["action"], step["object"]) for step in plan["steps"]} == {
            ("Roll", f"Deployment {scene.stage.namespace}/web"),
            ("Roll", f"DaemonSet {scene.stage.namespace}/agent"),
        }
        assert scene.stage.find("imagerules", "pawl") is None
        approve(scene, "0123456789abcdef")
        scene.until("RolledOut", "False/ApprovalRequired")
        assert scene.status()["plan"] == plan
        assert len(recorder.changes()) == seen
        approve(scene, plan["hash"])
        scene.done()
        assert writes(recorder, "web") == [1]
    assert scene.pod_images("web") + scene.pod_images("agent") == [scene.target()] * 2


def test_a_pod_that_starts_before_the_approval_is_not_rewritten(scene: Scene) -> None:
    """The gate waits for the approval as well: what starts meanwhile starts from where it did."""
    scene.push()
    scene.start(deployment("web", scene.source()))
    scene.stage.apply(scene.mirror(rollout=rollout(mode="Plan")))
    scene.until("RolledOut", "False/ApprovalRequired")
    scene.renew("web")
    assert scene.pod_images("web") == [scene.source()]


def test_another_workload_needs_another_approval(scene: Scene) -> None:
    """What was approved is what is done: a workload that came after the plan was read makes another hash."""
    scene.push()
    scene.start(deployment("web", scene.source()))
    scene.stage.apply(scene.mirror(rollout=rollout(mode="Plan")))
    scene.until("RolledOut", "False/ApprovalRequired")
    old = scene.status()["plan"]["hash"]
    scene.start(deployment("late", scene.source()))
    scene.wait(lambda: scene.status()["plan"]["hash"] != old, "another hash")
    approve(scene, old)
    scene.until("RolledOut", "False/ApprovalRequired")
    assert scene.pod_images("web") + scene.pod_images("late") == [scene.source()] * 2
    approve(scene, scene.status()["plan"]["hash"])
    scene.done()
    assert scene.pod_images("web") + scene.pod_images("late") == [scene.target()] * 2


def test_outside_the_window_what_starts_is_rewritten_and_nothing_rolls(scene: Scene) -> None:
    """The window is half a day away: Pods that start anew come from the mirror, running ones wait for the window."""
    scene.push()
    scene.start(deployment("web", scene.source()), deployment("other", scene.source()))
    far = datetime.now(UTC) + timedelta(hours=12)
    closed = {"schedule": f"{far.minute} {far.hour} * * *", "duration": "1m"}
    scene.stage.apply(scene.mirror(rollout=rollout(window=closed)))
    scene.until("RolledOut", "False/WindowClosed")
    scene.renew("other")
    assert scene.pod_images("other") == [scene.target()]
    assert scene.pod_images("web") == [scene.source()]
    assert not scene.annotated("deployments", "web")
    opened = {"schedule": "* * * * *", "duration": "1h"}
    scene.stage.edit("imageoverrides", "private", {"spec": {"rollout": {"window": opened}}})
    scene.done()
    assert scene.pod_images("web") == [scene.target()]
    assert not scene.annotated("deployments", "other")


def test_a_pause_in_the_middle_stops_within_one_object_and_resumes(scene: Scene) -> None:
    """Paused in the second batch: at most the one that was begun is rolled; resumed, the first batch is not redone."""
    names = ("a", "b", "c", "d", "e")
    scene.push()
    scene.start(*(deployment(name, scene.source(), minReadySeconds=1) for name in names))
    with scene.stage.recording() as recorder:
        scene.stage.apply(scene.mirror(rollout=rollout(batches=[1, "100%"], maxConcurrent=1)))
        scene.wait(lambda: sum(writes(recorder, *names)) >= 2, "the second batch to begin")
        begun = sum(writes(recorder, *names))
        pause(scene, paused=True)
        scene.until("Paused", "True")
        scene.until("RolledOut", "False/Paused")
        stopped = writes(recorder, *names)
        assert begun <= sum(stopped) <= begun + 1 < len(names)
        touched = [name for name, count in zip(names, stopped, strict=True) if count]
        scene.wait(lambda: all(scene.pod_images(name) == [scene.target()] for name in touched), "what was begun")
        scene.wait(lambda: scene.status()["workloads"]["drifted"] == len(names) - len(touched), "the rest to be told")
        assert writes(recorder, *names) == stopped
        pause(scene, paused=False)
        scene.done()
        assert writes(recorder, *names) == [1] * len(names)
    assert [scene.pod_images(name) for name in names] == [[scene.target()]] * len(names)


def test_suspended_keeps_what_is_rewritten_and_rolls_nothing(scene: Scene) -> None:
    """Suspended: running Pods stay, what starts is still rewritten, and the table is not taken back."""
    scene.push()
    scene.start(deployment("web", scene.source()))
    scene.stage.apply(scene.mirror(suspend=True))
    scene.until("RolledOut", "False/Suspended")
    assert scene.pod_images("web") == [scene.source()]
    scene.renew("web")
    assert scene.pod_images("web") == [scene.target()]
    scene.stage.edit("imageoverrides", "private", {"spec": {"suspend": False}})
    scene.done()
    assert not scene.annotated("deployments", "web")


def test_what_is_deleted_while_it_is_rolled_is_not_made_again(scene: Scene) -> None:
    """The user deletes Deployments in the middle of a rollout: none comes back, and the override finds its end."""
    names = [f"w{number}" for number in range(8)]
    scene.push()
    scene.start(deployment("stays", scene.source()), *(deployment(name, scene.source()) for name in names))
    with scene.stage.recording() as recorder:
        scene.stage.apply(scene.mirror(rollout=rollout(maxConcurrent=2)))
        scene.wait(lambda: sum(writes(recorder, *names)) >= 1, "the first to be rolled")
        for name in reversed(names):
            good(scene.stage.delete("deployments", name))
        scene.done()
        assert len(recorder.created("Deployment")) == len(names) + 1
    assert [found["metadata"]["name"] for found in scene.stage.find_all("deployments")] == ["stays"]
    assert scene.pod_images("stays") == [scene.target()]
