"""What metrics say of policies: scans, holds, tags and moves, and nothing of those that are gone."""

from __future__ import annotations

from typing import Any

from tests.unit.decide.worlds import Registry, World, spec

from pawl.api.errors import Retry
from pawl.controllers.gather import Gathered
from pawl.controllers.metrics import Metrics
from pawl.controllers.queue import Key
from pawl.controllers.tally import HOLDING, Tally
from pawl.decide.conditions import OPTIONAL

ONE, TWO = Key("ImagePolicy", "shop", "one"), Key("ImagePolicy", "shop", "two")


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


def seen(tally: Tally, key: Key, world: World, scanned_at: float | None = None, **how: Any) -> None:
    facts = world.facts(**how)
    tally.gathered(key, facts.subject, Gathered(facts, "r", scanned_at))
    tally.decided(key, world.step(**how), how.get("failure"))


def test_scans_by_result() -> None:
    metrics = Metrics()
    tally, world = Tally(metrics), World(spec(), Registry.of("v1.0.0", "v1.1.0"))
    seen(tally, ONE, world)
    seen(tally, ONE, world, failure=Retry("Unreachable", "no"))
    tally.gathered(ONE, world.facts().subject, Gathered(None, "r", 1.0))
    found = {
        result: value(metrics, "pawl_scans_total", result=result) for result in ("complete", "failed", "unchanged")
    }
    assert found == {"complete": 1, "failed": 1, "unchanged": 1}


def test_moves_by_cause_with_their_lag() -> None:
    metrics = Metrics()
    tally, world = Tally(metrics), World(spec(gates={"minimumAge": "10m"}), Registry.of("v1.0.0"))
    for _ in range(3):
        seen(tally, ONE, world)
    assert value(metrics, "pawl_selections_total", cause="Bootstrap") == 1
    assert value(metrics, "pawl_selection_lag_seconds_sum") == 600


def test_holds_and_tags_are_of_living_policies() -> None:
    tally = Tally(Metrics())
    for key in (ONE, TWO):
        world = World(spec(), Registry.of("v1.0.0", "v1.1.0"))
        seen(tally, key, world, 5.0)
        world.edit(blocked=["v1.1.0"])
        seen(tally, key, world, 5.0)
    assert (tally.held(), tally.tags()) == ({"Blocked": 2}, {"registry.example.com": 4})
    tally.forget(ONE)
    assert (tally.held(), tally.tags()) == ({"Blocked": 1}, {"registry.example.com": 2})
    tally.forget(TWO)
    assert (tally.held(), tally.tags(), tally.oldest_scan()) == ({}, {}, None)


def test_the_oldest_scan_counts() -> None:
    tally, world = Tally(Metrics()), World(spec(), Registry.of("v1.0.0"))
    seen(tally, ONE, world, 50.0)
    seen(tally, TWO, world, 70.0)
    assert tally.oldest_scan() == 50.0
    seen(tally, ONE, world, 80.0)
    assert tally.oldest_scan() == 70.0
    seen(tally, TWO, world, None)
    assert tally.oldest_scan() == 70.0, "a look that asked for no list does not make it young"


def test_every_condition_that_may_hold_is_counted() -> None:
    assert {str(kind) for kind in OPTIONAL - HOLDING} == {"ScanComplete"}
