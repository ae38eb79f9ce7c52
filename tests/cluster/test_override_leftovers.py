"""What a Pawl that died left in the middle, found by the next one long after: nothing is lost by the waiting.

Neighbours: `test_override_restore` ends overrides while Pawl lives, tests/faults kills it at every call. Not here: how
an end is made.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import good
from tests.cluster.override_scene import Scene
from tests.cluster.override_stage import Stage, pawl_of, stage_of
from tests.cluster.override_stage_specs import enforcement
from tests.cluster.override_stage_workloads import deployment, job

from pawl.cluster.debts import NAME as DEBTS
from pawl.cluster.jobs import LABEL, SECRET, SavedJob, _text
from pawl.cluster.jobs_manifest import recreatable
from pawl.decide.objects import ORIGINAL
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(200), pytest.mark.usefixtures("installed")]


@pytest.fixture
def stage(api: Api, cluster: Cluster, tmp_path: Path) -> Iterator[Stage]:
    with stage_of(api, cluster, tmp_path) as made:
        yield made


def test_templates_come_back_though_pawl_was_away_for_longer_than_the_time_given(stage: Stage) -> None:
    with pawl_of(stage) as pawl:
        scene = Scene(stage, pawl)
        scene.push()
        stage.apply(deployment("web", scene.source()))
        stage.apply(scene.mirror(enforcement=enforcement(templates="Reconcile"), restoreTimeout="1s"))
        stage.wait(lambda: stage.image("deployments", "web") == scene.target(), "the template to be rewritten")
        source = scene.source()
        pawl.kill()
    good(stage.delete("imageoverrides", "private"))
    since = time.monotonic()
    stage.wait(lambda: time.monotonic() - since > 3, "the time that is given to be over")
    with pawl_of(stage):
        stage.wait(lambda: stage.find("imageoverrides", "private") is None, "the override to be gone")
        found = stage.read("deployments", "web")
        assert stage.image("deployments", "web") == source
        assert ORIGINAL not in found["metadata"].get("annotations", {})


def test_a_job_between_delete_and_create_is_made_again_though_its_override_is_gone(stage: Stage) -> None:
    scene_image = "quay.example.com/load:v1"
    good(stage.api.post(stage.path("jobs"), job("load", scene_image, suspend=True)))
    live: Json = stage.read("jobs", "load")
    saved = SavedJob(stage.namespace, "load", live["metadata"]["uid"], recreatable(live))
    secret = {"metadata": {"name": SECRET, "labels": {LABEL: "true"}}, "data": {saved.uid: _text(saved)}}
    good(stage.api.post(stage.path("secrets"), {"apiVersion": "v1", "kind": "Secret", **secret}))
    good(stage.delete("jobs", "load"))
    stage.wait(lambda: stage.find("jobs", "load") is None, "the Job to be gone")
    debt = '{"uid":"u","policy":"Restore","timeout":"2m","copies":""}'
    labels = {"pawl.dev/debts": "imageoverride"}
    owed = {"metadata": {"name": DEBTS, "labels": labels}, "data": {"private": debt}}
    good(stage.api.post(stage.path("configmaps"), {"apiVersion": "v1", "kind": "ConfigMap", **owed}))
    with pawl_of(stage):
        stage.wait(lambda: stage.find("jobs", "load"), "the Job to be made again")
        stage.wait(lambda: stage.find("secrets", SECRET) is None, "its note to be gone")
        stage.wait(lambda: stage.find("configmaps", DEBTS) is None, "the debt to be settled")
