"""The phases of a migration, one function each: what the facts must prove before the next one is entered.

Until Open going back to the source loses nothing. Neighbours: `decide.storagemachine_progress` holds what they share,
`decide.storagemachine_work` judges Jobs, `jobs.migrate` copies. Not here: begin and end of a migration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from pawl.api.reasons import Reason
from pawl.api.registrystorage_status import MigrationPhase, MigrationStatus, StoreRef
from pawl.api.registrywork import Task
from pawl.decide.storagefacts import Facts, Memory
from pawl.decide.storagemachine_freeze import SWITCHED, freeze, migration_bound
from pawl.decide.storagemachine_progress import at_work, enter, fail, frozen, home, order, progressed, say, stray, thaw
from pawl.decide.storagemachine_work import State, duration, outcome, second, serves, short, takes_pushes
from pawl.decide.stores import alone

Move = Callable[[Facts, Memory, MigrationStatus], Memory]


def cancel(facts: Facts, memory: Memory, migration: MigrationStatus, wanted: StoreRef) -> Memory:
    """Give the move up, because the spec names another store: the source is served as it was."""
    again = "the old store again" if wanted.id == migration.source.id else wanted.label
    text = f"the spec names {again}: the move to {migration.target.label} is given up"
    told = {"reason": Reason.CANCELLED, "message": short(text)}
    return enter(facts, home(memory, migration), migration, MigrationPhase.CANCEL, told)


def give_up(facts: Facts, memory: Memory, migration: MigrationStatus) -> Memory:
    """End a freeze that took too long: writers must not wait for ever."""
    if migration.phase in SWITCHED:
        trouble = facts.server.trouble or migration.message
        text = f"the server on {migration.target.label} was not proved in time ({trouble}); the old store is back"
        return fail(facts, memory, migration, Reason.SMOKE_FAILED, text)
    text = f"pushes were refused for too long in phase {migration.phase}; they are taken again, and the copy goes on"
    return thaw(facts, memory, migration, Reason.THAWED, text)


def _copy(facts: Facts, memory: Memory, migration: MigrationStatus) -> Memory:
    """PREFLIGHT and BULK: one Job; the source is written all the while."""
    done = outcome(facts, Task.BULK, order(migration, Task.BULK))
    if done.state is not State.DONE or migration.retry_at is not None:
        return at_work(facts, memory, migration, done)
    if facts.spec.suspend or facts.blocked or facts.target_missing:
        why = facts.blocked or facts.target_missing or "spec.suspend is set"
        return say(memory, migration, f"the first copy is complete; goes no further: {why}")
    text = "the server is made read-only, so that the last changes can be copied"
    rests = replace(memory, freeze=frozen(facts, memory))
    return enter(facts, rests, progressed(migration, done.report), MigrationPhase.FREEZE, {"message": text})


def _rest(facts: Facts, memory: Memory, migration: MigrationStatus) -> Memory:
    """FREEZE: wait until no Pod that could write is left."""
    if facts.spec.suspend:
        return thaw(facts, memory, migration, Reason.SUSPENDED, "spec.suspend is set: pushes are taken again")
    if facts.target_missing:
        return thaw(facts, memory, migration, Reason.SECRET_NOT_FOUND, facts.target_missing)
    if facts.stray:
        return say(memory, migration, stray(facts))
    if not _rests(facts, migration.source):
        return say(memory, migration, f"waits until every Pod refuses pushes to {migration.source.label}")
    told = {"attempt": migration.attempt + 1, "message": "copies the last changes"}
    return enter(facts, memory, migration, MigrationPhase.FINAL, told)


def _rests(facts: Facts, source: StoreRef) -> bool:
    if alone(source):
        return not facts.server.pods
    return facts.server.proved(source.id, read_only=True)


def _finish(facts: Facts, memory: Memory, migration: MigrationStatus) -> Memory:
    """FINAL and VERIFY: only what was proved to rest is copied for good."""
    if facts.spec.suspend:
        return thaw(facts, memory, migration, Reason.SUSPENDED, "spec.suspend is set: pushes are taken again")
    if takes_pushes(facts.server, migration.source):
        text = f"a Pod that takes pushes to {migration.source.label} was seen: the last copy begins anew"
        told = {"reason": Reason.NOT_FROZEN, "message": text}
        return enter(facts, memory, migration, MigrationPhase.FREEZE, told)
    done = outcome(facts, Task.FINAL, order(migration, Task.FINAL))
    if done.state is not State.DONE or migration.retry_at is not None:
        return at_work(facts, memory, migration, done)
    if not _rests(facts, migration.source) or facts.stray:
        return say(memory, migration, f"all is copied; waits for the proof that {migration.source.label} still rests")
    return _switch(facts, memory, progressed(migration, done.report))


def _switch(facts: Facts, memory: Memory, migration: MigrationStatus) -> Memory:
    """Serve the target, still read-only. Its room was measured by the preflight: the source's pressure is not its."""
    longer = {"full": False, "thaw_by": migration_bound(facts.spec, facts.now)}
    rest = (memory.freeze or frozen(facts, memory)).model_copy(update=longer)
    text = f"the server moves to {migration.target.label}, still read-only"
    moved = replace(memory, store=migration.target, freeze=rest)
    return enter(facts, moved, migration, MigrationPhase.SWITCH, {"message": text})


