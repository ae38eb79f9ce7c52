"""What the cluster must look like for a memory: server, Jobs, claims.

It is made from the memory alone, and from what exists already where nothing new may be begun; so a crash between
storing and acting repeats the acting. Neighbours: `decide.storagemachine` made the memory, `decide.serverobjects` and
`decide.workobjects` make objects of this. Not here: going on to another phase.
"""

from __future__ import annotations

from typing import Final

from pawl.api.registrystorage_spec import AccessMode
from pawl.api.registrystorage_status import CollectionPhase, MigrationStatus, StoreRef
from pawl.api.registrywork import Task
from pawl.decide import storagemachine_collection as collecting
from pawl.decide import storagemachine_migration as migrating
from pawl.decide.expansion import wishes
from pawl.decide.storagefacts import Facts, Memory, Want, WorkWant
from pawl.decide.storagemachine_freeze import BUSY_MIGRATION, COPYING, RESTING, collector_runs
from pawl.decide.storagemachine_progress import order
from pawl.decide.stores import alone

COLLECTING: Final = frozenset({CollectionPhase.FREEZE, CollectionPhase.COLLECT})


def want(facts: Facts, memory: Memory, wanted: StoreRef) -> Want | None:
    """Return what must be there; None where nothing may be made yet."""
    store = memory.store
    if store is None or (facts.blocked and not facts.server.exists):
        return None
    claims = _claims(facts, memory, store)
    idle = facts.spec.suspend or bool(facts.blocked)
    return Want(
        store=store,
        read_only=memory.freeze is not None,
        scale=0 if away(facts, memory) else _replicas(facts, store),
        works=_works(facts, memory, wanted),
        claims=claims,
        grow={} if idle else wishes(facts, claims),
        drop=() if idle else _drop(facts, memory, wanted),
        ask_plan=memory.collection is not None and memory.collection.phase is CollectionPhase.PLAN,
    )


def away(facts: Facts, memory: Memory) -> bool:
    """Whether the server makes room for a Job, because its claim can be mounted by one Pod only."""
    store, migration, collection = memory.store, memory.migration, memory.collection
    if store is None or not alone(store):
        return False
    if migration is not None and migration.source.id == store.id and migration.phase in COPYING | RESTING:
        return True
    if collection is None:
        return False
    return collection.phase in COLLECTING or (collection.phase is CollectionPhase.THAW and collector_runs(facts))


def _replicas(facts: Facts, store: StoreRef) -> int:
    many = store.kind == "S3" or store.access_mode == AccessMode.READ_WRITE_MANY
    return facts.spec.server.replicas if many else 1


def _claims(facts: Facts, memory: Memory, store: StoreRef) -> tuple[StoreRef, ...]:
    """Return Pawl's own claims that must exist. One that held bytes and is gone is not made again, empty."""
    stores = {store.id: store}
    if memory.migration is not None and memory.migration.phase in BUSY_MIGRATION:
        stores = {one.id: one for one in (memory.migration.source, memory.migration.target)} | stores
    own = (one for one in stores.values() if one.own_claim and not migrating.lost(facts, one))
    return tuple(one for one in own if not facts.blocked or one.claim in facts.claims)


def _works(facts: Facts, memory: Memory, wanted: StoreRef) -> tuple[WorkWant, ...]:
    found = (_migration(facts, memory), _collection(facts, memory), _deletion(facts, memory, wanted))
    return tuple(work for work in found if work is not None)


def _migration(facts: Facts, memory: Memory) -> WorkWant | None:
    migration = memory.migration
    task = migrating.task_of(migration) if migration is not None else None
    if migration is None or task is None:
        return None
    reads = task is not Task.SMOKE
    if reads and alone(migration.source) and facts.server.pods:
        return None
    quiet = migration.retry_at is not None or (facts.spec.suspend and migration.phase in COPYING)
    source = migration.source if reads else None
    return _unless(facts, WorkWant(task, order(migration, task), source, migration.target), quiet=quiet)


def _collection(facts: Facts, memory: Memory) -> WorkWant | None:
    collection, store = memory.collection, memory.store
    if collection is None or store is None or collection.phase is not CollectionPhase.COLLECT:
        return None
    if alone(store) and facts.server.pods:
        return None
    return _unless(facts, WorkWant(Task.PREPARE, collecting.order(collection), store), quiet=facts.spec.suspend)


def _deletion(facts: Facts, memory: Memory, wanted: StoreRef) -> WorkWant | None:
    old, migration = migrating.deletes(facts, memory, wanted), memory.migration
    if old is None or migration is None or old.kind != "S3":
        return None
    return _unless(facts, _deleting(migration, old), quiet=migration.retry_at is not None)


def _deleting(migration: MigrationStatus, old: StoreRef) -> WorkWant:
    return WorkWant(Task.DELETE, order(migration, Task.DELETE), source=old)


def _unless(facts: Facts, work: WorkWant, *, quiet: bool) -> WorkWant | None:
    """Keep a Job that is there already; begin none while that is not allowed, or while its next try has to wait."""
    there = facts.works.get(work.task)
    return work if not (quiet or facts.blocked) or (there is not None and there.order == work.order) else None


def _drop(facts: Facts, memory: Memory, wanted: StoreRef) -> tuple[StoreRef, ...]:
    old = migrating.deletes(facts, memory, wanted)
    return (old,) if old is not None and old.own_claim and old.claim in facts.claims else ()
