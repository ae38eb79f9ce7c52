"""Jobs under an override: what never started is made anew, what ran or ends is left.

Neighbours: `test_override_rook` has the workloads that roll; `tests.unit.decide.test_jobcases` has every row of the
table. Not here: what happens to a saved Job when the operator dies.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import Operator
from tests.cluster.override_scene import PUBLIC, keeper_of
from tests.cluster.override_stage_scenes import JOB, JOBS, NOWHERE, RookScene, rook_scene
from tests.cluster.override_stage_specs import enforcement, override, rollout, rule
from tests.cluster.override_stage_workloads import cron_job, job

from pawl.cli.demo_rook_objects import OPERATOR, PREPARE
from pawl.decide.objects import RECREATED_FROM
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(200)]

STUCK = ["ImagePullBackOff"]


@pytest.fixture(scope="module")
def pawl(cluster: Cluster, installed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    assert installed
    with keeper_of(cluster, tmp_path_factory.mktemp("pawl")) as running:
        yield running


@pytest.fixture
def scene(api: Api, cluster: Cluster, tmp_path: Path, pawl: Operator) -> Iterator[RookScene]:
    with rook_scene(api, cluster, tmp_path, pawl) as made:
        made.push("ceph", "v18")
        yield made


def both(scene: RookScene, templates: str = "Off") -> Json:
    """The override for the operator's image and for those of its Jobs."""
    rules = [rule(host, scene.place) for host in (PUBLIC, NOWHERE)]
    return override(*rules, enforcement=enforcement(templates=templates), rollout=rollout())


@pytest.mark.parametrize("restarted", [False, True])
def test_a_job_that_cannot_pull_is_deleted_once_and_its_operator_makes_it_anew(
    scene: RookScene, *, restarted: bool
) -> None:
    """S3: rook#15511, the Job in ImagePullBackOff counts as active, so that its operator leaves it for ever. One
    deletion and it is there again, from the mirror; so too where the operator itself is restarted before."""
    stage = scene.stage
    with stage.rook("--job-image", scene.unpullable()) as rook, stage.recording() as recorder:
        scene.install()
        stage.wait(lambda: stage.waiting(PREPARE) == STUCK, "the Job's Pod to be stuck")
        first = scene.uid("jobs", JOB)
        stage.apply(both(scene) if restarted else scene.wish(host=NOWHERE))
        rook.until("created", JOBS, times=2)
        stage.wait(scene.complete, "the new Job to complete")
        scene.wait(lambda: scene.conditions().get("Ready", "").startswith("True"), "it to be Ready")
        assert rook.count("started") == (2 if restarted else 1)
    assert recorder.deleted("Job", JOB) == [first]
    assert [each.split()[0] for each in scene.acted("Job")] == ["DeleteJob"]
    pods = {change.uid: change.image for change in recorder.changes("Pod") if change.name.startswith(JOB)}
    assert list(pods.values()) == [scene.unpullable(), scene.target("ceph", "v18")]
    assert {owner["uid"] for pod in stage.pods(PREPARE) for owner in pod["metadata"]["ownerReferences"]} == {
        scene.uid("jobs", JOB)
    }


def test_a_finished_job_is_not_run_again(scene: RookScene) -> None:
    """S4: a Job that completed with the old image stays, the same object, and the override says that it was left."""
    stage = scene.stage
    scene.push("other")
    with stage.rook("--job-image", scene.source("other")), stage.recording() as recorder:
        scene.install("registry.example.com/rook:v1")
        stage.wait(scene.complete, "the Job to complete")
        before = stage.read("jobs", JOB)["metadata"]
        stage.apply(scene.wish())
        scene.wait(lambda: scene.findings("JobFinished"), "the finding about the Job")
        scene.until("Ready", "True")
        after = stage.read("jobs", JOB)["metadata"]
    assert (after["uid"], after["resourceVersion"]) == (before["uid"], before["resourceVersion"])
    (found,) = scene.findings()
    assert (found["kind"], found["name"], found["verdict"]) == ("Job", JOB, "Skipped")
    assert recorder.writes("Deployment", OPERATOR, "pawl") == []
    assert scene.acted() == []


