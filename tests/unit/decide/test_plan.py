"""The plan: a hash of what is wanted and not of progress, counts, and steps in the order of the work."""

from __future__ import annotations

from tests.unit.decide.rollout_world import Load, entry, spec, table, world

from pawl.decide.objects import JobState, Owner
from pawl.decide.plan import plan_hash

OLD = "rook/ceph:v1"
CRON = Owner("batch/v1", "CronJob", "backup", "uid-cron", controller=True)


def test_the_hash_does_not_change_while_the_work_goes_on() -> None:
    made = world(*(Load("Deployment", f"d{number}", OLD, 2) for number in range(5)))
    hashes = set()
    for _ in range(60):
        found = made.decide(spec())
        assert found.plan is not None
        hashes.add(found.plan.hash)
        made.apply(found.actions)
        made.tick()
    assert len(hashes) == 1


def test_the_hash_is_of_workloads_and_images() -> None:
    made = world(Load("Deployment", "a", OLD))
    first = plan_hash(made.facts(spec()).assessments)
    made.table = table({"docker.io/rook": [entry(tag="v2")]})
    assert plan_hash(made.facts(spec()).assessments) != first
    assert plan_hash(world(Load("Deployment", "b", OLD)).facts(spec()).assessments) != first


def test_jobs_of_one_cronjob_count_once() -> None:
    jobs = [Load("Job", f"backup-{number}", OLD, job=JobState(active=1), owner=CRON) for number in range(3)]
    one, three = (world(*some).facts(spec()).assessments for some in (jobs[:1], jobs))
    assert plan_hash(one) == plan_hash(three)


def test_steps_are_in_the_order_of_the_work_and_counted() -> None:
    operator = Load("Deployment", "operator", "corp/operator:1")
    made = world(
        Load("Job", "prepare", OLD, job=JobState(active=1)),
        Load("Deployment", "held", OLD, paused=True),
        Load("DaemonSet", "discover", OLD, parent=operator.uid),
        operator,
        broken=frozenset({OLD}),
    )
    plan = made.decide(spec(rollout={"mode": "Plan"})).plan
    assert plan is not None
    assert [(step.action, step.object) for step in plan.steps] == [
        ("Restart", "Deployment rook/operator"),
        ("Roll", "DaemonSet rook/discover"),
        ("Recreate", "Job rook/prepare"),
        ("Leave", "Deployment rook/held"),
    ]
    counts = plan.counts
    assert (counts.restarts, counts.rollouts, counts.jobs, counts.left) == (1, 1, 1, 1)


def test_only_fifty_steps_are_shown_but_all_are_counted() -> None:
    plan = world(*(Load("Deployment", f"d{number}", OLD) for number in range(60))).decide(spec()).plan
    assert plan is not None
    assert (len(plan.steps), plan.counts.rollouts) == (50, 60)
