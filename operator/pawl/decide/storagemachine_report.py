"""What is said of a registry: its conditions, one word for its phase, and when to look again.

`Ready` is True while the server serves as the spec asks; `Reconciling` stands while Pawl works by itself, `Stalled`
while a person must act. Neighbours: `decide.storagemachine_conditions` has the single conditions,
`decide.storagemachine_notices` the events. Not here: deciding anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from pawl.api.meta import Condition
from pawl.api.reasons import ConditionType, Reason
from pawl.api.registrystorage_status import StoreRef
from pawl.decide.expansion import hindrance
from pawl.decide.schedule import fault, upcoming
from pawl.decide.storagefacts import Facts, Memory
from pawl.decide.storagemachine_conditions import Said, collected, corrupt, migrated, pressure, serving, writable
from pawl.decide.storagemachine_freeze import BUSY_MIGRATION, COPYING, at_work, collecting, forgotten, migrating
from pawl.decide.storagemachine_migration import lost, why_not
from pawl.decide.storagemachine_work import LASTING, second

MESSAGE: Final = 1024
BUSY: Final = 5.0
QUIET: Final = 30.0
SOON: Final = 1.0


def conditions(facts: Facts, memory: Memory, wanted: StoreRef) -> tuple[Condition, ...]:
    """Return the conditions in the order in which their types are declared."""
    said = [one for one in _own(facts, memory) if one is not None]
    whole = {one.type: one for one in (*said, *_kstatus(facts, memory, wanted, said))}
    made = {kind: _write(facts, one) for kind, one in whole.items()}
    passed = {ConditionType(one.type): _kept(facts, one) for one in facts.conditions if one.type in set(ConditionType)}
    both = passed | made
    return tuple(both[kind] for kind in ConditionType if kind in both)


def phase(memory: Memory, said: Iterable[Condition]) -> str:
    """Return one word."""
    conditions = {one.type: one for one in said}
    held = {kind: one.status for kind, one in conditions.items()}
    stalled = held.get(ConditionType.STALLED) == "True"
    words = (
        ("Stalled", stalled and conditions[ConditionType.STALLED].reason != Reason.STORE_FULL),
        ("Migrating", migrating(memory)),
        ("Collecting", collecting(memory)),
        ("Starting", held.get(ConditionType.SERVING) != "True"),
        ("ReadOnly", memory.freeze is not None),
    )
    return next((word for word, holds in words if holds), "Serving")


def wait(facts: Facts, memory: Memory) -> float:
    """Return the seconds until the next look: soon after a step, often while something is at work."""
    if _progress_aside(memory) != _progress_aside(facts.memory):
        return SOON
    busy = migrating(memory) or collecting(memory) or not facts.server.rolled
    left = [(moment - facts.now).total_seconds() for moment in _moments(facts, memory) if moment > facts.now]
    return max(min([BUSY if busy else QUIET, *left]), SOON)


def _progress_aside(memory: Memory) -> tuple[object, ...]:
    migration, collection = memory.migration, memory.collection
    return (
        memory.store,
        memory.held,
        memory.freeze,
        migration and (migration.id, migration.phase, migration.attempt, migration.retry_at),
        collection and (collection.id, collection.phase, collection.attempt),
    )


def _moments(facts: Facts, memory: Memory) -> Iterable[datetime]:
    migration, collection = memory.migration, memory.collection
    if memory.freeze is not None and memory.freeze.thaw_by is not None:
        yield memory.freeze.thaw_by
    if migration is not None:
        yield from (moment for moment in (migration.retry_at, migration.hold_until) if moment is not None)
    due = upcoming(facts.spec.collection.schedule, facts.now)
    if due is not None and not facts.spec.suspend:
        yield due
    if collection is not None and collection.finished_at is None and collection.thaw_by is not None:
        yield collection.thaw_by + timedelta(seconds=1)


def _own(facts: Facts, memory: Memory) -> Iterable[Said | None]:
    yield serving(facts, memory)
    yield writable(facts, memory)
    yield pressure(facts, memory)
    yield migrated(memory)
    yield collected(memory)
    yield corrupt(memory)


def _kstatus(facts: Facts, memory: Memory, wanted: StoreRef, said: Iterable[Said]) -> Iterable[Said]:
    serves = next(one for one in said if one.type is ConditionType.SERVING)
    stalled, working = _stalled(facts, memory, wanted), _working(facts, memory, serves)
    if stalled is not None:
        yield Said(ConditionType.STALLED, "True", *stalled)
    elif working is not None:
        yield Said(ConditionType.RECONCILING, "True", *working)
    doubt = stalled or _doubt(facts, memory, wanted, serves)
    if doubt is not None:
        yield Said(ConditionType.READY, "False", *doubt)
    elif facts.spec.suspend:
        yield Said(ConditionType.READY, "True", Reason.SUSPENDED, "spec.suspend is set; what was served is served on")
    else:
        yield Said(ConditionType.READY, "True", Reason.SERVING, serves.message)


def _stalled(facts: Facts, memory: Memory, wanted: StoreRef) -> tuple[str, str] | None:
    """Say what only a person can mend."""
    store = memory.store
    if facts.blocked:
        known = (one.reason for one in facts.conditions if one.status == "False" and one.message == facts.blocked)
        return next(known, Reason.INVALID_SPEC), facts.blocked
    if forgotten(facts, wanted):
        text = "the memory of this registry is gone, and its server runs on another store than spec.storage names"
        return Reason.LEDGER_INVALID, f"{text}: name the one that is served, or restore the ConfigMap of the ledger"
    if store is not None and lost(facts, store):
        text = f"claim {store.claim} with the images is gone: restore it, for no empty one is made in its place"
        return Reason.CLAIM_MISSING, text
    why = why_not(facts, memory, wanted)
    if why is not None and why[0] in LASTING | {Reason.COPY_FAILED, Reason.SECRET_NOT_FOUND}:
        return why
    if facts.target_missing and memory.migration is not None and memory.migration.phase in COPYING:
        return Reason.SECRET_NOT_FOUND, facts.target_missing
    wrong = fault(facts.spec.collection.schedule)
    return (Reason.INVALID_SPEC, wrong) if wrong else _overfull(facts, memory)


def _overfull(facts: Facts, memory: Memory) -> tuple[str, str] | None:
    """Say that pushes are refused for want of room, and nothing of Pawl makes any."""
    store = memory.store
    if store is None or not _full(memory) or at_work(memory):
        return None
    way_out = hindrance(facts, store)
    return (Reason.STORE_FULL, f"{store.label} is too full for pushes: {way_out}") if way_out else None


def _full(memory: Memory) -> bool:
    return memory.freeze is not None and memory.freeze.full


def _working(facts: Facts, memory: Memory, serves: Said) -> tuple[str, str] | None:
    migration, collection = memory.migration, memory.collection
    if migration is not None and migration.phase in BUSY_MIGRATION:
        return Reason.MIGRATING, f"phase {migration.phase}: {migration.message}"
    if collection is not None and collecting(memory):
        return Reason.COLLECTING, f"phase {collection.phase}: {collection.message}"
    if serves.status != "True":
        return serves.reason, serves.message
    return None if facts.server.rolled else (Reason.PROGRESSING, "the server's Pods are made anew")


def _doubt(facts: Facts, memory: Memory, wanted: StoreRef, serves: Said) -> tuple[str, str] | None:
    """Say why it is not Ready although nobody must act."""
    migration = memory.migration
    if migration is not None and migration.phase in BUSY_MIGRATION:
        return Reason.MIGRATING, f"{serves.message}; phase {migration.phase}: {migration.message}"
    if serves.status != "True":
        return serves.reason, serves.message
    why = why_not(facts, memory, wanted)
    if why is not None:
        return why[0], why[1]
    return _refuses(facts, memory)


def _refuses(facts: Facts, memory: Memory) -> tuple[str, str] | None:
    """Say that pushes are refused although the spec does not ask for it, and for longer than was said."""
    rest = writable(facts, memory)
    held = memory.freeze
    late = held is not None and held.thaw_by is not None and held.thaw_by <= facts.now
    return (rest.reason, rest.message) if _full(memory) or late else None


def _write(facts: Facts, said: Said) -> Condition:
    fresh = Condition(
        type=said.type.value,
        status=said.status,
        observed_generation=facts.identity.generation,
        last_transition_time=second(facts.now),
        reason=str(said.reason),
        message=said.message[:MESSAGE],
    )
    return _kept(facts, fresh)


def _kept(facts: Facts, fresh: Condition) -> Condition:
    """Keep the time at which a status came about."""
    before = next((one for one in facts.status.conditions if one.type == fresh.type), None)
    if before is None or before.status != fresh.status:
        return fresh
    return fresh.model_copy(update={"last_transition_time": before.last_transition_time})