def test_a_running_job_is_left_until_it_ends(scene: RookScene) -> None:
    """A Job that started with the old image goes on; the override names it and is not Verified meanwhile."""
    stage = scene.stage
    scene.push("batch")
    stage.apply(job("batch", scene.source("batch"), runs="1h"))
    stage.wait(lambda: [pod["status"]["phase"] for pod in stage.pods("batch")] == ["Running"], "the Job to run")
    first = scene.uid("jobs", "batch")
    stage.apply(scene.wish())
    scene.wait(lambda: scene.findings("JobRunning"), "the finding about the Job")
    assert scene.conditions()["Verified"].startswith("False")
    assert (scene.uid("jobs", "batch"), scene.acted()) == (first, [])


MINE = {"mine": "yes"}


def test_jobs_of_nobody_are_made_anew_under_their_names(scene: RookScene) -> None:
    """S5: three Jobs that a user applied wait in vain. The first comes back with a new uid and without what the API
    server had put in; the second keeps its own selector; the third is suspended and is left for its user to resume."""
    stage, image = scene.stage, scene.unpullable()
    manual = job("manual", image, manualSelector=True, selector={"matchLabels": MINE}, completions=2, parallelism=2)
    manual["spec"]["template"]["metadata"]["labels"] |= MINE
    stage.apply(job("plain", image, backoffLimit=3), manual, job("later", image, suspend=True))
    stage.wait(lambda: stage.waiting("plain") == STUCK and stage.waiting("manual") == STUCK * 2, "both to be stuck")
    before = {name: scene.uid("jobs", name) for name in ("plain", "manual", "later")}
    with stage.recording() as recorder:
        stage.apply(scene.wish(host=NOWHERE))
        for name in ("plain", "manual"):
            scene.wait(lambda name=name: scene.complete(name), f"{name} to complete")  # type: ignore[misc]
        scene.wait(lambda: [each["reason"] for each in scene.findings()] != ["PodStuck"], "the findings to follow")
    plain, made, later = (stage.read("jobs", name) for name in ("plain", "manual", "later"))
    assert plain["metadata"]["annotations"][RECREATED_FROM] == before["plain"]
    labels = plain["spec"]["template"]["metadata"]["labels"]
    assert labels["batch.kubernetes.io/controller-uid"] == plain["metadata"]["uid"] != before["plain"]
    assert before["plain"] not in str(plain["spec"])
    assert plain["spec"]["backoffLimit"] == 3
    assert (made["spec"]["selector"], made["spec"]["completions"]) == ({"matchLabels": MINE}, 2)
    assert made["metadata"]["uid"] != before["manual"]
    assert (later["metadata"]["uid"], later["spec"]["suspend"]) == (before["later"], True)
    assert sorted(recorder.deleted("Job")) == sorted([before["plain"], before["manual"]])
    stage.edit("jobs", "later", {"spec": {"suspend": False}})
    scene.wait(lambda: scene.complete("later"), "the resumed Job to run from the mirror")


def test_a_stuck_run_of_a_cronjob_goes_and_the_next_one_comes_by_schedule(scene: RookScene) -> None:
    """S6: a nightly run that cannot pull forbids all later ones. It is deleted and not made again by Pawl; the CronJob
    makes the next one by its own schedule, from the mirror, and its template is rewritten where that is asked for."""
    stage = scene.stage
    stage.apply(cron_job("nightly", scene.unpullable(), concurrencyPolicy="Forbid"))
    answer = stage.kubectl("create", "job", "nightly-29384750", "--from=cronjob/nightly")
    assert answer.returncode == 0, answer.stderr
    stage.wait(lambda: stage.waiting("nightly") == STUCK, "the run to be stuck")
    first = scene.uid("jobs", "nightly-29384750")
    with stage.recording() as recorder:
        stage.apply(scene.wish(host=NOWHERE, templates="Reconcile"))
        scene.wait(lambda: first in recorder.deleted("Job"), "the stuck run to be deleted")
        scene.wait(lambda: _done(scene), "the next run by schedule", seconds=90)
    (write,) = recorder.writes("CronJob", "nightly", "pawl")
    assert write.image == scene.target("ceph", "v18")
    assert recorder.created("Job", "nightly-29384750") == [first]
    assert not [each for each in scene.acted() if each.startswith("RecreateJob")]
    assert {scene.stage.image("jobs", name) for name in _done(scene)} == {scene.target("ceph", "v18")}


def _done(scene: RookScene) -> list[str]:
    names = [each["metadata"]["name"] for each in scene.stage.find_all("jobs")]
    return [name for name in names if scene.complete(name)]
