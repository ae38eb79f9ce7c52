"""Begin and end of a migration: whether one may start, what the spec's change of mind means, and the old store's end.

Neighbours: `decide.storagemachine_phases` goes from phase to phase in between, `decide.stores` says which store the
spec names. Not here: what is shown of it (`decide.storagemachine_report`).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from pawl.api.reasons import Reason
from pawl.api.registrystorage_status import MigrationPhase, MigrationStatus, StoreRef
from pawl.api.registrywork import Task
from pawl.decide.storagefacts import Facts, Memory
from pawl.decide.storagemachine_freeze import COPYING, ENDED, RESTING, SWITCHED, collecting, migrating, overdue
from pawl.decide.storagemachine_phases import MOVES, cancel, give_up
from pawl.decide.storagemachine_progress import at_work, enter, order, say
from pawl.decide.storagemachine_work import State, outcome, second, short
from pawl.decide.stores import farewell, renewed, same_bytes


def advance(facts: Facts, memory: Memory, wanted: StoreRef) -> Memory:
    """Return the memory after what can be done about a migration now."""
    if not migrating(memory) or memory.migration is None:
        settled = _settled(facts, memory, wanted)
        return settled if settled is not memory else _begin(facts, memory, wanted)
    migration = _renewed(memory, memory.migration, wanted)
    memory = replace(memory, migration=migration)
    if _turned(migration, wanted):
        return cancel(facts, memory, migration, wanted)
    if overdue(facts, memory):
        return give_up(facts, memory, migration)
    return MOVES[migration.phase](facts, memory, migration)


def task_of(migration: MigrationStatus) -> Task | None:
    """Return the task of the Job that a phase needs."""
    if migration.phase in COPYING:
        return Task.BULK
    if migration.phase in {MigrationPhase.FINAL, MigrationPhase.VERIFY}:
        return Task.FINAL
    return Task.SMOKE if migration.phase is MigrationPhase.SMOKE else None


def why_not(facts: Facts, memory: Memory, wanted: StoreRef) -> tuple[Reason, str] | None:
    """Say why a migration that the spec asks for does not begin; None where it does, or none is asked for."""
    store = memory.store
    if store is None or store.id == wanted.id or migrating(memory):
        return None
    if facts.spec.suspend:
        return Reason.SUSPENDED, f"spec.suspend is set: the bytes stay on {store.label}"
    if facts.target_missing:
        return Reason.SECRET_NOT_FOUND, facts.target_missing
    if collecting(memory):
        return Reason.BUSY, f"the move to {wanted.label} begins when the collection has ended"
    failed = memory.migration
    if failed is not None and _stands(facts, failed, wanted):
        known = failed.reason in set(Reason)
        return Reason(failed.reason) if known else Reason.COPY_FAILED, failed.message
    return None


def deletes(facts: Facts, memory: Memory, wanted: StoreRef) -> StoreRef | None:
    """Return the old store, if the user told to delete it and nothing needs it any more.

    The move that left it need not be the last one: a later one may have been given up.
    """
    migration, held = memory.migration, memory.held
    if migration is None or held is None or migration.phase not in ENDED or facts.spec.suspend:
        return None
    if migration.phase is MigrationPhase.FAILED and memory.store is not None and memory.store.id != wanted.id:
        return None  # the failure is what is to be told and mended first
    told = held.held_by != "" and facts.spec.migration.delete_old_store == held.held_by
    over = held.held_until is not None and held.held_until <= facts.now
    needed = [store for store in (wanted, memory.store) if store is not None]
    return held if told and over and not any(same_bytes(held, store) for store in needed) else None


def lost(facts: Facts, store: StoreRef) -> bool:
    """Whether the claim with the bytes is gone."""
    return store.kind == "Filesystem" and store.since is not None and store.claim not in facts.claims


def _renewed(memory: Memory, migration: MigrationStatus, wanted: StoreRef) -> MigrationStatus:
    """Follow what may change of a store that is moved: its size, and its credentials."""
    source, target = migration.source, renewed(migration.target, wanted)
    if memory.store is not None and memory.store.id == source.id:
        source = memory.store
    if memory.store is not None and memory.store.id == target.id:
        target = memory.store
    return migration.model_copy(update={"source": source, "target": target})


def _begin(facts: Facts, memory: Memory, wanted: StoreRef) -> Memory:
    source = memory.store
    ready = source is not None and source.id != wanted.id and not facts.blocked
    if source is None or not ready or lost(facts, source) or why_not(facts, memory, wanted) is not None:
        return memory
    target = memory.held if memory.held is not None and memory.held.id == wanted.id else wanted
    return replace(memory, migration=_first(facts, memory, source, renewed(target, wanted)))


def _first(facts: Facts, memory: Memory, source: StoreRef, target: StoreRef) -> MigrationStatus:
    """Return a migration at its begin. One that ended half way between the same stores keeps its id and its ledger."""
    now, who, last = second(facts.now), facts.identity, memory.migration
    again = last is not None and last.opened_at is None and (last.source.id, last.target.id) == (source.id, target.id)
    fresh = hashlib.sha256(f"{who.uid}/{who.generation}/{memory.revision}".encode()).hexdigest()[:10]
    return MigrationStatus(
        id=last.id if last is not None and again else fresh,
        phase=MigrationPhase.PREFLIGHT,
        source=source,
        target=target,
        started_at=now,
        phase_since=now,
        generation=who.generation,
        attempt=(last.attempt if last is not None and again else 0) + 1,
        message=short(f"looks at {source.label} and {target.label}"),
    )


def _stands(facts: Facts, failed: MigrationStatus, wanted: StoreRef) -> bool:
    """Whether a failure still holds: nothing was changed since, and nobody asked for another try."""
    same = failed.phase is MigrationPhase.FAILED and failed.target.id == wanted.id
    return same and failed.generation == facts.identity.generation and not facts.retry_requested


def _turned(migration: MigrationStatus, wanted: StoreRef) -> bool:
    """Whether the spec names another target while going back loses nothing; after Switch only the source counts."""
    if migration.phase in COPYING | RESTING:
        return wanted.id != migration.target.id
    return migration.phase in SWITCHED and wanted.id == migration.source.id


def _settled(facts: Facts, memory: Memory, wanted: StoreRef) -> Memory:
    """HOLD, and what ended: the time of the old store, and its end."""
    migration = memory.migration
    if migration is None or migration.phase not in ENDED | {MigrationPhase.HOLD}:
        return memory
    if migration.phase is MigrationPhase.HOLD:
        if migration.hold_until is None or migration.hold_until > facts.now:
            return memory
        told = {"message": f"{migration.source.label} is no longer needed; it is deleted when deleteOldStore names it"}
        return enter(facts, memory, migration, MigrationPhase.DONE, told)
    old = deletes(facts, memory, wanted)
    return memory if old is None or facts.blocked else _delete(facts, memory, migration, old)


def _delete(facts: Facts, memory: Memory, migration: MigrationStatus, old: StoreRef) -> Memory:
    if old.kind == "Filesystem":
        gone = not old.own_claim or old.claim not in facts.claims
        return _bidden(memory, migration, old) if gone else memory
    done = outcome(facts, Task.DELETE, order(migration, Task.DELETE))
    if done.state is State.DONE:
        return _bidden(memory, migration, old)
    return at_work(facts, memory, migration, replace(done, report=None))


def _bidden(memory: Memory, migration: MigrationStatus, old: StoreRef) -> Memory:
    """Forget the old store. A move that was given up after it goes on saying why."""
    own = migration.phase is MigrationPhase.DONE
    return replace(say(memory, migration, farewell(old)) if own else memory, held=None)
