"""When a claim grows, how far, and what is said where it cannot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.decide.registryworld import BUCKET, CLAIM, EXISTING, Crash, World, spec

from pawl.api.quantities import amount_of
from pawl.api.registrystorage_status import StoreRef
from pawl.decide.expansion import written

GIB = 1 << 30


def filled(percent: int, **fields: Any) -> World:
    world = World(spec(**({"expansion": {"maxSize": "1Ti"}} | fields))).serving()
    world.fill(percent)
    return world


def store(world: World) -> StoreRef:
    assert world.memory.store is not None
    return world.memory.store


def test_one_step_is_asked_for_and_then_a_pause() -> None:
    world = filled(81)
    assert world.look().want.grow == {store(world).claim: 120 * GIB}
    assert world.claims[store(world).claim].requested == 120 * GIB
    world.later(hours=5, minutes=59)
    assert world.look().want.grow == {}
    world.later(minutes=2)
    world.look()
    assert store(world).size == "144Gi"


def test_an_emergency_has_a_short_pause() -> None:
    world = filled(95)
    world.look()
    world.later(minutes=9)
    world.look()
    assert store(world).size == "120Gi"
    world.later(minutes=2)
    world.look()
    assert store(world).size == "144Gi"


def test_a_crash_before_asking_repeats_the_asking_and_not_the_step() -> None:
    world = filled(81)
    world.look(Crash.STORED)
    assert world.claims[store(world).claim].requested == 100 * GIB
    for _ in range(3):
        world.look()
    assert world.claims[store(world).claim].requested == 120 * GIB


def test_it_never_grows_beyond_the_bound() -> None:
    world = filled(81, expansion={"maxSize": "110Gi"})
    world.look()
    assert store(world).size == "110Gi"
    world.later(days=1)
    found = world.look()
    assert found.want.grow == {}
    said = next(one for one in found.conditions if one.type == "Pressure")
    assert (said.reason, "110Gi is reached" in said.message) == ("CannotExpand", True)


def test_it_waits_for_the_step_before() -> None:
    world = filled(81)
    world.look()
    claim = store(world).claim
    world.claims[claim] = replace(world.claims[claim], capacity=100 * GIB)
    world.later(days=1)
    found = world.look()
    assert store(world).size == "120Gi"
    assert next(one.reason for one in found.conditions if one.type == "Pressure") == "Expanding"


@pytest.mark.parametrize(
    ("fields", "grows", "way"),
    [
        ({"expansion": {}}, True, "maxSize is not set"),
        ({}, False, "storage.filesystem.series"),
        ({}, None, "cannot be read"),
        ({"storage": EXISTING}, True, "not Pawl's own"),
        ({"storage": {"s3": BUCKET["s3"] | {"quota": "100"}}}, True, "storage.s3.quota"),
    ],
)
def test_what_cannot_grow_says_so_with_the_way_out(fields: Any, grows: bool | None, way: str) -> None:  # noqa: FBT001
    world = World(spec(**({"expansion": {"maxSize": "1Ti"}} | fields)), grows=grows).serving()
    world.fill(81)
    world.meter = world.meter.model_copy(update={"bytes": 81})
    found = world.look()
    said = next(one for one in found.conditions if one.type == "Pressure")
    assert (said.status, said.reason) == ("True", "CannotExpand")
    assert way in said.message
    assert found.want.grow == {}


def test_a_larger_size_in_the_spec_is_asked_for_at_once() -> None:
    world = World().serving()
    world.change(storage={"filesystem": CLAIM["filesystem"] | {"size": "150Gi"}})
    assert world.look().want.grow == {store(world).claim: 150 * GIB}
    assert world.phase == ""


def test_a_smaller_size_in_the_spec_is_ignored() -> None:
    world = World().serving()
    world.change(storage={"filesystem": CLAIM["filesystem"] | {"size": "50Gi"}})
    assert world.look().want.grow == {}
    assert store(world).size == "100Gi"


def test_a_larger_size_that_the_class_does_not_give_is_said() -> None:
    world = World(grows=False).serving()
    world.change(storage={"filesystem": CLAIM["filesystem"] | {"size": "150Gi"}})
    found = world.look()
    assert found.want.grow == {}
    assert next(one.reason for one in found.conditions if one.type == "Pressure") == "CannotExpand"


@pytest.mark.parametrize("because", ["suspend", "blocked"])
def test_nothing_grows_while(because: str) -> None:
    world = filled(90)
    if because == "suspend":
        world.change(suspend=True)
    else:
        world.blocked = "a right is missing"
    assert world.look().want.grow == {}
    assert store(world).size == "100Gi"


@pytest.mark.parametrize("size", [1, 1023, 1 << 20, 3 * GIB, 5 * GIB + (1 << 20)])
def test_sizes_are_written_without_a_rest(size: int) -> None:
    assert amount_of(written(size)) == size
