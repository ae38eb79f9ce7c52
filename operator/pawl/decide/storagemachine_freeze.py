"""Why a server refuses pushes, and until when: one answer from all that may ask for it.

Migration, collection, a full store and the spec may all ask at once; the server is writable when none does. Neighbours:
`decide.storagemachine_migration` and `decide.storagemachine_collection` go through frozen phases, `decide.pressure`
knows a full store. Not here: proving that a server is frozen.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pawl.api.registrystorage_spec import RegistryStorageSpec
from pawl.api.registrystorage_status import CollectionPhase, Freeze, MigrationPhase, StoreRef
from pawl.api.registrywork import Task
from pawl.decide.pressure import percent, too_full
from pawl.decide.storagefacts import Facts, Memory
from pawl.decide.storagemachine_work import duration, second

COPYING: Final = frozenset({MigrationPhase.PREFLIGHT, MigrationPhase.BULK})
"""Phases in which the source takes pushes and bytes are copied."""
RESTING: Final = frozenset({MigrationPhase.FREEZE, MigrationPhase.FINAL, MigrationPhase.VERIFY})
"""Phases in which the source must not change."""
SWITCHED: Final = frozenset({MigrationPhase.SWITCH, MigrationPhase.SMOKE})
"""Phases in which the target is served and takes no push yet."""
BUSY_MIGRATION: Final = COPYING | RESTING | SWITCHED | {MigrationPhase.OPEN, MigrationPhase.CANCEL}
ENDED: Final = frozenset({MigrationPhase.DONE, MigrationPhase.CANCELLED, MigrationPhase.FAILED})
"""Phases in which nothing of a migration is at work, but the deletion of an old store that was told."""
BUSY_COLLECTION: Final = frozenset(
    {CollectionPhase.PLAN, CollectionPhase.FREEZE, CollectionPhase.COLLECT, CollectionPhase.THAW}
)
LEAST_BOUND: Final = timedelta(hours=1)
SKEW: Final = timedelta(minutes=5)
"""By as much the clocks of two replicas may differ."""


class Why(StrEnum):
    """Words of `Freeze.reason`, the one that is shown first if several hold."""

    MIGRATION = "Migration"
    COLLECTION = "Collection"
    PRESSURE = "Pressure"
    SPEC = "Spec"


def freeze(facts: Facts, memory: Memory) -> Freeze | None:
    """Return why pushes are refused, None if nothing asks for it."""
    full = _full(facts, memory)
    why = _why(facts, memory, full=full)
    if why is None:
        return None
    before = memory.freeze
    if before is not None and before.reason == why:
        return before.model_copy(update={"full": full})
    return Freeze(reason=why, since=second(facts.now), thaw_by=_thaw_by(why, facts, memory), full=full)


def migrating(memory: Memory) -> bool:
    """Whether a migration is at work: from its begin until the old store is only held."""
    return memory.migration is not None and memory.migration.phase in BUSY_MIGRATION


def collecting(memory: Memory) -> bool:
    """Whether a collection is at work."""
    return memory.collection is not None and memory.collection.phase in BUSY_COLLECTION


def at_work(memory: Memory) -> bool:
    """Whether anything is at work that reads or changes a store."""
    return migrating(memory) or collecting(memory)


def forgotten(facts: Facts, wanted: StoreRef) -> bool:
    """Whether a server runs on another store than the spec names, and nobody remembers which: it is left alone."""
    served = {facts.server.store, *(pod.store for pod in facts.server.pods)}
    return facts.memory.store is None and not served <= {"", wanted.id}


def collector_runs(facts: Facts) -> bool:
    """Whether a Pod may still delete from the store: it must never run beside a writable server."""
    work = facts.works.get(Task.PREPARE)
    return bool(facts.stray) or (work is not None and work.active)


def migration_bound(spec: RegistryStorageSpec, now: datetime) -> datetime:
    """Return until when writers wait for a migration at most."""
    return second(now) + max(4 * duration(spec.collection.thaw_after, LEAST_BOUND), LEAST_BOUND)


def overdue(facts: Facts, memory: Memory) -> bool:
    """Whether writers waited for the migration as long as they may."""
    held = memory.freeze
    if held is None or held.reason != Why.MIGRATION or held.thaw_by is None:
        return False
    return held.thaw_by <= facts.now or from_the_future(facts, held.since)


def from_the_future(facts: Facts, moment: datetime) -> bool:
    """Whether the clock was set back since: a time to end by may then be far off."""
    return moment > facts.now + SKEW


def _why(facts: Facts, memory: Memory, *, full: bool) -> Why | None:
    if memory.migration is not None and memory.migration.phase in RESTING | SWITCHED:
        return Why.MIGRATION
    if _collection_rests(facts, memory):
        return Why.COLLECTION
    if full:
        return Why.PRESSURE
    return Why.SPEC if facts.spec.read_only else None


def _collection_rests(facts: Facts, memory: Memory) -> bool:
    if memory.collection is None:
        return False
    phase = memory.collection.phase
    ending = phase is CollectionPhase.THAW and collector_runs(facts)
    return ending or phase in {CollectionPhase.FREEZE, CollectionPhase.COLLECT}


def _full(facts: Facts, memory: Memory) -> bool:
    """A meter speaks of the store that was served when it was read; nothing is known yet of one just switched to."""
    before = memory.freeze is not None and memory.freeze.full
    read, served = facts.memory.store, memory.store
    same = read is not None and served is not None and read.id == served.id
    return too_full(percent(facts) if same else None, facts.spec.pressure, before=before)


def _thaw_by(why: Why, facts: Facts, memory: Memory) -> datetime | None:
    if why is Why.MIGRATION:
        return migration_bound(facts.spec, facts.now)
    return memory.collection.thaw_by if why is Why.COLLECTION and memory.collection is not None else None