def _come_up(facts: Facts, memory: Memory, migration: MigrationStatus) -> Memory:
    if not facts.server.proved(migration.target.id, read_only=True):
        waits = facts.server.trouble or f"waits until every Pod serves {migration.target.label} and refuses pushes"
        return say(memory, migration, waits)
    if alone(migration.target):
        return _open(facts, memory, migration)
    told = {"attempt": migration.attempt + 1, "message": "asks the server for every tag, and compares"}
    return enter(facts, memory, migration, MigrationPhase.SMOKE, told)


def _smoke(facts: Facts, memory: Memory, migration: MigrationStatus) -> Memory:
    done = outcome(facts, Task.SMOKE, order(migration, Task.SMOKE))
    if done.state is State.DONE and migration.retry_at is None:
        return _open(facts, memory, migration)
    # What it counts are its questions; the figures of the copy stay.
    return at_work(facts, memory, migration, replace(done, report=None))


def _open(facts: Facts, memory: Memory, migration: MigrationStatus) -> Memory:
    """From here on pushes may reach the target, so this is where the old store becomes the one that is held."""
    now, before = second(facts.now), memory.held
    told = {"opened_at": now, "message": f"{migration.target.label} takes pushes"}
    if before is not None and before.id not in {migration.source.id, migration.target.id}:
        told["left"] = left_behind(before)
    until = now + duration(facts.spec.migration.rollback_window)
    held = migration.source.model_copy(update={"held_by": migration.id, "held_until": until})
    return enter(facts, replace(memory, held=held), migration, MigrationPhase.OPEN, told)


def left_behind(store: StoreRef) -> str:
    """Say what becomes of a store that was held when another one came to be."""
    text = f"{store.label} of the move before stays, and nothing of Pawl deletes it any more"
    return short(f"{text}: name it in spec.storage to go back there, or delete it yourself")


def _opened(facts: Facts, memory: Memory, migration: MigrationStatus) -> Memory:
    if not serves(facts.server, migration.target, read_only=freeze(facts, memory) is not None):
        return say(memory, migration, "waits until every Pod was made anew")
    until = second(facts.now) + duration(facts.spec.migration.rollback_window)
    told = {"hold_until": until, "message": f"{migration.source.label} is kept as it was"}
    return enter(facts, memory, migration, MigrationPhase.HOLD, told)


def _go_home(facts: Facts, memory: Memory, migration: MigrationStatus) -> Memory:
    works = any(facts.works[task].active for task in (Task.BULK, Task.FINAL, Task.SMOKE) if task in facts.works)
    if works or facts.stray or not serves(facts.server, migration.source, read_only=freeze(facts, memory) is not None):
        return memory
    told = {"reason": Reason.CANCELLED, "message": migration.message}
    return enter(facts, memory, migration, MigrationPhase.CANCELLED, told)


MOVES: Final[Mapping[MigrationPhase, Move]] = MappingProxyType(
    {
        MigrationPhase.PREFLIGHT: _copy,
        MigrationPhase.BULK: _copy,
        MigrationPhase.FREEZE: _rest,
        MigrationPhase.FINAL: _finish,
        MigrationPhase.VERIFY: _finish,
        MigrationPhase.SWITCH: _come_up,
        MigrationPhase.SMOKE: _smoke,
        MigrationPhase.OPEN: _opened,
        MigrationPhase.CANCEL: _go_home,
    }
)
