"""Prepull: which image on which node, how many at once, and that nothing rolls before."""

from __future__ import annotations

from typing import Any

from tests.unit.decide.rollout_world import Load, spec, world
from tests.unit.decide.test_assess import NEW, OLD, judge, row

from pawl.decide.assess import assess
from pawl.decide.objects import ImageAt, NodeRow, Placement, PodSpec
from pawl.decide.prepull import prepull
from pawl.decide.rollout import Assessment, Pulls, PullState

NODES = [
    NodeRow("b", "linux/amd64"),
    NodeRow("a", "linux/amd64", (("disk", "ssd"),)),
    NodeRow("x", "linux/amd64", ready=False),
]


def unit(**spec_changes: Any) -> Assessment:
    placed = PodSpec(images=(ImageAt("containers", "app", OLD),), pull_secrets=("own",), **spec_changes)
    return assess(row(spec=placed), [], judge())


def test_ready_nodes_where_it_may_run_in_order() -> None:
    found = prepull([unit()], NODES, Pulls(), ("regcred", "own"))
    assert [(pull.node, pull.image, pull.pull_secrets) for pull in found.start] == [
        ("a", NEW, ("own", "regcred")),
        ("b", NEW, ("own", "regcred")),
    ]
    only = prepull([unit(placement=Placement(selector=(("disk", "ssd"),)))], NODES, Pulls())
    assert [pull.node for pull in only.start] == ["a"]


def test_parallelism_counts_what_runs() -> None:
    pulls = Pulls({("a", NEW): PullState.PULLING}, parallel=1)
    assert prepull([unit()], NODES, pulls).start == ()
    done = Pulls({("a", NEW): PullState.DONE, ("b", NEW): PullState.DONE}, parallel=1)
    assert prepull([unit()], NODES, done).complete
    podless = Pulls({("a", NEW): PullState.PODLESS}, parallel=1)
    assert prepull([unit()], NODES, podless).start == ()
    assert prepull([unit()], NODES, podless).podless == (("a", NEW),)
    failed = Pulls({("a", NEW): PullState.FAILED}, parallel=2)
    assert prepull([unit()], NODES, failed).failed == (("a", NEW),)


def test_nothing_rolls_before_the_images_are_there() -> None:
    made = world(Load("Deployment", "mgr", OLD))
    wanted = spec(rollout={"prepull": True}, pullSecrets=[{"name": "regcred"}])
    found = made.decide(wanted)
    assert [type(action).__name__ for action in found.actions] == ["Prepull"]
    assert ("Prepulled", "False", "Prepulling") in [(c.type, c.status, c.reason) for c in found.conditions]
    podless = made.decide(wanted, pulls=Pulls({("n1", NEW): PullState.PODLESS}))
    (said,) = [c.message for c in podless.conditions if c.type == "Prepulled"]
    assert said.endswith(f"the Job that pulls {NEW} onto n1 has no Pod yet: if none comes, see its events for a quota")
    failed = made.decide(wanted, pulls=Pulls({("n1", NEW): PullState.FAILED}))
    assert failed.actions == ()
    assert ("RolledOut", "False", "PrepullFailed") in [(c.type, c.status, c.reason) for c in failed.conditions]
    ready = made.decide(wanted, pulls=Pulls({("n1", NEW): PullState.DONE}))
    assert [type(action).__name__ for action in ready.actions] == ["Roll"]
