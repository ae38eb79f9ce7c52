"""Findings: the worst first, one a workload and kind of trouble, with a time that does not tick."""

from __future__ import annotations

from tests.unit.decide.rollout_world import Load, spec, world

from pawl.api.imageoverride import Verdict
from pawl.decide.overridefindings import findings
from pawl.decide.rollout import Spotted

OLD = "rook/ceph:v1"


def one(name: str, pod: str = "") -> Spotted:
    return Spotted("Deployment", "rook", name, Verdict.DRIFTED, "Drifted", "m", pod)


def test_many_pods_of_a_workload_are_one_finding() -> None:
    found = world(Load("Deployment", "mgr", OLD, 7), Load("Deployment", "mds", OLD, 3)).decide(spec())
    assert [(spot.name, spot.reason, spot.pod) for spot in found.spotted] == [
        ("mds", "Drifted", "mds-0"),
        ("mgr", "Drifted", "mgr-0"),
    ]


def test_since_stays_while_the_trouble_stays_also_when_the_pod_is_another() -> None:
    first = findings([one("a", "a-0")], [], 100.9)
    again = findings([one("a", "a-1"), one("b")], first, 500.0)
    assert [finding.since.timestamp() for finding in again] == [100.0, 500.0]
    assert findings([one("a", "a-0")], first, 900.0) == first


def test_only_the_first_twenty_are_shown() -> None:
    assert len(findings([one(f"w{number}") for number in range(50)], [], 0.0)) == 20


def test_long_messages_are_cut() -> None:
    long = Spotted("Pod", "rook", "x", Verdict.STUCK, "PodStuck", "m" * 2000)
    assert len(findings([long], [], 0.0)[0].message) == 512


def test_a_pod_that_had_its_time_and_did_not_start_is_told() -> None:
    made = world(Load("Deployment", "mgr", OLD))
    made.run(spec())
    made.pods.clear()
    made.tick()
    starting = made.decide(spec())
    assert starting.spotted == ()
    assert starting.wait is not None
    made.now += starting.wait + 1
    late = made.decide(spec())
    assert [spot.reason for spot in late.spotted] == ["NotStarted"]
    assert ("Verified", "False", "PodStuck") in [(c.type, c.status, c.reason) for c in late.conditions]


def test_the_worst_comes_first() -> None:
    made = world(Load("Deployment", "a", OLD, paused=True), Load("Deployment", "b", OLD), Load("Deployment", "c", OLD))
    found = made.decide(spec(), contested=frozenset({"uid-Deployment-c"}))
    assert [spot.verdict for spot in found.spotted] == ["Contested", "Drifted", "Drifted", "Skipped"]
