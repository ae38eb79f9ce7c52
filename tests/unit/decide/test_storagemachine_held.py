"""The store before: until when it is kept, whose word deletes it, and what is said where it is kept in mind no more."""

from __future__ import annotations

from tests.unit.decide.registryworld import BIGGER, BUCKET, CLAIM, World, spec

from pawl.api.registrywork import Task

THIRD = {"filesystem": {"size": "200Gi", "storageClassName": "local", "series": 2}}


def moved(target: dict = BUCKET) -> World:
    """A registry that was on a claim, and is in a bucket now; the claim is kept."""
    world = World(spec(storage=CLAIM)).serving()
    world.push()
    world.change(storage=target)
    world.through("Hold")
    return world


def given_up(world: World) -> World:
    """Another move begins and is given up."""
    back = {"storage": BUCKET}
    world.change(storage=BIGGER)
    world.look()
    assert world.phase == "Preflight"
    world.change(**back)
    world.through("Cancelled")
    return world


def test_a_move_that_was_given_up_later_does_not_keep_the_old_store_for_ever() -> None:
    world = moved()
    old, named = world.memory.held, world.memory.migration.id
    world = given_up(world)
    assert world.memory.migration.id != named
    assert world.memory.held == old
    world.change(migration={"deleteOldStore": named})
    world.look()
    assert world.dropped == [], "it is kept for as long as was promised"
    world.later(hours=73)
    world.look()
    world.look()
    assert [store.id for store in world.dropped] == [old.id]
    assert world.memory.held is None


def test_the_id_of_the_move_that_was_given_up_deletes_nothing() -> None:
    world = given_up(moved())
    world.change(migration={"deleteOldStore": world.memory.migration.id})
    world.later(hours=73)
    world.look()
    world.look()
    assert (world.dropped, world.memory.held is not None) == ([], True)


def test_a_bucket_is_deleted_by_a_job_after_a_move_that_failed() -> None:
    world = World(spec(storage=BUCKET)).serving()
    world.change(storage=CLAIM)
    world.through("Hold")
    named = world.memory.migration.id
    world.change(storage=BIGGER)
    world.look()
    world.end(Task.BULK, ok=False, reason="NoSpace")
    world.look()
    assert world.phase == "Failed"
    world.later(hours=73)
    world.change(storage=CLAIM, migration={"deleteOldStore": named})
    world.look()
    assert world.works[Task.DELETE].active
    world.end(Task.DELETE, ok=False, reason="Interrupted")
    found = world.look()
    assert world.memory.migration.phase == "Failed"
    assert found.conditions
    world.later(hours=1)
    world.look()
    world.look()
    world.end(Task.DELETE)
    world.look()
    assert world.memory.held is None


def test_a_move_on_says_what_becomes_of_the_store_that_was_held() -> None:
    world = moved(BIGGER)
    first = world.memory.held
    world.change(storage=THIRD)
    told = []
    for _ in range(40):
        told += world.look().notices
        world.roll()
        world.stray.clear()
        for task in [task for task, work in world.works.items() if work.active]:
            world.end(task)
        if world.phase == "Hold":
            break
    assert world.memory.held.id == world.memory.migration.source.id != first.id
    assert [one.warning for one in told if first.label in one.message and "stays" in one.message] == [True]
    for hours in (0, 73):
        world.later(hours=hours)
        migrated = next(one for one in world.look().conditions if one.type == "Migrated")
        assert f"{first.label} of the move before stays" in migrated.message
    assert first.claim in world.claims


def test_a_move_back_leaves_nothing_behind() -> None:
    world = moved()
    world.change(storage=CLAIM)
    world.through("Hold")
    assert world.memory.migration.left == ""


def test_a_claim_that_is_named_in_another_way_is_the_same_store() -> None:
    world = World(spec(storage=CLAIM)).serving()
    world.push()
    claim, since = world.memory.store.claim, world.memory.store.since
    world.content[world.wanted.id] = set()
    world.change(storage={"filesystem": {"existingClaim": claim}})
    world.look()
    store = world.memory.store
    assert (store.claim, store.id, store.own_claim, store.since) == (claim, world.wanted.id, False, since)
    assert world.memory.migration is None
