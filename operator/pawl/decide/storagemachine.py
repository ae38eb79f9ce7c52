"""The judgement of a RegistryStorage: from what is known now to what must be there, one small step at a time.

`step` is level-triggered and total: every crash, every stale read and every absence of days ends in the same place,
because all that matters is in the memory, and the memory is stored before anything is done. Neighbours: the parts of
the machine are `decide.storagemachine_migration`, `_collection`, `_freeze`, `_want` and `_report`, and
`decide.expansion`; `decide.storagefacts` is what goes in and out. Not here: reading and writing the cluster.
"""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime

import msgspec

from pawl.api.registrystorage_status import StoreRef
from pawl.decide import storagemachine_collection as collection
from pawl.decide import storagemachine_migration as migration
from pawl.decide.expansion import grown
from pawl.decide.pressure import percent
from pawl.decide.storagefacts import Facts, Memory, Step
from pawl.decide.storagemachine_freeze import at_work, forgotten, freeze
from pawl.decide.storagemachine_notices import notices
from pawl.decide.storagemachine_report import conditions, phase, wait
from pawl.decide.storagemachine_want import want
from pawl.decide.storagemachine_work import second
from pawl.decide.stores import renewed, same_bytes, wanted_store


def step(facts: Facts) -> Step:
    """Judge what is known: what to remember, what must be there, and what to say of it."""
    wanted = wanted_store(facts.spec, facts.identity)
    memory = _revised(facts.memory, _moved(facts, wanted))
    needed = want(facts, memory, wanted)
    said = conditions(facts, memory, wanted)
    return Step(
        memory=memory,
        want=needed,
        conditions=said,
        phase=phase(memory, said),
        notices=notices(facts, memory),
        wait=wait(facts, memory),
    )


def merge(status: Memory, ledger: Memory) -> Memory:
    """Return the newer of two copies. Where both have the same revision, the choice is at least always the same."""
    return max(status, ledger, key=lambda copy: (copy.revision, _written(copy)))


def _written(memory: Memory) -> bytes:
    models = (getattr(memory, one.name) for one in fields(memory) if one.name != "revision")
    return msgspec.json.encode([None if model is None else model.model_dump(mode="json") for model in models])


def _revised(before: Memory, after: Memory) -> Memory:
    same = replace(after, revision=before.revision) == before
    return before if same else replace(after, revision=before.revision + 1)


def _moved(facts: Facts, wanted: StoreRef) -> Memory:
    """Ask each part in turn: the store as it is, its move, its collection, and what all that means for pushes."""
    memory = replace(facts.memory, store=_store(facts, wanted))
    memory = migration.advance(facts, memory, wanted)
    memory = collection.advance(facts, memory)
    return replace(memory, freeze=freeze(facts, memory))


def _store(facts: Facts, wanted: StoreRef) -> StoreRef | None:
    """Return the store that is served, with what is new of it."""
    store = facts.memory.store
    if store is None:
        return None if forgotten(facts, wanted) else wanted
    if store.id != wanted.id and _untouched(facts, store):
        store = wanted
    elif store.id != wanted.id and same_bytes(store, wanted) and not at_work(facts.memory):
        store = wanted.model_copy(update={"since": store.since, "grown_at": store.grown_at})
    store = _served(facts, renewed(store, wanted), second(facts.now))
    return store if facts.spec.suspend or facts.blocked else grown(facts, store, percent(facts))


def _untouched(facts: Facts, store: StoreRef) -> bool:
    """Whether no push can have reached the store, so that naming another one needs no migration."""
    claim = facts.claims.get(store.claim) if store.own_claim else None
    reached = any(pod.store == store.id and pod.ready for pod in facts.server.pods)
    never = store.since is None and facts.memory.migration is None and facts.memory.held is None
    return never and not reached and (claim is None or not claim.bound)


def _served(facts: Facts, store: StoreRef, now: datetime) -> StoreRef:
    ready = any(pod.store == store.id and pod.ready for pod in facts.server.pods)
    return store.model_copy(update={"since": now}) if ready and store.since is None else store
