"""What holds of a registry whatever happens: crashes, stale copies, failing Jobs, changed minds, absence for days.

The world counts what was pushed to which store; a copy carries over what the source held when its Job began, the worst
that can be. So a push that is lost is seen as such.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.unit.decide.registryworld import BIGGER, BUCKET, CLAIM, POD, Crash, World, spec

from pawl.api.registrystorage_status import CollectionPhase, MigrationPhase
from pawl.api.registrywork import Meter, Plan, Task
from pawl.decide.storagefacts import Memory, Step
from pawl.decide.storagemachine import merge, step
from pawl.decide.storagemachine_freeze import collecting, migrating

STORES: list[dict[str, Any]] = [CLAIM, BIGGER, BUCKET, POD]
PHASES = {
    Task.BULK: {MigrationPhase.PREFLIGHT, MigrationPhase.BULK},
    Task.FINAL: {MigrationPhase.FINAL, MigrationPhase.VERIFY},
    Task.SMOKE: {MigrationPhase.SMOKE},
    Task.DELETE: {MigrationPhase.DONE, MigrationPhase.CANCELLED, MigrationPhase.FAILED},
}
RESTING = {MigrationPhase.FREEZE, MigrationPhase.FINAL, MigrationPhase.VERIFY}
SWITCHED = {MigrationPhase.SWITCH, MigrationPhase.SMOKE}
REASONS = ["Failed", "Failed", "NoSpace", "GraphBroken", "Refused"]


class Registry(RuleBasedStateMachine):
    """One registry, and everything that may happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(spec(collection={"schedule": "0 3 * * *"})).serving()
        self.proved: set[str] = set()
        self.before = Memory()
        self.step: Step | None = None

    @rule(crash=st.sampled_from([Crash.NEVER, Crash.NEVER, Crash.NEVER, *Crash]), asked=st.booleans())
    def look(self, crash: Crash, asked: bool) -> None:  # noqa: FBT001
        self.before = self.world.memory
        self.step = self.world.look(crash, collect_requested=asked)
        self.check(self.before, self.step)
        self.world.push()

    @rule(how=st.sampled_from(["ok", "ok", "ok", "", *REASONS]), often=st.integers(1, 6))
    def settle(self, how: str = "ok", often: int = 1) -> None:
        """A quiet while: the server follows, Pods of Jobs end, and so do Jobs."""
        for _ in range(often):
            self.world.roll()
            self.world.stray.clear()
            self.look(Crash.NEVER, asked=False)
            self.end_all(how)
            self.look(Crash.NEVER, asked=False)

    @rule(store=st.sampled_from(STORES), often=st.integers(0, 9), hours=st.sampled_from([0, 0, 0, 80]))
    def move(self, store: dict[str, Any], often: int, hours: int) -> None:
        """Another store, and a way towards it."""
        self.world.change(storage=store, suspend=False)
        if often:
            self.settle(often=often)
        self.world.later(hours=hours)

    @rule(acts=st.lists(st.sampled_from(["look", "look", "roll", "end", "pods"]), min_size=3, max_size=14))
    def stir(self, acts: list[str]) -> None:
        """Small things in any order."""
        for act in acts:
            if act == "look":
                self.look(Crash.NEVER, asked=False)
            elif act == "end":
                self.end_all("ok")
            else:
                {"roll": self.world.roll, "pods": self.world.stray.clear}[act]()

    @precondition(lambda self: self.world.memory.freeze is not None)
    @rule(acts=st.lists(st.sampled_from(["look", "roll", "end"]), min_size=4, max_size=8))
    def stir_frozen(self, acts: list[str]) -> None:
        self.stir(acts)

    @rule(silent=st.booleans(), blocked=st.sampled_from(["", "", "Secret keys is missing"]), trouble=st.booleans())
    def weather(self, silent: bool, blocked: str, trouble: bool) -> None:  # noqa: FBT001
        self.world.silent, self.world.blocked = silent, blocked
        self.world.trouble = "no node has room" if trouble else ""
        if trouble:
            self.world.pods = tuple(replace(pod, ready=False) for pod in self.world.pods)

    @rule(hours=st.sampled_from([0.01, 0.2, 1, 5, 80]))
    def later(self, hours: float) -> None:
        self.world.later(hours=hours)

    @precondition(lambda self: self.world.memory.freeze is not None and self.world.memory.freeze.thaw_by is not None)
    @rule(seconds=st.sampled_from([-1, 0, 1, 90000]), rolled=st.booleans())
    def deadline(self, seconds: int, rolled: bool) -> None:  # noqa: FBT001
        freeze = self.world.memory.freeze
        assert freeze is not None
        assert freeze.thaw_by is not None
        self.world.now = max(self.world.now, freeze.thaw_by + timedelta(seconds=seconds))
        if rolled:
            self.world.roll()
        self.look(Crash.NEVER, asked=False)
        self.world.roll()

    @rule(store=st.sampled_from(STORES), suspend=st.sampled_from([False, False, False, True]), read_only=st.booleans())
    def rewrite(self, store: dict[str, Any], suspend: bool, read_only: bool) -> None:  # noqa: FBT001
        self.world.change(storage=store, suspend=suspend, readOnly=read_only)

    @rule(
        store=st.sampled_from([None, BUCKET, BIGGER]),
        acts=st.lists(st.sampled_from(["look", "roll", "end"]), max_size=6),
    )
    def delicate(self, store: dict[str, Any] | None, acts: list[str]) -> None:
        """To the moment at which pushes are about to be refused, or a collector runs, and on from there."""
        if store is not None:
            self.world.change(storage=store, suspend=False)
        for _ in range(4):
            self.look(Crash.NEVER, asked=store is None)
            self.plan(3, "")
            if self.world.phase != "Freeze":
                self.world.roll()
            if store is not None and self.world.phase == "Preflight":
                self.end_all("ok")
        self.stir(acts)

    @rule()
    def delete_old(self) -> None:
        held = self.world.memory.held
        self.world.change(migration={"deleteOldStore": held.held_by if held else ""})

    @rule(percent=st.none() | st.sampled_from([10, 84, 90, 97]))
    def fill(self, percent: int | None) -> None:
        self.world.meter = None if percent is None else Meter(used=percent, capacity=100)

    @rule(tags=st.sampled_from([0, 3]), refused=st.sampled_from(["", "", "too much"]))
    def plan(self, tags: int, refused: str) -> None:
        if self.world.collection == "Plan":
            self.world.plan = Plan(tags=9, delete_tags=tags, refused=refused)

    @precondition(lambda self: any(work.active for work in self.world.works.values()))
    @rule(how=st.sampled_from(["ok", "ok", *REASONS]))
    def end_one(self, how: str) -> None:
        self.end(next(task for task, work in self.world.works.items() if work.active), how)

    def end_all(self, how: str) -> None:
        """End all Jobs; an empty word lets them run on."""
        for task, work in list(self.world.works.items()):
            if work.active and how:
                self.end(task, how)

    def end(self, task: Task, how: str) -> None:
        self.world.end(task, ok=how == "ok", reason="" if how == "ok" else how)
        migration = self.world.memory.migration
        if how == "ok" and task is Task.FINAL and migration is not None:
            self.proved.add(migration.id)

    @rule(ledger=st.booleans())
    def lose_a_copy(self, ledger: bool) -> None:  # noqa: FBT001
        """An older copy comes back; the other one is whole."""
        newest = self.world.memory
        self.world.ledger, self.world.status = (Memory(), newest) if ledger else (newest, Memory())

    def check(self, before: Memory, found: Step) -> None:
        after, want = found.memory, found.want
        assert after.revision >= before.revision
        assert (after.revision == before.revision) == (after is before)
        assert not (migrating(after) and collecting(after)), "a store has one that changes it"
        self.check_store(before, after)
        self.check_freeze(found)
        self.check_thaw(before, found)
        if want is None:
            return
        assert want.store == after.store
        assert want.read_only == (after.freeze is not None)
        self.check_works(found)
        for store in want.drop:
            assert store.own_claim
            assert store.id not in {want.store.id, self.world.wanted.id}
            assert store.held_until is not None
            assert store.held_until <= self.world.now
            assert store.claim not in {want.store.claim, self.world.wanted.claim}
            assert self.world.spec.migration.delete_old_store == store.held_by

    def check_store(self, before: Memory, after: Memory) -> None:
        if before.store is not None and after.store is not None and before.store.id != after.store.id:
            old, new = before.migration, after.migration
            forth = new is not None and new.phase is MigrationPhase.SWITCH and new.id in self.proved
            back = old is not None and old.phase in SWITCHED and after.store.id == old.source.id
            assert forth or back or before.store.since is None
        if after.held is not None and after.held != before.held:
            assert after.migration is not None
            assert after.migration.phase is MigrationPhase.OPEN
            assert after.migration.opened_at is not None
            assert after.held.id == after.migration.source.id

    def check_freeze(self, found: Step) -> None:
        """A reason for refusing pushes is one that holds now, and one with a deadline ends by it."""
        freeze, migration, collection = found.memory.freeze, found.memory.migration, found.memory.collection
        if freeze is None:
            assert not self.world.spec.read_only
            return
        if freeze.reason == "Migration":
            assert migration is not None
            assert migration.phase in RESTING | SWITCHED
            assert freeze.thaw_by is not None
            assert freeze.thaw_by > self.world.now
        elif freeze.reason == "Collection":
            assert collection is not None
            late = collection.thaw_by is None or collection.thaw_by <= self.world.now
            assert not late or (collection.phase is CollectionPhase.THAW and self.collector())
        else:
            assert freeze.full if freeze.reason == "Pressure" else self.world.spec.read_only
            assert freeze.thaw_by is None

    def check_thaw(self, before: Memory, found: Step) -> None:
        """A collection ends when the server was made anew, and takes pushes unless something else forbids them."""
        old, new = before.collection, found.memory.collection
        if old is not None and new is not None and old.phase is CollectionPhase.THAW and new.phase is not old.phase:
            assert self.world.pods
            assert all(pod.read_only == (found.memory.freeze is not None) for pod in self.world.pods)

    def check_works(self, found: Step) -> None:
        assert found.want is not None
        tasks = [work.task for work in found.want.works]
        assert len(tasks) == len(set(tasks))
        migration, collection = found.memory.migration, found.memory.collection
        for work in found.want.works:
            if work.task is Task.PREPARE:
                assert collection is not None
                assert collection.phase is CollectionPhase.COLLECT
                assert work.order.startswith(f"{collection.id}/")
            else:
                assert migration is not None
                assert migration.phase in PHASES[work.task]
                assert work.order.startswith(f"{migration.id}/")

    def collector(self) -> bool:
        active = any(work.active and task is Task.PREPARE for task, work in self.world.works.items())
        return active or bool(self.world.stray)

    @invariant()
    def nothing_that_was_pushed_is_lost(self) -> None:
        store = self.world.memory.store
        if store is not None:
            assert self.world.content.get(store.id, set()) == self.world.pushed

    @invariant()
    def no_collector_beside_a_writable_server(self) -> None:
        runs = [work for task, work in self.world.works.items() if task is Task.PREPARE and work.active]
        if runs or Task.PREPARE in self.world.stray.values():
            assert all(pod.read_only for pod in self.world.pods)

    @invariant()
    def a_look_twice_finds_the_same(self) -> None:
        facts = self.world.facts()
        assert step(facts) == step(facts)

    def teardown(self) -> None:
        """When all is well for some days, the registry is writable, and the bytes are where the spec says."""
        world = self.world
        world.silent, world.blocked, world.trouble, world.plan = False, "", "", Plan(tags=9, delete_tags=3)
        world.meter = Meter(used=10, capacity=100)
        world.change(readOnly=False, suspend=False)
        for _ in range(60):
            self.settle()
            world.later(minutes=7)
            self.plan(3, "")
            if world.memory.store and world.memory.store.id == world.wanted.id and self.idle():
                break
        assert world.memory.freeze is None
        assert world.memory.store is not None
        assert world.memory.store.id == world.wanted.id
        assert self.idle()

    def idle(self) -> bool:
        return not migrating(self.world.memory) and not collecting(self.world.memory)


Registry.TestCase.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRegistry = Registry.TestCase


def memories() -> list[Memory]:
    """Memories of one registry's life, and others of the same revisions."""
    world, found = World(), []
    for number in range(12):
        world.look()
        world.roll()
        world.later(minutes=number)
        found.append(world.memory)
        if number == 3:
            world.change(storage=BUCKET)
        if Task.BULK in world.works and world.works[Task.BULK].active:
            world.end(Task.BULK)
    later = [replace(one, held=one.store) for one in found]
    return [Memory(), *found[::2], *later[::3]]


def test_merge_is_a_join() -> None:
    some = memories()
    for one in some:
        assert merge(one, one) == one
        for other in some:
            both = merge(one, other)
            assert both == merge(other, one)
            assert both.revision == max(one.revision, other.revision)
            for third in some[::3]:
                assert merge(both, third) == merge(one, merge(other, third))


def test_times_survive_being_stored() -> None:
    world = World(now=World().now + timedelta(microseconds=7))
    world.look()
    for one in memories():
        for model in (one.store, one.freeze, one.migration):
            assert model is None or type(model).model_validate_json(model.model_dump_json(by_alias=True)) == model
