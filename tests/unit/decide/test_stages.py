"""The order of a rollout in a little world: parents, children in batches, Jobs; what stops it or holds it back."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.decide.rollout_world import Load, World, spec, world

from pawl.decide.objects import JobState, Owner
from pawl.decide.rollout import RolloutDecision, Stage
from pawl.decide.rollout_actions import DeleteJob, Evict, RecreateJob, Restart, RewriteTemplate, Roll

OLD = "rook/ceph:v1"
NEW = "registry.corp:5000/rook/ceph:v1"
OPERATOR = Load("Deployment", "operator", OLD)


def condition(found: RolloutDecision, kind: str) -> tuple[str, str]:
    return next((one.status, one.reason) for one in found.conditions if one.type == kind)


def images(made: World) -> set[str]:
    return {pod.row.spec.images[0].image for pod in made.pods}


def test_one_workload_is_rolled_once_and_then_there_is_silence() -> None:
    made = world(Load("Deployment", "mgr", OLD, 2))
    first = made.decide(spec())
    assert [type(action) for action in first.actions] == [Roll]
    assert first.stage is Stage.CHILDREN
    assert condition(first, "RolledOut") == ("False", "RollingOut")
    assert condition(first, "Verified") == ("False", "Drifted")
    last = made.run(spec())
    assert images(made) == {NEW}
    assert condition(last, "Verified") == ("True", "Verified")
    made.tick(86400)
    again = made.decide(spec())
    assert (again.actions, again.conditions, again.counts, again.plan) == ((), last.conditions, last.counts, last.plan)
    assert again.wait is None
    assert set(made.touches.values()) == {1}


def test_a_stale_operator_is_rolled_first_and_its_children_wait_until_it_settled() -> None:
    made = world(OPERATOR, Load("DaemonSet", "discover", OLD, 2, parent=OPERATOR.uid))
    found = made.decide(spec())
    assert [action.workload.name for action in found.actions if isinstance(action, Roll)] == ["operator"]
    made.apply(found.actions)
    made.tick()
    made.tick()
    waiting = made.decide(spec())
    assert (waiting.actions, waiting.stage) == ((), Stage.PARENTS)
    made.tick()
    settling = made.decide(spec())
    assert settling.actions == ()
    assert condition(settling, "RolledOut") == ("False", "Settling")
    assert settling.wait is not None
    assert 0 < settling.wait <= 30
    made.tick(settling.wait)
    assert [action.workload.name for action in made.decide(spec()).actions if isinstance(action, Roll)] == ["discover"]
    made.run(spec())
    assert all(count == 1 for count in made.touches.values())


@pytest.mark.parametrize("image", [OLD, "corp/operator:1"])
def test_children_wait_for_their_operator_also_where_there_is_room(image: str) -> None:
    operator = Load("Deployment", "operator", image)
    made = world(operator, *(Load("DaemonSet", f"d{n}", OLD, parent=operator.uid) for n in range(3)))
    wide = spec(rollout={"batches": ["100%"], "maxConcurrent": 9})
    order = []
    for _ in range(20):
        found = made.decide(wide)
        order += [sorted(a.workload.name for a in found.actions if isinstance(a, Roll | Restart))]
        made.apply(found.actions)
        made.tick()
    assert [names for names in order if names] == [["operator"], ["d0", "d1", "d2"]]


def test_an_operator_that_is_right_is_restarted_once_for_its_stale_child() -> None:
    made = world(Load("Deployment", "operator", "corp/operator:1"), Load("DaemonSet", "d", OLD, parent=OPERATOR.uid))
    found = made.decide(spec())
    assert [type(action) for action in found.actions] == [Restart]
    assert found.plan is not None
    assert found.plan.counts.restarts == 1
    made.run(spec())
    assert [type(action) for action in made.log] == [Restart, Roll]
    assert made.decide(spec()).actions == ()


def test_without_restart_owners_only_named_parents_are_restarted() -> None:
    made = world(Load("Deployment", "operator", "corp/operator:1"), Load("DaemonSet", "d", OLD, parent=OPERATOR.uid))
    quiet = spec(enforcement={"restartOwners": False})
    assert [type(action) for action in made.decide(quiet).actions] == [Roll]
    operator = made.row(made.loads[OPERATOR.uid])
    assert [type(a) for a in made.decide(quiet, explicit=(operator,), parents={}).actions] == [Restart]


def test_two_overrides_keep_each_others_restart() -> None:
    made = world(
        Load("Deployment", "operator", "x/op:1", restart="abc"), Load("DaemonSet", "d", OLD, parent=OPERATOR.uid)
    )
    (action,) = made.decide(spec()).actions
    assert isinstance(action, Restart)
    assert action.value == f"{action.hash},abc"


def test_a_batch_begins_when_the_one_before_is_verified() -> None:
    made = world(*(Load("Deployment", f"d{n}", OLD) for n in range(8)))
    wanted = spec(rollout={"batches": ["1", "50%", "100%"], "maxConcurrent": 10})
    seen = []
    for _ in range(60):
        found = made.decide(wanted)
        if found.actions:
            seen.append((found.batch, len(found.actions)))
        made.apply(found.actions)
        made.tick()
    assert seen == [("1/3", 1), ("2/3", 3), ("3/3", 4)]
    assert made.decide(wanted).batch == "3/3"


def test_a_broken_image_stops_in_the_first_batch_and_goes_on_when_mended() -> None:
    made = world(*(Load("Deployment", f"d{n}", OLD) for n in range(4)), broken=frozenset({NEW}))
    for _ in range(20):
        made.apply(made.decide(spec()).actions)
        made.tick()
    found = made.decide(spec())
    assert found.stage is Stage.FAILED
    assert condition(found, "RolledOut") == ("False", "BatchNotVerified")
    assert sum(made.touches.values()) == 1
    assert any(one.verdict == "Failed" and one.name == "d0" for one in found.spotted)
    made.broken = frozenset()
    made.run(spec())
    assert images(made) == {NEW}


def test_a_workload_that_does_not_come_up_exceeds_its_deadline() -> None:
    made = world(*(Load("Deployment", f"d{n}", OLD) for n in range(4)))
    made.apply(made.decide(spec()).actions)
    facts = made.facts(spec(), begun={"uid-Deployment-d0": made.now})
    from pawl.decide.stages import decide  # the clock alone moves here

    assert decide(facts, made.now + 599).stage is Stage.CHILDREN
    late = decide(facts, made.now + 601)
    assert condition(late, "RolledOut") == ("False", "ProgressDeadlineExceeded")
    assert late.actions == ()


WINDOW = {"schedule": "0 22 * * *", "duration": "1h"}

HELD = [
    ({"suspend": True}, Stage.SUSPENDED, "Suspended"),
    ({"rollout": {"mode": "AdmissionOnly"}}, Stage.ADMISSION_ONLY, "AdmissionOnly"),
    ({"rollout": {"mode": "Plan"}}, Stage.APPROVAL, "ApprovalRequired"),
    ({"rollout": {"mode": "Plan", "approvedPlan": "0123456789abcdef"}}, Stage.APPROVAL, "ApprovalRequired"),
    ({"rollout": {"paused": True}}, Stage.PAUSED, "Paused"),
    ({"rollout": {"window": WINDOW}}, Stage.WINDOW, "WindowClosed"),
    ({"rollout": {"window": WINDOW | {"schedule": "99 22 * * *"}}}, Stage.INVALID, "InvalidSpec"),
    ({"rollout": {"window": WINDOW | {"timeZone": "Moon/X"}}}, Stage.INVALID, "InvalidSpec"),
]


@pytest.mark.parametrize(("changes", "stage", "reason"), HELD)
def test_what_holds_a_rollout_back(changes: dict[str, Any], stage: Stage, reason: str) -> None:
    made = world(Load("Deployment", "mgr", OLD))
    found = made.decide(spec(**changes))
    assert (found.actions, found.stage) == ((), stage)
    assert condition(found, "RolledOut") == ("False", reason)
    assert found.plan is not None
    assert found.plan.counts.rollouts == 1


def test_nothing_rolls_before_the_gate_is_proved() -> None:
    made = world(Load("Deployment", "mgr", OLD))
    made.gate = False
    found = made.decide(spec())
    assert (found.actions, found.stage) == ((), Stage.GATE)


def test_an_approved_plan_is_carried_out_and_its_hash_stays() -> None:
    made = world(Load("Deployment", "mgr", OLD), Load("DaemonSet", "d", OLD))
    plan = made.decide(spec(rollout={"mode": "Plan"})).plan
    assert plan is not None
    approved = spec(rollout={"mode": "Plan", "approvedPlan": plan.hash})
    last = made.run(approved)
    assert last.plan is not None
    assert (last.plan.hash, last.plan.steps) == (plan.hash, [])


def test_a_window_says_when_it_opens() -> None:
    made = world(Load("Deployment", "mgr", OLD))
    wait = made.decide(spec(rollout={"window": {"schedule": "0 22 * * *", "duration": "1h"}})).wait
    assert wait == 22 * 3600 - made.now


def test_reconcile_writes_the_template_with_the_annotation_and_again_when_somebody_edits_it() -> None:
    made = world(Load("Deployment", "mgr", OLD), table=reconciling())
    wanted = spec(enforcement={"templates": "Reconcile"})
    (action,) = made.decide(wanted).actions
    assert isinstance(action, RewriteTemplate)
    assert [image.image for image in action.images] == [NEW]
    made.run(wanted)
    assert made.loads["uid-Deployment-mgr"].image == NEW
    made.loads["uid-Deployment-mgr"].shift(image=OLD)
    assert [type(action) for action in made.decide(wanted).actions] == [RewriteTemplate]


def test_a_cronjob_is_written_only_by_reconcile() -> None:
    made = world(Load("CronJob", "backup", OLD), table=reconciling())
    assert made.decide(spec()).actions == ()
    (action,) = made.decide(spec(enforcement={"templates": "Reconcile"})).actions
    assert isinstance(action, RewriteTemplate)
    assert action.hash == ""


def reconciling() -> Any:
    from tests.unit.decide.rollout_world import entry, table

    return table({"docker.io/rook": [entry(templates=True)]})


def test_what_the_gate_missed_is_evicted_one_by_one() -> None:
    made = world(Load("Deployment", "mgr", OLD, 3))
    made.run(spec())
    made.gate = False
    for pod in list(made.pods[:2]):
        made.pods.remove(pod)
    for _ in range(4):
        made.tick()
    made.gate, made.since = True, made.now
    found = made.decide(spec())
    assert [type(action) for action in found.actions] == [Evict]
    made.apply(found.actions)
    assert made.decide(spec()).actions == ()
    made.run(spec())
    assert images(made) == {NEW}


def test_a_pod_that_the_gate_does_not_reach_is_left_and_told() -> None:
    made = world(Load("Deployment", "mgr", OLD))
    made.run(spec())
    made.gate = False
    made.pods.clear()
    made.tick(60)
    made.gate = True
    found = made.decide(spec())
    assert found.actions == ()
    assert [(one.reason, one.name) for one in found.spotted] == [("Drifted", "mgr")]


LEFT = [
    (Load("Deployment", "x", OLD, paused=True), "RolloutPaused"),
    (Load("DaemonSet", "x", OLD, on_delete=True), "OnDelete"),
    (Load("StatefulSet", "x", OLD, 2, partition=2), "HeldByPartition"),
]


@pytest.mark.parametrize(("load", "reason"), LEFT)
def test_what_its_owner_holds_is_left(load: Load, reason: str) -> None:
    made = world(load)
    found = made.decide(spec())
    assert found.actions == ()
    assert found.counts.skipped == 1
    assert {one.reason for one in found.spotted} == {reason}
    assert found.plan is not None
    assert [step.why for step in found.plan.steps] == [reason]


def test_above_a_partition_pods_are_rolled() -> None:
    made = world(Load("StatefulSet", "x", OLD, 3, partition=2))
    made.run(spec())
    assert sorted((pod.row.name, pod.row.spec.images[0].image) for pod in made.pods) == [
        ("x-0", OLD),
        ("x-1", OLD),
        ("x-2", NEW),
    ]


def test_on_delete_pods_are_evicted_in_turn_if_the_spec_says_so() -> None:
    made = world(Load("DaemonSet", "x", OLD, 3, on_delete=True))
    made.run(spec(enforcement={"onDelete": "Evict"}))
    assert images(made) == {NEW}
    assert [type(action) for action in made.log] == [Roll, Evict, Evict, Evict]


def test_contested_and_blocked_workloads_are_left() -> None:
    made = world(Load("Deployment", "a", OLD), Load("Deployment", "b", OLD))
    found = made.decide(
        spec(), contested=frozenset({"uid-Deployment-a"}), blocked={"uid-Deployment-b": ("ImageMissing", "not there")}
    )
    assert found.actions == ()
    assert (found.counts.contested, found.counts.skipped) == (1, 1)
    assert condition(found, "Contested") == ("True", "FieldReverted")


CEPH = Owner("ceph.rook.io/v1", "CephCluster", "rook", "uid-cc", controller=True)


@pytest.mark.parametrize(("owner", "action"), [(CEPH, DeleteJob), (None, RecreateJob)])
def test_a_stuck_job_is_made_anew_after_everything_else(owner: Owner | None, action: type) -> None:
    job = Load("Job", "prepare", OLD, job=JobState(active=1), owner=owner)
    made = world(job, Load("Deployment", "mgr", OLD), broken=frozenset({OLD}))
    made.run(spec())
    assert [type(one) for one in made.log] == [Roll, action]
    assert images(made) == {NEW}
