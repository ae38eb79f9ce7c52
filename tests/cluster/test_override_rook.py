"""Rook under an override: its operator is restarted once, and what it does not mend by itself is rolled.

Neighbours: `test_override_rook_edges` for what comes in between, `test_override_jobs` for its Jobs,
`test_override_fights` for what it takes back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import Operator
from tests.cluster.override_scene import keeper_of
from tests.cluster.override_stage_scenes import DISCOVERS, JOBS, ROOK, RookScene, rook_scene

from pawl.cli.demo_rook_objects import DISCOVER, MON, OPERATOR
from pawl.decide.objects import ORIGINAL, ROLLOUT
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def pawl(cluster: Cluster, installed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    assert installed
    with keeper_of(cluster, tmp_path_factory.mktemp("pawl")) as running:
        yield running


@pytest.fixture
def scene(api: Api, cluster: Cluster, tmp_path: Path, pawl: Operator) -> Iterator[RookScene]:
    with rook_scene(api, cluster, tmp_path, pawl) as made:
        yield made


@pytest.mark.parametrize("templates", ["Off", "Reconcile"])
def test_the_operator_is_restarted_once_and_brings_its_children_along(scene: RookScene, templates: str) -> None:
    """S1: after `kubectl apply` of one override everything of Rook runs from the mirror. Only the operator's Deployment
    was written to: Rook itself made the rest anew, with the image that it read from its own new Pod."""
    stage = scene.stage
    with stage.rook() as rook, stage.recording() as recorder:
        scene.install()
        scene.made()
        rook.until("created", f"deployments/{MON}")
        stage.wait(scene.complete, "the Job to complete: one that runs would be left alone")
        daemon = scene.generation("deployments", MON)
        stage.apply(scene.wish(templates=templates))
        rook.until("created", JOBS, times=2)
        scene.wait(lambda: scene.status()["workloads"]["compliant"] == 3, "operator, DaemonSet and Job to be right")
        scene.done()
        lives = [line["detail"] for line in rook.lines("started")]
        puts = rook.count("put", DISCOVERS)
    assert (lives, puts) == ([scene.source(ROOK), scene.target(ROOK)], 1)
    assert scene.images_of(DISCOVER) == scene.images_of(OPERATOR) == {scene.target(ROOK)}
    assert len(recorder.writes("Deployment", OPERATOR, "pawl")) == 1
    assert recorder.writes("DaemonSet", DISCOVER, "pawl") == []
    assert scene.generation("deployments", MON) == daemon
    assert (scene.status()["workloads"]["matched"], scene.findings()) == (3, [])


@pytest.mark.parametrize("templates", ["Off", "Reconcile"])
def test_a_child_that_its_operator_leaves_as_it_is_gets_rolled_after_it(scene: RookScene, templates: str) -> None:
    """S2, the upgraded cluster of rook#15511: the operator finds a DaemonSet and leaves it with the old image, also
    after its restart. Once the operator had its time, Pawl rolls the DaemonSet with one write."""
    stage = scene.stage
    with stage.rook("--skip-if-exists") as rook, stage.recording() as recorder:
        scene.install()
        scene.made()
        stage.apply(scene.wish(templates=templates))
        scene.done()
        assert rook.count("put", DISCOVERS) == 0
    assert scene.images_of(DISCOVER) == {scene.target(ROOK)}
    assert len(recorder.writes("Deployment", OPERATOR, "pawl")) == 1
    (write,) = recorder.writes("DaemonSet", DISCOVER, "pawl")
    assert _seconds(_wrote(write.body)) >= _seconds(_ready(stage.pods(OPERATOR)[0])) + 2
    assert ROLLOUT in write.body["spec"]["template"]["metadata"]["annotations"]
    assert write.image == (scene.target(ROOK) if templates == "Reconcile" else scene.source(ROOK))
    if templates == "Reconcile":
        noted = json.loads(write.body["metadata"]["annotations"][ORIGINAL])
        assert [place["from"] for place in noted.values()] == [scene.source(ROOK)]


def test_an_operator_that_reads_the_same_image_again_is_restarted_only_once(scene: RookScene) -> None:
    """An override that names only the child's container: the operator above is restarted for it, still once, reads the
    same image as before, and the child is rolled all the same."""
    stage = scene.stage
    with stage.rook() as rook, stage.recording() as recorder:
        scene.install()
        scene.made()
        stage.apply(scene.wish("rook-discover"))
        scene.done()
        assert [line["detail"] for line in rook.lines("started")] == [scene.source(ROOK)] * 2
    assert (scene.images_of(OPERATOR), scene.images_of(DISCOVER)) == ({scene.source(ROOK)}, {scene.target(ROOK)})
    assert len(recorder.writes("Deployment", OPERATOR, "pawl")) == 1
    assert len(recorder.writes("DaemonSet", DISCOVER, "pawl")) == 1


def _wrote(body: Json) -> str:
    return next(str(entry["time"]) for entry in body["metadata"]["managedFields"] if entry["manager"] == "pawl")


def _ready(pod: Json) -> str:
    found = pod["status"]["conditions"]
    return next(str(each["lastTransitionTime"]) for each in found if each["type"] == "Ready")


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
