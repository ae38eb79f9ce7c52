"""First sight, what is left alone, what is said, and that nothing changes where nothing happens."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.decide.registryworld import BIGGER, BUCKET, CLAIM, EPOCH, EXISTING, Crash, World, spec

from pawl.api.meta import Condition
from pawl.decide.storagefacts import Memory, ServerPod, Step


def said(found: Step) -> dict[str, tuple[str, str]]:
    return {one.type: (one.status, one.reason) for one in found.conditions}


def test_first_sight_serves_what_the_spec_names() -> None:
    world = World()
    found = world.look()
    assert (found.memory.revision, found.memory.store) == (1, world.wanted)
    assert (found.want.store, found.want.scale, found.want.read_only) == (world.wanted, 1, False)
    assert found.want.claims == (world.wanted,)
    assert found.phase == "Starting"
    assert said(found) == {
        "Ready": ("False", "Starting"),
        "Reconciling": ("True", "Starting"),
        "Serving": ("False", "Starting"),
        "Writable": ("False", "Starting"),
        "Pressure": ("Unknown", "UsageUnknown"),
    }


def test_a_server_that_runs_is_ready_and_then_all_is_still() -> None:
    world = World().serving()
    world.fill(10)
    found = world.look()
    assert found.phase == "Serving"
    assert said(found) == {
        "Ready": ("True", "Serving"),
        "Serving": ("True", "Serving"),
        "Writable": ("True", "Writable"),
        "Pressure": ("False", "Roomy"),
    }
    revision, times = found.memory.revision, [one.last_transition_time for one in found.conditions]
    for _ in range(3):
        world.later(hours=1)
        found = world.look()
        assert found.memory.revision == revision
        assert [one.last_transition_time for one in found.conditions] == times
        assert (found.notices, found.wait) == ((), 30.0)


def test_a_store_that_never_served_is_replaced_without_a_migration() -> None:
    world = World(spec(storage=BUCKET))
    world.look()
    world.change(storage={"s3": BUCKET["s3"] | {"bucket": "right"}})
    found = world.look()
    assert (found.want.store.bucket, world.phase) == ("right", "")


def test_a_claim_that_was_bound_is_not_forgotten() -> None:
    world = World()
    world.look()
    world.change(storage=BIGGER)
    world.look()
    assert (world.phase, world.memory.store.id != world.wanted.id) == ("Preflight", True)


def test_a_server_of_another_store_without_memory_is_left_alone() -> None:
    pod = ServerPod("p", "10.0.0.1", "n", ready=True, ending=False, store="other", read_only=False, config="c")
    found = World(pods=(pod,)).look()
    assert (found.want, found.memory, found.phase) == (None, Memory(), "Stalled")
    assert said(found)["Stalled"] == ("True", "LedgerInvalid")


def test_what_is_blocked_before_it_exists_makes_nothing() -> None:
    world = World(blocked="Secret keys in namespace shop is missing")
    found = world.look()
    assert (found.want, found.phase) == (None, "Stalled")
    assert said(found)["Stalled"] == ("True", "InvalidSpec")


def test_the_reason_of_what_blocks_is_that_of_its_condition() -> None:
    why = "Secret keys in namespace shop is missing"
    other = Condition(type="Trusted", status="False", reason="SecretNotFound", message=why, last_transition_time=EPOCH)
    found = World(blocked=why).look(conditions=(other,))
    assert said(found)["Stalled"] == ("True", "SecretNotFound")
    assert said(found)["Trusted"] == ("False", "SecretNotFound")


def test_what_runs_stays_while_blocked() -> None:
    world = World().serving()
    world.change(storage=BUCKET)
    world.look()
    world.blocked = "a right is missing"
    found = world.look()
    assert len(found.want.works) == 1
    del world.works[next(iter(world.works))]
    found = world.look()
    assert (found.want.works, found.want.scale) == ((), 1)


def test_a_lost_claim_is_not_made_again_empty() -> None:
    world = World().serving()
    world.claims.clear()
    world.pods = ()
    found = world.look()
    assert (found.want.claims, said(found)["Stalled"]) == ((), ("True", "ClaimMissing"))
    world.change(storage=BUCKET)
    assert world.look().want.store.kind == "Filesystem"


def test_an_existing_claim_is_never_made() -> None:
    found = World(spec(storage=EXISTING)).look()
    assert found.want.claims == ()
    assert said(found)["Serving"] == ("False", "ClaimMissing")


def test_both_claims_of_a_migration_exist() -> None:
    world = World().serving()
    world.change(storage=BIGGER)
    found = world.look()
    assert {one.claim for one in found.want.claims} == {world.memory.store.claim, world.wanted.claim}
    assert all(one.storage_class == "local" for one in found.want.claims)


def test_replicas_only_where_many_may_write() -> None:
    for storage, count in ((CLAIM, 1), (BUCKET, 3), ({"filesystem": {"accessMode": "ReadWriteMany"}}, 3)):
        assert World(spec(storage=storage, server={"replicas": 3})).look().want.scale == count


def test_read_only_by_the_spec_and_back() -> None:
    world = World().serving()
    world.change(readOnly=True)
    found = world.look()
    assert (found.want.read_only, found.notices[0].reason) == (True, "ReadOnly")
    world.roll()
    found = world.look()
    assert (found.phase, said(found)["Writable"], said(found)["Ready"]) == (
        "ReadOnly",
        ("False", "ReadOnly"),
        ("True", "Serving"),
    )
    world.change(readOnly=False)
    assert not world.look().want.read_only


def test_a_migration_of_a_read_only_registry_ends_read_only() -> None:
    world = World().serving()
    world.change(readOnly=True, storage=BUCKET)
    world.through("Hold")
    assert (world.want.read_only, world.memory.freeze.reason) == (True, "Spec")


@pytest.mark.parametrize("crash", [Crash.JUDGED, Crash.LEDGER, Crash.STORED])
def test_a_crash_at_every_step_ends_in_the_same_place(crash: Crash) -> None:
    world = World().serving()
    world.push()
    world.change(storage=BUCKET)
    for _ in range(30):
        world.look(crash)
        world.look()
        world.roll()
        for task, work in list(world.works.items()):
            if work.active:
                world.end(task)
    assert world.phase == "Hold"
    assert world.content[world.memory.store.id] == world.pushed


def test_conditions_of_others_pass_and_keep_their_time() -> None:
    world = World().serving()

    def trusted(status: Any, hours: int) -> Condition:
        when = EPOCH.replace(hour=hours)
        return Condition(type="Trusted", status=status, reason="Proved", last_transition_time=when)

    first = world.look(conditions=(trusted("True", 4),))
    again = world.look(conditions=(trusted("True", 9),))
    assert [one for one in first.conditions if one.type == "Trusted"] == [trusted("True", 4)]
    assert [one for one in again.conditions if one.type == "Trusted"] == [trusted("True", 4)]
    world.look(conditions=(trusted("False", 9),))


def test_the_wait_ends_at_the_next_deadline() -> None:
    world = World(spec(collection={"schedule": "10 3 * * *"})).serving()
    world.look()
    assert world.look().wait == 30.0
    world.later(minutes=9, seconds=50)
    assert world.look().wait == 10.0
