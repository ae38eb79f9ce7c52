"""A decision to do nothing is kept while facts are equal and time brings nothing; any other is made anew."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.decide.rollout_world import Load, World, spec, world

from pawl.controllers.overridefacts import HOLDS, Memory
from pawl.decide.rollout import RolloutFacts, Stage
from pawl.decide.stages import decide

OLD, NEW = "docker.io/rook/ceph:v1", "registry.corp:5000/rook/ceph:v1"


def memory() -> Memory:
    unused: Any = None
    return Memory(unused, unused)


def proved() -> tuple[World, RolloutFacts]:
    made = world(Load("Deployment", "web", NEW), Load("Deployment", "api", NEW))
    facts = made.facts(spec())
    assert decide(facts, made.now).stage is Stage.DONE
    return made, facts


def test_equal_facts_give_the_decision_that_was_made() -> None:
    made, facts = proved()
    kept = memory()
    first = kept.decide(facts, made.now)
    assert kept.decide(made.facts(spec()), made.now + 1) is first


def test_after_a_while_it_is_made_anew_all_the_same() -> None:
    made, facts = proved()
    kept = memory()
    first = kept.decide(facts, made.now)
    assert kept.decide(facts, made.now + HOLDS - 0.1) is first
    again = kept.decide(facts, made.now + HOLDS)
    assert again is not first
    assert again == first


def test_time_that_the_decision_waits_for_makes_it_anew() -> None:
    made = world(Load("Deployment", "web", OLD))
    wanted = spec(rollout={"window": {"schedule": "0 0 1 1 *", "duration": "1m"}})
    midnight = 1_798_761_600.0  # 2027-01-01T00:00:00Z
    kept, facts = memory(), made.facts(wanted)
    assert kept.decide(facts, midnight - 5).stage is Stage.WINDOW
    assert kept.decide(facts, midnight - 1).stage is Stage.WINDOW
    assert kept.decide(facts, midnight).actions


def test_actions_are_never_kept() -> None:
    made = world(Load("Deployment", "web", OLD))
    kept, facts = memory(), made.facts(spec())
    assert kept.decide(facts, made.now).actions
    assert kept.last is None


@pytest.mark.parametrize(
    "changes",
    [{"contested": frozenset({"web"})}, {"blocked": {"web": ("Progressing", "not yet")}}, {"uid": "another"}],
)
def test_any_other_fact_makes_it_anew(changes: dict[str, Any]) -> None:
    made, facts = proved()
    kept = memory()
    first = kept.decide(facts, made.now)
    other = msgspec.structs.replace(facts, **changes)
    assert kept.decide(other, made.now) is not first
    assert kept.decide(other, made.now) == decide(other, made.now)


def test_a_rollout_goes_as_without_a_memory() -> None:
    names = [("Deployment", "web"), ("StatefulSet", "db"), ("DaemonSet", "agent")]
    plain, kept = (world(*(Load(kind, name, OLD, replicas=2) for kind, name in names)) for _ in range(2))
    told, wanted = memory(), spec()
    for _ in range(60):
        once, again = plain.decide(wanted), told.decide(kept.facts(wanted), kept.now)
        assert once == again
        for each, found in ((plain, once), (kept, again)):
            each.apply(found.actions)
            each.tick()
    assert plain.decide(wanted).stage is Stage.DONE
