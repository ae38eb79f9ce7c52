"""How full a store is, and the ladder of what is done about it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.decide.registryworld import BUCKET, World, spec

from pawl.api.registrystorage_spec import Pressure
from pawl.api.registrywork import Meter, Plan, RepositorySize, Task
from pawl.decide.pressure import percent, too_full, usage

QUOTA = {"s3": BUCKET["s3"] | {"quota": "1Ki"}}


@pytest.mark.parametrize(
    ("storage", "meter", "expected"),
    [
        (None, None, None),
        (None, Meter(used=50, capacity=200), 25),
        (None, Meter(used=199, capacity=200), 99),
        (None, Meter(used=1, capacity=200, inodes=10, inodes_used=9), 90),
        (None, Meter(bytes=10, used=10), None),
        (BUCKET, Meter(bytes=10, used=10, capacity=10), None),
        (QUOTA, Meter(bytes=512), 50),
        (QUOTA, Meter(bytes=512, upload_bytes=256), 75),
        (QUOTA, Meter(bytes=2048), 200),
    ],
)
def test_percent_is_the_greater_of_bytes_and_inodes(storage: Any, meter: Meter | None, expected: int | None) -> None:
    world = World(spec(**({"storage": storage} if storage else {}))).serving()
    assert percent(world.facts(meter=meter)) == expected


@pytest.mark.parametrize(
    ("before", "filled", "after"),
    [
        (False, 94, False),
        (False, 95, True),
        (True, 94, True),
        (True, 85, True),
        (True, 84, False),
        (True, None, True),
        (False, None, False),
    ],
)
def test_too_full_begins_at_one_bound_and_ends_below_another(before: bool, filled: int | None, after: bool) -> None:  # noqa: FBT001
    assert too_full(filled, Pressure(), before=before) is after


def test_bounds_in_the_wrong_order_do_not_make_it_go_to_and_fro() -> None:
    limits = Pressure(collect_at=99, read_only_at=50)
    assert too_full(60, limits, before=False)
    assert too_full(60, limits, before=True)


def test_usage_has_the_ten_largest() -> None:
    sizes = [RepositorySize(name=f"r{number}", bytes=number, tags=1) for number in range(30)]
    found = usage(World().serving().facts(meter=Meter(used=500, capacity=200, bytes=7, tags=30, repositories=sizes)))
    assert found is not None
    assert [one.name for one in found.largest] == [f"r{number}" for number in range(29, 19, -1)]
    assert (found.percent, found.bytes, found.capacity, found.repositories, found.tags) == (100, 7, 200, 30, 30)


def test_nothing_is_done_without_a_meter_and_it_is_said() -> None:
    world = World().serving()
    found = world.look()
    said = next(one for one in found.conditions if one.type == "Pressure")
    assert (said.status, said.reason) == ("Unknown", "UsageUnknown")
    assert (world.memory.collection, found.want.ask_plan, found.want.read_only) == (None, False, False)


@pytest.mark.parametrize(
    ("filled", "status", "reason"),
    [
        (79, "False", "Roomy"),
        (80, "True", "CannotExpand"),
        (85, "True", "CollectAtReached"),
        (95, "True", "ReadOnlyAtReached"),
    ],
)
def test_the_rungs_of_the_ladder(filled: int, status: str, reason: str) -> None:
    world = World().serving()
    world.fill(filled)
    found = world.look()
    said = next(one for one in found.conditions if one.type == "Pressure")
    assert (said.status, said.reason) == (status, reason)
    assert found.want.ask_plan == (filled >= 85)
    assert found.want.read_only == (filled >= 95)
    assert (world.collection == "Plan") == (filled >= 85)


def test_a_full_store_is_read_only_until_it_is_well_below() -> None:
    world = World().serving()
    world.fill(95)
    found = world.look()
    assert found.notices[-1].reason == "ReadOnlyAtReached"
    writable = next(one for one in found.conditions if one.type == "Writable")
    assert (writable.status, writable.reason) == ("False", "StoreFull")
    world.later(days=9)
    world.fill(90)
    assert world.look().want.read_only
    world.fill(84)
    found = world.look()
    assert not found.want.read_only
    assert found.notices[-1].reason == "Roomy"


def test_the_pressure_of_the_old_store_does_not_freeze_the_new_one() -> None:
    world = World().serving()
    world.change(storage=BUCKET)
    world.through("Final")
    world.fill(96)
    world.look()
    assert world.memory.freeze.full
    world.end(Task.FINAL)
    world.through("Switch")
    assert not world.memory.freeze.full
    world.meter = None
    world.through("Hold")
    assert world.memory.freeze is None


def test_a_bucket_without_a_quota_has_no_pressure() -> None:
    world = World(spec(storage=BUCKET)).serving()
    world.meter = Meter(bytes=10**15)
    found = world.look()
    said = next(one for one in found.conditions if one.type == "Pressure")
    assert (said.status, said.reason, "quota" in said.message) == ("False", "Roomy", True)


def ready(found: object) -> tuple[str, str]:
    said = next(one for one in found.conditions if one.type == "Ready")  # type: ignore[attr-defined]
    return said.status, said.reason


def kinds(found: object) -> set[str]:
    return {one.type for one in found.conditions if one.status == "True"}  # type: ignore[attr-defined]


def test_a_store_that_refuses_pushes_for_want_of_room_is_not_ready() -> None:
    """The spec asks for a registry that takes pushes: tools that wait for it must not call it well."""
    world = World(spec(expansion={"maxSize": "900Gi"})).serving()
    world.fill(96)
    found = world.look()
    assert ready(found) == ("False", "StoreFull")
    assert "Stalled" not in kinds(found), "it grows by itself"
    world.fill(10)
    world.look()
    world.roll()
    assert ready(world.look())[0] == "True"


def test_a_full_store_that_cannot_grow_asks_for_a_person_once_it_was_collected() -> None:
    world = World(grows=False).serving()
    world.fill(96)
    found = world.look()
    assert "Stalled" not in kinds(found), "it is collected first"
    world.roll()
    world.plan = Plan(refused="too much")
    for _ in range(3):
        found = world.look()
    stalled = next(one for one in found.conditions if one.type == "Stalled")
    assert (stalled.reason, found.phase) == ("StoreFull", "ReadOnly")
    assert "raise storage.filesystem.series" in stalled.message


def test_a_registry_that_is_read_only_because_the_spec_says_so_is_ready() -> None:
    world = World(spec(readOnly=True)).serving()
    assert ready(world.look()) == ("True", "Serving")


def test_a_freeze_that_outlives_its_time_is_not_ready() -> None:
    """The Pod of a collector on a lost node: nothing may be pushed beside it, and somebody must see that."""
    world = World().serving()
    world.look(collect_requested=True)
    world.plan = Plan(tags=9, delete_tags=3)
    for _ in range(4):
        world.look()
        world.roll()
    assert Task.PREPARE in world.works
    world.later(hours=2)
    world.look()
    found = world.look()
    assert world.stray
    assert ready(found) == ("False", "ReadOnly")
