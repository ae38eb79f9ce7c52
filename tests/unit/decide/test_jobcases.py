"""Every row of the table of Jobs, and bare Pods: what is made anew, what is evicted, what is left."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.decide.rollout_world import OVERRIDE, spec, table
from tests.unit.decide.test_assess import NEW, OLD, judge, pod, row

from pawl.api.imageoverride import Jobs
from pawl.decide.assess import assess
from pawl.decide.jobcases import JobCase, job_case
from pawl.decide.objects import ContainerState, ImageAt, JobState, Owner, PodRow, PodSpec, WorkloadRow
from pawl.decide.rollout import Gate, RolloutFacts
from pawl.decide.rollout_actions import DeleteJob, Evict, RecreateJob
from pawl.decide.stages import decide

CEPH = Owner("ceph.rook.io/v1", "CephCluster", "rook", "cc", controller=True)
CRON = Owner("batch/v1", "CronJob", "backup", "cj", controller=True)
LOOSE = Owner("v1", "ConfigMap", "x", "cm")
STUCK = (ContainerState("app", "", "ImagePullBackOff"),)
CREATING = (ContainerState("app", "", "ContainerCreating"),)
RUNS = (ContainerState("app", "x@sha256:0", "", started=True),)


def job(states: tuple[ContainerState, ...] = STUCK, image: str = OLD, **changes: Any) -> JobCase:
    state = JobState(**({"active": 1} | changes.pop("job", {})))
    jobs, created = changes.pop("jobs", Jobs.RECREATE_STUCK), changes.pop("created", 0.0)
    given = row(kind="Job", job=state, **changes)
    owner = Owner("batch/v1", "Job", "mon", "u", controller=True)
    images = (ImageAt("containers", "app", image), ImageAt("initContainers", "init", image))
    spec = PodSpec(images=images[: len(states)])
    pods = [pod(spec=spec, states=states, owners=(owner,), created=created, ready_since=None)]
    return job_case(assess(given, pods, judge()), jobs, 100.0)


COPIED = ContainerState("init", "x@sha256:0", "", started=True)
RETRIED = ContainerState("init", "x@sha256:0", "CrashLoopBackOff", started=True)

CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"owners": (CEPH,)}, "DeleteJob", "PodStuck"),
    ({"owners": (CRON,)}, "DeleteJob", "PodStuck"),
    ({}, "RecreateJob", "PodStuck"),
    ({"owners": (LOOSE,)}, "RecreateJob", "PodStuck"),
    ({"job": {"manual_selector": True}}, "RecreateJob", "PodStuck"),
    ({"jobs": Jobs.OFF}, "None", "PodStuck"),
    ({"hook": True}, "None", "Hook"),
    ({"job": {"finished": True, "active": 0}}, "None", "JobFinished"),
    ({"job": {"suspended": True}}, "None", "Suspended"),
    ({"job": {"recreated_from": "old-uid"}}, "None", "PodStuck"),
    ({"created": 111.0}, "None", "PodStuck"),
    ({"created": 109.0}, "RecreateJob", "PodStuck"),
    ({"states": RUNS}, "None", "JobRunning"),
    ({"job": {"succeeded": 1}}, "None", "JobRunning"),
    ({"states": CREATING}, "None", "NotStarted"),
    ({"states": (COPIED, *STUCK)}, "RecreateJob", "PodStuck"),
    ({"states": (COPIED, *CREATING)}, "None", "NotStarted"),
    ({"states": (COPIED, *RUNS)}, "None", "JobRunning"),
    ({"states": (RETRIED, *CREATING)}, "None", "JobRunning"),
    ({"image": NEW}, "None", "None"),
    ({"deleting": True}, "None", "None"),
]


@pytest.mark.parametrize(("changes", "action", "reason"), CASES)
def test_each_row(changes: dict[str, Any], action: str, reason: str) -> None:
    found = job(**changes)
    assert type(found.action).__name__.replace("NoneType", "None") == action
    assert str(found.reason) == reason


def test_a_finished_job_that_names_the_wanted_image_itself_needs_no_eyes() -> None:
    """Its maker read the target: it is compliant, and no finding for as long as it is kept."""
    given = row(NEW, kind="Job", job=JobState(finished=True))
    assert job_case(assess(given, [], judge()), Jobs.RECREATE_STUCK, 100.0) == JobCase()


def test_actions_are_about_the_job() -> None:
    for owners, kind in (((CEPH,), DeleteJob), ((), RecreateJob)):
        found = job(owners=owners)
        assert isinstance(found.action, kind)


def decided(*rows: tuple[WorkloadRow | PodRow, list[PodRow]], **changes: Any) -> Any:
    judged = judge(**changes)
    assessments = tuple(assess(given, pods, judged) for given, pods in rows)
    return decide(RolloutFacts(OVERRIDE, "o", spec(), assessments, Gate(in_force=True, since=100.0)), 200.0)


def test_a_bare_pod_that_waits_in_vain_is_evicted_once_if_somebody_makes_another() -> None:
    waits = pod(states=STUCK, owners=(CEPH,), ready_since=None)
    found = decided((waits, [waits]))
    assert [type(action) for action in found.actions] == [Evict]
    again = pod(states=STUCK, owners=(CEPH,), ready_since=None, created=150.0)
    assert decided((again, [again])).actions == ()


@pytest.mark.parametrize("changes", [{"owners": ()}, {"states": RUNS}, {"states": CREATING}])
def test_other_bare_pods_are_told(changes: dict[str, Any]) -> None:
    bare = pod(**({"states": STUCK, "owners": (CEPH,)} | changes))
    found = decided((bare, [bare]))
    assert found.actions == ()
    assert [one.reason for one in found.spotted] == ["BarePod"]


def test_pods_from_before_the_secret_are_revived() -> None:
    secret = table(secrets={"registry.corp:5000/rook": [{"names": ["regcred"]}]})
    for owners, wanted in (((CEPH,), [Evict]), ((), [])):
        waits = pod(NEW, states=STUCK, owners=owners, ready_since=None)
        assert [type(action) for action in decided((waits, [waits]), table=secret).actions] == wanted
