"""One collection from its plan to the thaw: what begins it, what refuses it, and that it always ends writable.

Neighbours: `decide.retention` judges tags within the workers, `decide.schedule` knows times, `jobs.collect` deletes.
Not here: migration; the two never run at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from pawl.api.reasons import Reason
from pawl.api.registrystorage_spec import RegistryStorageSpec
from pawl.api.registrystorage_status import CollectionPhase, CollectionStatus, PlannedTag, StoreRef
from pawl.api.registrywork import Plan, Task
from pawl.decide.pressure import percent
from pawl.decide.schedule import due
from pawl.decide.storagefacts import Facts, Memory
from pawl.decide.storagemachine_freeze import (
    LEAST_BOUND,
    collecting,
    collector_runs,
    freeze,
    from_the_future,
    migrating,
)
from pawl.decide.storagemachine_migration import lost
from pawl.decide.storagemachine_work import State, duration, outcome, second, serves, short, takes_pushes
from pawl.decide.stores import alone

Move = Callable[[Facts, Memory, CollectionStatus, StoreRef], CollectionStatus]

PRESSURE_PAUSE: Final = timedelta(hours=1)
"""Between two collections under pressure, unless the store grew."""
PRESSURE_GROWTH: Final = 5
"""Points of percent."""
PLAN_BOUND: Final = timedelta(minutes=30)
"""How long a meter may plan."""
SAMPLE: Final = 20
BLIND: Final = (
    "some namespaces cannot be seen, and images in use there might go; widen Pawl's rights, or set "
    "collection.acceptPartialView"
)
PRESSURE: Final = "Pressure"
SCHEDULE: Final = "Schedule"
REQUESTED: Final = "Requested"


def advance(facts: Facts, memory: Memory) -> Memory:
    """Return the memory after what can be done about a collection now."""
    if memory.store is None:
        return memory
    if not collecting(memory) or memory.collection is None:
        return _begin(facts, memory, memory.store)
    moved = _MOVES[memory.collection.phase](facts, memory, memory.collection, memory.store)
    return memory if moved == memory.collection else replace(memory, collection=moved)


def order(collection: CollectionStatus) -> str:
    """Return what the Job of a collection is made for."""
    return f"{collection.id}/collect/{collection.attempt}"


def uses_matter(spec: RegistryStorageSpec) -> bool:
    """Whether anything is kept because it is used: without any rule uses keep what has no tag."""
    return not spec.retention or any(rule.keep_in_use for rule in spec.retention)


def cause(facts: Facts, memory: Memory) -> str:
    """Say what asks for a collection now, or nothing."""
    if facts.collect_requested:
        return REQUESTED
    last, store = memory.collection, memory.store
    since = last.started_at if last is not None else store.since if store is not None else None
    if facts.collect_due or (since is not None and due(facts.spec.collection.schedule, since, facts.now)):
        return SCHEDULE
    return PRESSURE if _pressed(facts, last) else ""


def _pressed(facts: Facts, last: CollectionStatus | None) -> bool:
    filled = percent(facts)
    if filled is None or filled < facts.spec.pressure.collect_at:
        return False
    if last is None or last.finished_at is None:
        return True
    return facts.now - last.finished_at >= PRESSURE_PAUSE or filled >= last.percent + PRESSURE_GROWTH


def _begin(facts: Facts, memory: Memory, store: StoreRef) -> Memory:
    if facts.spec.suspend or facts.blocked or migrating(memory) or lost(facts, store):
        return memory
    why = cause(facts, memory)
    if not why or not serves(facts.server, store, read_only=memory.freeze is not None):
        return memory
    return replace(memory, collection=_first(facts, memory, why))


def _first(facts: Facts, memory: Memory, why: str) -> CollectionStatus:
    seed = f"{facts.identity.uid}/{memory.revision}/collection"
    return CollectionStatus(
        id=hashlib.sha256(seed.encode()).hexdigest()[:10],
        phase=CollectionPhase.PLAN,
        cause=why,
        started_at=second(facts.now),
        message="asks which tags and blobs may go",
    )


def _plan(facts: Facts, _memory: Memory, collection: CollectionStatus, store: StoreRef) -> CollectionStatus:
    """PLAN: nothing is frozen yet, so that ending costs nothing."""
    if facts.spec.suspend:
        return _end(facts, collection, CollectionPhase.REFUSED, Reason.SUSPENDED, "spec.suspend is set")
    if facts.plan is None and alone(store):
        return _unplanned(facts, collection, store)
    if facts.plan is None:
        if facts.now - collection.started_at < PLAN_BOUND:
            return collection
        text = "the meter made no plan in time; see the log of its Pod"
        return _end(facts, collection, CollectionPhase.FAILED, Reason.COLLECTION_FAILED, text)
    planned = _planned(collection, facts.plan)
    verdict = _verdict(facts, planned, facts.plan)
    return _frozen(facts, planned, store) if verdict is None else _end(facts, planned, *verdict)


def _unplanned(facts: Facts, collection: CollectionStatus, store: StoreRef) -> CollectionStatus:
    """No meter can mount a claim for one Pod: its Job judges, by the same rules and caps, while nothing is served."""
    if facts.spec.collection.dry_run:
        text = (
            f"{store.label} can be mounted by one Pod only, so nothing plans beside the server; unset collection.dryRun"
        )
        return _end(facts, collection, CollectionPhase.REFUSED, Reason.DRY_RUN, text)
    if _blind(facts):
        return _end(facts, collection, CollectionPhase.REFUSED, Reason.PARTIAL_VIEW, BLIND)
    return _frozen(facts, collection, store)


def _frozen(facts: Facts, planned: CollectionStatus, store: StoreRef) -> CollectionStatus:
    rests = f"pulls stop while {store.label} is collected" if alone(store) else "waits until every Pod refuses pushes"
    bound = duration(facts.spec.collection.thaw_after, LEAST_BOUND)
    told = {"phase": CollectionPhase.FREEZE, "thaw_by": second(facts.now) + bound, "message": rests}
    return planned.model_copy(update=told)


def _verdict(facts: Facts, collection: CollectionStatus, plan: Plan) -> tuple[CollectionPhase, Reason, str] | None:
    """Say why a plan is not carried out, None if it is."""
    options = facts.spec.collection
    if plan.refused:
        reason = Reason.COLLECTION_FAILED if plan.unsafe else Reason.CAP_EXCEEDED
        return CollectionPhase.REFUSED, reason, plan.refused
    if options.dry_run:
        text = f"collection.dryRun is set: {plan.delete_tags} of {plan.tags} tags would go, nothing was deleted"
        return CollectionPhase.DONE, Reason.DRY_RUN, text
    if _blind(facts):
        return CollectionPhase.REFUSED, Reason.PARTIAL_VIEW, BLIND
    if collection.cause != PRESSURE and not (plan.delete_tags or plan.delete_bytes or plan.delete_manifests):
        text = "every tag is kept, and every blob is needed"
        return CollectionPhase.DONE, Reason.NOTHING_TO_COLLECT, text
    return None


def _blind(facts: Facts) -> bool:
    return facts.partial_view and uses_matter(facts.spec) and not facts.spec.collection.accept_partial_view


def _planned(collection: CollectionStatus, plan: Plan) -> CollectionStatus:
    going = [tag for tag in plan.verdicts if not tag.keep][:SAMPLE]
    sample = [PlannedTag(repository=one.repository[:253], tag=one.tag[:128], reason=one.reason[:64]) for one in going]
    figures = {"tags": plan.tags, "delete_tags": plan.delete_tags, "delete_bytes": plan.delete_bytes}
    reasons = dict(sorted(plan.reasons.items())[:32])
    return collection.model_copy(update=figures | {"reasons": reasons, "sample": sample})


def _freeze(facts: Facts, _memory: Memory, collection: CollectionStatus, store: StoreRef) -> CollectionStatus:
    """FREEZE: wait until no Pod that could write is left."""
    if facts.spec.suspend:
        return _thaw(collection, Reason.SUSPENDED, "spec.suspend is set; nothing was deleted")
    if _late(facts, collection):
        trouble = facts.server.trouble or "a Pod still takes pushes, or does not answer"
        return _thaw(collection, Reason.COLLECTION_FAILED, f"the server was not frozen in time: {trouble}")
    resting = not facts.server.pods if alone(store) else facts.server.proved(store.id, read_only=True)
    if not resting or facts.stray:
        return collection
    told = {"phase": CollectionPhase.COLLECT, "attempt": collection.attempt + 1, "message": "collects"}
    return collection.model_copy(update=told)


def _collect(facts: Facts, _memory: Memory, collection: CollectionStatus, store: StoreRef) -> CollectionStatus:
    """COLLECT: one Job and one try; whatever comes of it, the thaw is next."""
    done = outcome(facts, Task.PREPARE, order(collection))
    if done.state is State.DONE and done.report is not None:
        text = done.report.message or f"{collection.delete_tags} tags went"
        planned = _planned(collection, done.report.plan) if done.report.plan is not None else collection
        freed = planned.model_copy(update={"freed_bytes": done.report.freed_bytes})
        return _thaw(freed, Reason.COLLECTED, text)
    if done.state is State.FAILED:
        return _thaw(collection, done.reason or Reason.COLLECTION_FAILED, done.message)
    if takes_pushes(facts.server, store):
        return _thaw(collection, Reason.NOT_FROZEN, "a Pod that takes pushes was seen; the Job is stopped")
    if _late(facts, collection):
        text = f"the Job was not done when pushes had to be taken again; raise collection.thawAfter {done.message}"
        return _thaw(collection, Reason.COLLECTION_FAILED, text.rstrip())
    if facts.spec.suspend and done.state is State.MISSING:
        return _thaw(collection, Reason.SUSPENDED, "spec.suspend is set; nothing was deleted")
    return collection.model_copy(update={"message": done.message or "collects"})


def _thaw(collection: CollectionStatus, reason: str, text: str) -> CollectionStatus:
    told = {"phase": CollectionPhase.THAW, "reason": str(reason)[:64], "message": short(text)}
    return collection.model_copy(update=told)


def _melt(facts: Facts, memory: Memory, collection: CollectionStatus, store: StoreRef) -> CollectionStatus:
    """THAW: the collector is away, and the server was made anew: it remembers no blob that is gone."""
    if collector_runs(facts) or not serves(facts.server, store, read_only=freeze(facts, memory) is not None):
        return collection
    phase = CollectionPhase.DONE if collection.reason == Reason.COLLECTED else CollectionPhase.FAILED
    return _end(facts, collection, phase, collection.reason, collection.message)


def _late(facts: Facts, collection: CollectionStatus) -> bool:
    return (
        collection.thaw_by is None or collection.thaw_by <= facts.now or from_the_future(facts, collection.started_at)
    )


def _end(
    facts: Facts, collection: CollectionStatus, phase: CollectionPhase, reason: str, text: str
) -> CollectionStatus:
    told = {"phase": phase, "reason": str(reason), "message": short(text)}
    return collection.model_copy(update=told | {"finished_at": second(facts.now), "percent": percent(facts) or 0})


_MOVES: Final[Mapping[CollectionPhase, Move]] = MappingProxyType(
    {
        CollectionPhase.PLAN: _plan,
        CollectionPhase.FREEZE: _freeze,
        CollectionPhase.COLLECT: _collect,
        CollectionPhase.THAW: _melt,
    }
)
