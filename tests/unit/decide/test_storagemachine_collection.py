"""A collection from its cause to its thaw, and everything that refuses or ends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.decide.registryworld import BUCKET, POD, World, spec

from pawl.api.registrywork import Meter, Plan, TagVerdict, Task

PLAN = Plan(tags=10, delete_tags=3, total_bytes=100, delete_bytes=30, reasons={"Expired": 3, "KeepLast": 7})


def collecting(until: str, **fields: Any) -> World:
    world = World(spec(**fields)).serving()
    world.look(collect_requested=True)
    for _ in range(8):
        if world.collection == until:
            break
        world.plan = PLAN if world.collection == "Plan" else None
        world.roll()
        world.look()
    assert world.collection == until
    return world


def last(world: World) -> Any:
    return world.memory.collection


def test_the_phases_come_in_their_order_and_end_writable() -> None:
    world = collecting("Plan")
    assert (world.want.ask_plan, world.want.read_only) == (True, False)
    world.plan = PLAN
    world.look()
    assert (world.collection, world.want.read_only, world.want.works) == ("Freeze", True, ())
    assert (world.memory.freeze.reason, world.memory.freeze.thaw_by) == ("Collection", last(world).thaw_by)
    assert last(world).thaw_by == world.now + timedelta(hours=1)
    world.look()
    assert world.collection == "Freeze", "no Pod has refused a push yet"
    world.roll()
    world.look()
    (work,) = world.want.works
    assert (work.task, work.source.id, work.order) == (Task.PREPARE, world.wanted.id, f"{last(world).id}/collect/1")
    world.end(Task.PREPARE, freed_bytes=30)
    found = world.look()
    assert (world.collection, found.want.read_only, found.want.works) == ("Thaw", False, ())
    world.look()
    assert world.collection == "Thaw", "the server was not made anew yet"
    world.roll()
    found = world.look()
    assert (world.collection, last(world).reason, last(world).freed_bytes) == ("Done", "Collected", 30)
    assert (last(world).tags, last(world).delete_tags, last(world).reasons) == (10, 3, PLAN.reasons)
    assert [notice.reason for notice in found.notices] == ["Collected"]


@pytest.mark.parametrize(
    ("fields", "partial", "expected"),
    [
        ({}, False, ("Freeze", "")),
        ({}, True, ("Refused", "PartialView")),
        ({"collection": {"dryRun": True}}, False, ("Refused", "DryRun")),
    ],
)
def test_a_claim_for_one_pod_has_no_meter_so_its_job_judges(
    fields: Any,
    partial: bool,  # noqa: FBT001
    expected: tuple[str, str],
) -> None:
    world = collecting("Plan", storage=POD, **fields)
    world.partial = partial
    world.look()
    assert (world.collection, last(world).reason) == expected


def test_the_sample_names_the_first_that_go() -> None:
    world = collecting("Plan", collection={"dryRun": True})
    names = [TagVerdict(repository="shop/web", tag=f"t{n}", keep=n % 2 == 0, reason="Expired") for n in range(99)]
    world.plan = PLAN.model_copy(update={"verdicts": names})
    world.look()
    assert [one.tag for one in last(world).sample] == [f"t{n}" for n in range(1, 40, 2)]


@pytest.mark.parametrize(
    ("fields", "plan", "partial", "expected"),
    [
        ({}, PLAN.model_copy(update={"refused": "40 percent of the tags would go"}), False, ("Refused", "CapExceeded")),
        ({}, PLAN.model_copy(update={"refused": "a link", "unsafe": True}), False, ("Refused", "CollectionFailed")),
        ({}, PLAN, True, ("Refused", "PartialView")),
        ({"collection": {"dryRun": True}}, PLAN, False, ("Done", "DryRun")),
        ({}, Plan(tags=9), False, ("Done", "NothingToCollect")),
        ({}, Plan(tags=9, delete_bytes=1), False, ("Freeze", "")),
        ({}, Plan(tags=9, delete_manifests=1), False, ("Freeze", "")),
        ({"retention": [{"repositories": ["*"]}]}, PLAN, True, ("Refused", "PartialView")),
        ({"retention": [{"repositories": ["*"], "keepInUse": False}]}, PLAN, True, ("Freeze", "")),
        (
            {"retention": [{"repositories": ["*"]}], "collection": {"acceptPartialView": True}},
            PLAN,
            True,
            ("Freeze", ""),
        ),
    ],
)
def test_what_becomes_of_a_plan(fields: Any, plan: Plan, partial: bool, expected: tuple[str, str]) -> None:  # noqa: FBT001
    world = collecting("Plan", **fields)
    world.plan, world.partial = plan, partial
    world.look()
    assert (world.collection, last(world).reason) == expected
    assert world.want.read_only == (expected[0] == "Freeze")


def test_a_failed_job_thaws_too() -> None:
    world = collecting("Collect")
    world.end(Task.PREPARE, ok=False, reason="GraphBroken")
    found = world.look()
    assert (world.collection, found.want.read_only) == ("Thaw", False)
    world.roll()
    world.look()
    assert (world.collection, last(world).reason, last(world).message) == ("Failed", "GraphBroken", "said by prepare")


@pytest.mark.parametrize("phase", ["Freeze", "Collect"])
def test_the_deadline_thaws_whatever_the_phase_after_days_of_absence(phase: str) -> None:
    world = collecting(phase)
    world.roll()
    world.later(days=3)
    world.look()
    world.stray.clear()
    found = world.look()
    assert (world.collection, found.want.read_only, world.memory.freeze) == ("Thaw", False, None)
    world.roll()
    world.look()
    assert (world.collection, last(world).reason) == ("Failed", "CollectionFailed")


def test_the_server_stays_read_only_until_the_collector_is_gone() -> None:
    world = collecting("Collect")
    world.later(hours=2)
    for _ in range(3):
        found = world.look()
        assert (world.collection, found.want.read_only, found.want.works) == ("Thaw", True, ())
    assert world.stray
    assert "beside it" in next(one.message for one in found.conditions if one.type == "Writable")
    world.stray.clear()
    assert not world.look().want.read_only


def test_a_pod_that_takes_pushes_stops_the_collector() -> None:
    world = collecting("Collect")
    world.pods = tuple(replace(pod, read_only=False) for pod in world.pods)
    world.look()
    assert (world.collection, last(world).reason, world.want.works) == ("Thaw", "NotFrozen", ())


def test_a_pod_that_restarts_does_not_stop_the_collector() -> None:
    world = collecting("Collect")
    world.pods = ()
    world.look()
    assert world.collection == "Collect"


def test_a_claim_for_one_pod_is_collected_while_the_server_is_away() -> None:
    world = collecting("Freeze", storage=POD)
    found = world.look()
    assert (found.want.scale, found.want.works) == (0, ())
    serving = next(one for one in found.conditions if one.type == "Serving")
    world.roll()
    found = world.look()
    assert [work.task for work in found.want.works] == [Task.PREPARE]
    serving = next(one for one in found.conditions if one.type == "Serving")
    assert (serving.reason, "pulls stop" in serving.message) == ("Collecting", True)
    world.end(Task.PREPARE)
    assert world.look().want.scale == 1
    world.roll()
    world.look()
    assert world.collection == "Done"


def test_the_schedule_begins_one_run_a_time() -> None:
    world = World(spec(collection={"schedule": "0 5 * * *"})).serving()
    world.later(hours=1, minutes=59)
    world.look()
    assert world.collection == ""
    world.later(minutes=2)
    found = world.look()
    assert (world.collection, last(world).cause) == ("Plan", "Schedule")
    assert found.wait == 1.0
    world.plan = Plan()
    world.look()
    world.later(hours=20)
    world.look()
    assert world.collection == "Done"
    world.later(hours=4)
    world.look()
    assert world.collection == "Plan"


def test_pressure_collects_once_an_hour_or_when_it_rises() -> None:
    world = World().serving()
    world.fill(86)
    world.look()
    assert (world.collection, last(world).cause) == ("Plan", "Pressure")
    world.plan = Plan(refused="too much")
    world.look()
    first = last(world).id
    world.later(minutes=59)
    world.fill(90)
    world.look()
    assert last(world).id == first
    world.fill(91)
    world.look()
    assert last(world).id != first
    world.plan = Plan(refused="too much")
    world.look()
    second = last(world).id
    world.later(minutes=61)
    world.look()
    assert last(world).id != second


def test_under_pressure_an_empty_plan_is_carried_out() -> None:
    world = World().serving()
    world.fill(86)
    world.look()
    world.plan = Plan(tags=3)
    world.look()
    assert world.collection == "Freeze"


@pytest.mark.parametrize("because", ["suspend", "migration", "blocked", "server", "claim"])
def test_nothing_begins_while(because: str) -> None:
    world = World().serving()
    if because == "suspend":
        world.change(suspend=True)
    if because == "migration":
        world.change(storage=BUCKET)
    if because == "blocked":
        world.blocked = "Secret keys is missing"
    if because == "server":
        world.pods = ()
    if because == "claim":
        world.claims.clear()
    world.look(collect_requested=True)
    assert world.collection == ""


def test_a_migration_waits_for_the_collection() -> None:
    world = collecting("Collect")
    world.change(storage=BUCKET)
    found = world.look()
    assert world.phase == ""
    assert next(one.reason for one in found.conditions if one.type == "Ready") == "Busy"
    world.end(Task.PREPARE)
    world.look()
    world.roll()
    world.look()
    world.look()
    assert (world.collection, world.phase) == ("Done", "Preflight")


def test_a_collection_runs_while_the_old_store_is_held() -> None:
    world = World().serving()
    world.change(storage=BUCKET)
    world.through("Hold")
    world.look(collect_requested=True)
    assert world.collection == "Plan"


@pytest.mark.parametrize(("phase", "then"), [("Plan", "Refused"), ("Freeze", "Thaw"), ("Collect", "Collect")])
def test_suspend_brings_a_collection_to_a_safe_place(phase: str, then: str) -> None:
    world = collecting(phase)
    world.change(suspend=True)
    found = world.look()
    assert world.collection == then
    assert found.want.read_only == (then == "Collect")


def test_a_meter_that_makes_no_plan_is_given_up() -> None:
    world = collecting("Plan")
    world.later(minutes=31)
    world.look()
    assert (world.collection, last(world).reason) == ("Failed", "CollectionFailed")


def test_a_full_disk_is_collected_and_is_not_thawed_by_the_deadline() -> None:
    world = World().serving()
    world.fill(96)
    world.look()
    assert (world.memory.freeze.reason, world.collection) == ("Pressure", "Plan")
    world.plan = PLAN
    world.look()
    assert (world.collection, world.memory.freeze.reason) == ("Freeze", "Collection")
    world.later(hours=2)
    found = world.look()
    assert (world.collection, world.memory.freeze.reason, found.want.read_only) == ("Thaw", "Pressure", True)
    assert world.memory.freeze.thaw_by is None
    world.roll()
    world.look()
    assert world.collection == "Failed"
    world.meter = Meter(used=84, capacity=100)
    assert not world.look().want.read_only
