"""A migration phase by phase, and every way back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.unit.decide.registryworld import BIGGER, BUCKET, CLAIM, EXISTING, POD, Crash, World, spec

from pawl.api.registrywork import Task


def migrating(until: str, source: dict = CLAIM, target: dict = BIGGER) -> World:
    world = World(spec(storage=source)).serving()
    world.push()
    world.change(storage=target)
    world.through(until)
    assert world.phase == until
    return world


def condition(found: object, kind: str) -> object:
    return next((one for one in found.conditions if one.type == kind), None)


def test_the_phases_come_in_their_order() -> None:
    world = World().serving()
    world.push()
    world.change(storage=BUCKET)
    seen = world.through("Hold")
    assert seen == ["Preflight", "Freeze", "Final", "Switch", "Smoke", "Open", "Hold"]
    memory = world.memory
    assert memory.store.id == world.wanted.id
    assert memory.held.id == memory.migration.source.id
    assert memory.migration.hold_until - world.now == timedelta(hours=72)
    assert world.content[memory.store.id] == world.pushed
    assert memory.freeze is None


@pytest.mark.parametrize("phase", ["Preflight", "Freeze", "Final", "Switch", "Smoke", "Open", "Hold"])
def test_pushes_are_refused_only_where_the_stores_must_not_change(phase: str) -> None:
    world = migrating(phase)
    assert world.want.read_only == (phase in {"Freeze", "Final", "Switch", "Smoke"})
    served = "target" if phase in {"Switch", "Smoke", "Open", "Hold"} else "source"
    assert world.want.store.id == getattr(world.memory.migration, served).id


@pytest.mark.parametrize("phase", ["Preflight", "Freeze", "Final", "Switch", "Smoke"])
def test_naming_the_source_again_goes_back_and_loses_nothing(phase: str) -> None:
    world = migrating(phase)
    world.change(storage=CLAIM)
    found = world.look()
    assert world.phase == "Cancel"
    assert found.want.works == ()
    assert not found.want.read_only
    world.stray.clear()
    world.roll()
    world.look()
    assert world.phase == "Cancelled"
    assert world.memory.held is None
    assert world.content[world.memory.store.id] == world.pushed


def test_cancel_waits_until_the_last_pod_of_its_jobs_is_gone() -> None:
    world = migrating("Final")
    world.change(storage=CLAIM)
    world.look()
    world.roll()
    world.look()
    assert world.stray
    assert world.phase == "Cancel"


def test_a_third_store_before_the_switch_cancels_first_then_begins() -> None:
    world = migrating("Final")
    first = world.memory.migration.id
    world.change(storage=BUCKET)
    world.look()
    assert world.phase == "Cancel"
    world.stray.clear()
    assert world.through("Hold")[:3] == ["Cancel", "Cancelled", "Preflight"]
    assert world.memory.migration.id != first
    assert world.memory.store.kind == "S3"


def test_a_third_store_after_the_switch_waits_until_the_first_is_open() -> None:
    world = migrating("Smoke")
    second = world.memory.store
    world.change(storage=BUCKET)
    world.end(Task.SMOKE)
    world.look()
    assert world.phase == "Open"
    assert world.through("Smoke")[:3] == ["Open", "Hold", "Preflight"]
    assert world.memory.migration.source.id == second.id


def test_after_hold_began_the_old_store_is_the_target_of_a_migration_back() -> None:
    world = migrating("Hold")
    old, new = world.memory.held, world.memory.store
    world.push()
    world.change(storage=CLAIM)
    world.through("Hold")
    assert (world.memory.store.id, world.memory.held.id) == (old.id, new.id)
    assert world.content[old.id] == world.pushed


@pytest.mark.parametrize("reason", ["NoSpace", "TargetNotEmpty", "Schema1Found", "SourceCorrupt", "GraphBroken"])
def test_a_lasting_reason_in_the_freeze_ends_it_at_once(reason: str) -> None:
    world = migrating("Final")
    world.end(Task.FINAL, ok=False, reason=reason)
    found = world.look()
    assert (world.phase, found.phase) == ("Failed", "Stalled")
    assert not found.want.read_only
    assert found.want.store.id == world.memory.migration.source.id
    stalled = condition(found, "Stalled")
    assert (stalled.reason, stalled.message) == (reason, "said by final")
    assert condition(found, "Ready").status == "False"


def test_a_lasting_failure_is_tried_again_for_a_new_generation_or_when_asked() -> None:
    for nudge in (lambda world: (world.change(readOnly=False), {})[1], lambda _: {"retry_requested": True}):
        world = migrating("Final")
        world.end(Task.FINAL, ok=False, reason="NoSpace")
        world.look()
        known, attempt = world.memory.migration.id, world.memory.migration.attempt
        world.later(days=3)
        world.look()
        assert world.phase == "Failed"
        world.look(**nudge(world))
        assert world.phase == "Preflight"
        assert world.memory.migration.id == known, "the ledger on the target is found by the id"
        assert world.memory.migration.attempt > attempt


def test_a_passing_failure_is_tried_again_with_growing_pauses() -> None:
    world = migrating("Preflight")
    pauses = []
    for _ in range(9):
        world.end(Task.BULK, ok=False)
        order = world.works[Task.BULK].order
        world.look()
        pauses.append((world.memory.migration.retry_at - world.now).total_seconds())
        assert world.look().want.works[0].order == order, "the failed Job stays for its log"
        world.now = world.memory.migration.retry_at
        world.look()
        assert world.works[Task.BULK].order != order
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (15, 900)


def test_a_job_that_succeeds_without_a_report_proves_nothing() -> None:
    world = migrating("Final")
    world.end(Task.FINAL)
    work = world.works[Task.FINAL]
    for report in (None, work.report.model_copy(update={"ok": False}), work.report.model_copy(update={"done": False})):
        world.works[Task.FINAL] = type(work)(**{n: getattr(work, n) for n in work.__slots__} | {"report": report})
        found = world.look(Crash.JUDGED)
        assert found.memory.migration.phase == "Final"


def test_the_report_of_an_earlier_order_does_not_count() -> None:
    world = migrating("Final")
    world.end(Task.FINAL)
    stale = world.works[Task.FINAL]
    world.works[Task.FINAL] = type(stale)(**{n: getattr(stale, n) for n in stale.__slots__} | {"order": "x/final/1"})
    assert world.look(Crash.JUDGED).memory.migration.phase == "Final"


def test_a_pod_that_takes_pushes_sends_the_last_copy_back_to_the_freeze() -> None:
    world = migrating("Final")
    order = world.works[Task.FINAL].order
    rest = world.pods
    world.pods = tuple(type(pod)(**{n: getattr(pod, n) for n in pod.__slots__} | {"read_only": False}) for pod in rest)
    found = world.look()
    assert (world.phase, found.want.works) == ("Freeze", ())
    assert found.notices[0].reason == "ReadOnly"
    world.stray.clear()
    world.roll()
    world.through("Final")
    assert world.works[Task.FINAL].order != order


def test_the_last_copy_begins_only_when_every_pod_refused_a_push() -> None:
    world = migrating("Preflight")
    world.end(Task.BULK)
    for _ in range(2):
        world.look()
        assert (world.phase, world.want.works) == ("Freeze", ())
    world.roll()
    world.silent = True
    world.look()
    assert world.phase == "Freeze"
    world.silent = False
    world.stray["p"] = Task.FINAL
    world.look()
    assert world.phase == "Freeze"
    world.stray.clear()
    world.look()
    assert world.phase == "Final"


def test_a_pod_that_does_not_answer_holds_the_switch_up_and_no_more() -> None:
    world = migrating("Final")
    world.end(Task.FINAL)
    world.silent = True
    world.look()
    assert world.phase == "Final"
    world.silent = False
    world.look()
    assert world.phase == "Switch"


@pytest.mark.parametrize("phase", ["Freeze", "Final"])
def test_writers_do_not_wait_for_ever_for_the_copy(phase: str) -> None:
    world = migrating(phase)
    assert world.memory.freeze.thaw_by - world.now == timedelta(hours=4)
    world.later(hours=4)
    found = world.look()
    assert (world.phase, found.want.read_only, found.want.works) == ("Bulk", False, ())
    assert found.notices[0].reason == "Thawed"
    world.stray.clear()
    world.later(minutes=14)
    assert world.look().want.works == (), "writers may breathe"
    world.later(minutes=2)
    world.look()
    assert world.through("Hold")[-1] == "Hold"


@pytest.mark.parametrize("phase", ["Switch", "Smoke"])
def test_a_target_that_is_not_proved_in_time_is_left_again(phase: str) -> None:
    world = migrating(phase)
    world.later(hours=5)
    found = world.look()
    assert (world.phase, found.want.read_only) == ("Failed", False)
    assert found.want.store.id == world.memory.migration.source.id
    assert condition(found, "Migrated").reason == "SmokeFailed"


def test_suspend_thaws_a_frozen_migration_and_begins_nothing() -> None:
    world = migrating("Final")
    world.change(suspend=True)
    found = world.look()
    assert (world.phase, found.want.read_only, found.want.works) == ("Bulk", False, ())
    world.later(days=1)
    assert world.look().want.works == ()
    world.change(suspend=False)
    world.stray.clear()
    assert world.through("Hold")[-1] == "Hold"


def test_suspend_before_the_begin_keeps_the_store_and_says_so() -> None:
    world = World().serving()
    world.change(suspend=True, storage=BUCKET)
    found = world.look()
    assert world.phase == ""
    assert condition(found, "Ready").reason == "Suspended"
    assert found.want.store.kind == "Filesystem"


def test_suspend_lets_the_running_copy_go_on_but_not_into_the_freeze() -> None:
    world = migrating("Preflight")
    world.change(suspend=True)
    assert len(world.look().want.works) == 1
    world.end(Task.BULK)
    found = world.look()
    assert (world.phase, found.want.read_only) == ("Preflight", False)


def test_progress_is_written_by_whole_percents() -> None:
    world = migrating("Preflight")
    total = 10**12
    world.tell(Task.BULK, "Bulk", bytes=total, bytes_done=0, objects=100, bytes_per_second=5)
    world.look()
    assert world.phase == "Bulk"
    before = world.memory
    world.tell(Task.BULK, "Bulk", bytes=total, bytes_done=total // 200, objects=100, bytes_per_second=7)
    world.look()
    assert world.memory is before
    world.tell(Task.BULK, "Bulk", bytes=total, bytes_done=total // 99, objects=100, bytes_per_second=9)
    world.look()
    assert (world.memory.revision, world.memory.migration.bytes_per_second) == (before.revision + 1, 9)


def test_the_last_job_tells_that_it_verifies() -> None:
    world = migrating("Final")
    world.tell(Task.FINAL, "Verify")
    world.look()
    assert world.phase == "Verify"
    assert world.want.works[0].order == world.works[Task.FINAL].order
    world.end(Task.FINAL)
    world.look()
    assert world.phase == "Switch"


def test_corrupt_objects_are_listed() -> None:
    world = migrating("Preflight")
    world.end(Task.BULK, quarantine=["sha256:bad"])
    found = world.look()
    assert "sha256:bad" in condition(found, "SourceCorrupt").message


@pytest.mark.parametrize("change", [{}, {"migration": {"deleteOldStore": "another"}}])
def test_the_old_store_stays_unless_it_is_named(change: dict) -> None:
    world = migrating("Hold")
    world.change(**change)
    world.later(days=30)
    assert world.look().want.drop == ()
    assert world.look().want.drop == ()
    assert (world.phase, world.memory.held is not None, world.dropped) == ("Done", True, [])


def test_the_old_claim_is_dropped_when_named_and_not_before_its_time() -> None:
    world = migrating("Hold")
    old = world.memory.held
    world.change(migration={"deleteOldStore": world.memory.migration.id})
    assert world.look().want.drop == ()
    world.later(hours=73)
    world.look()
    world.look()
    assert world.dropped == [old]
    world.look()
    assert (world.memory.held, world.phase) == (None, "Done")


def test_an_old_bucket_is_emptied_by_a_job() -> None:
    world = migrating("Hold", BUCKET, CLAIM)
    old = world.memory.held
    world.change(migration={"deleteOldStore": world.memory.migration.id})
    world.later(hours=73)
    world.look()
    world.look()
    (work,) = world.want.works
    assert (work.task, work.source) == (Task.DELETE, old)
    world.end(Task.DELETE, ok=False)
    world.look()
    world.later(hours=1)
    world.look()
    assert world.works[Task.DELETE].order.endswith(f"delete/{world.memory.migration.attempt}")
    world.end(Task.DELETE)
    world.look()
    assert world.memory.held is None
    assert world.look().want.works == ()


def test_an_existing_claim_is_never_dropped() -> None:
    world = World(spec(storage=EXISTING))
    world.claims["mine"] = type(next(iter(World().serving().claims.values())))(
        "mine", True, 1, 1, True, False, own=False
    )
    world.serving()
    world.change(storage=BUCKET)
    world.through("Hold")
    world.change(migration={"deleteOldStore": world.memory.migration.id})
    world.later(hours=73)
    for _ in range(3):
        world.look()
    assert (world.dropped, world.memory.held) == ([], None)
    assert "mine" in world.claims


def test_a_store_that_goes_back_into_the_spec_is_not_dropped() -> None:
    world = migrating("Hold")
    world.change(migration={"deleteOldStore": world.memory.migration.id}, storage=CLAIM)
    world.later(hours=73)
    for _ in range(3):
        world.look()
    assert world.dropped == []


def test_a_claim_for_one_pod_is_copied_while_the_server_is_away() -> None:
    world = World(spec(storage=POD)).serving()
    world.push()
    world.change(storage=BUCKET)
    found = world.look()
    assert (found.want.scale, found.want.works) == (0, ())
    world.roll()
    found = world.look()
    assert [work.task for work in found.want.works] == [Task.BULK]
    assert condition(found, "Serving").status == "False"
    world.through("Hold")
    assert world.want.scale == 1
    assert world.content[world.memory.store.id] == world.pushed


def test_made_again_with_its_ledger_the_memory_wins_and_the_difference_is_a_migration() -> None:
    old = World().serving()
    new = World(spec(storage=BUCKET), ledger=old.ledger, claims=old.claims)
    new.look()
    assert new.memory.store.kind == "Filesystem"
    assert (new.phase, new.memory.migration.target.kind) == ("Preflight", "S3")


def test_new_credentials_reach_a_migration_under_way() -> None:
    world = migrating("Preflight", CLAIM, BUCKET)
    other = BUCKET["s3"] | {"credentialsSecretRef": {"name": "new"}}
    world.change(storage={"s3": other})
    world.look()
    assert world.phase == "Preflight"
    assert world.memory.migration.target.credentials_secret == "new"
    assert world.want.works[0].target.credentials_secret == "new"


def test_the_deadline_of_a_freeze_does_not_move_with_every_look() -> None:
    world = migrating("Final")
    first = world.memory.freeze
    for _ in range(23):
        world.later(minutes=10)
        world.look()
        assert world.memory.freeze == first
    world.later(minutes=10)
    world.look()
    assert world.phase == "Bulk"
