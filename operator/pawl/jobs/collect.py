"""The two halves of a collection around the server's own collector, while the server refuses pushes.

`prepare` judges, holds the plan against the caps, and takes away tags and links of manifests that nothing needs; the
server's collector then frees what no link names; `account` proves what is kept and says what was freed. A kill at any
point leaves a valid registry, and another go comes to the same end.
Neighbours: `collectplan` plans, `collectrecord` is what `prepare` leaves for `account`, `collectsweep` deletes.
Not here: layers and blobs, which only the server's collector deletes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from pawl.api.errors import InputError
from pawl.api.reasons import Reason
from pawl.api.registrywork import Order, Plan, Progress, Report, Task
from pawl.jobs.collectplan import Draft, draft_of, plan_of
from pawl.jobs.collectrecord import Record, excuse, read_record, record_of, write_record
from pawl.jobs.collectsweep import lay_markers, prune, purge_uploads, removals, sweep_links
from pawl.jobs.copystore import CopyStore
from pawl.jobs.graph import breaks
from pawl.jobs.inventory import Inventory, read_inventory
from pawl.jobs.open import open_store

__all__ = ["account", "plan_of", "prepare"]

Tell = Callable[[Report], None]

SHOWN = 20
"""Verdicts and faults that a report names."""


@dataclass(frozen=True, slots=True)
class _Work:
    """One half of one collection."""

    order: Order
    tell: Tell
    store: CopyStore

    def say(self, phase: str, progress: Progress | None = None) -> None:
        """Tell how far it is."""
        self.tell(
            Report(task=self.order.task, id=self.order.id, phase=phase, progress=progress or Progress()),
        )


async def prepare(order: Order, tell: Tell) -> Report:
    """Take away what nothing needs, if the caps allow it. Not `ok`: the server's collector must not run.

    Raises StoreError, Stalled where a rule cannot be read, and InputError.
    """
    async with _opened(order, tell) as work:
        work.say("Reading")
        inventory = await read_inventory(work.store, by_etag=True)
        before = await read_record(work.store, order.id)
        draft = draft_of(inventory, order, before.gone if before is not None else None)
        if (refusal := _refusal(order, draft)) is not None:
            return refusal
        await write_record(work.store, order.id, record_of(inventory, order, draft, before))
        await _remove(work, inventory, draft)
        return _prepared(order, draft)


def _refusal(order: Order, draft: Draft) -> Report | None:
    shown = _shown(draft.plan)
    base = Report(task=Task.PREPARE, id=order.id, done=True, plan=shown)
    if draft.reason:
        return base.model_copy(update={"reason": draft.reason, "message": draft.plan.refused})
    if order.collection.dry_run:
        said = f"spec.collection.dryRun is set: nothing was deleted, {_numbers(draft.plan)} would be"
        return base.model_copy(update={"reason": str(Reason.DRY_RUN), "message": said})
    return None


async def _remove(work: _Work, inventory: Inventory, draft: Draft) -> None:
    done, batches = 0, list(removals(inventory, draft))
    total = sum(map(len, batches))
    for batch in batches:
        work.say("Removing", Progress(objects=total, objects_done=done))
        await work.store.delete_many(batch)
        done += len(batch)
    await prune(work.order.source)
    await lay_markers(work.store)
    # What named a blob is gone for good before the collector deletes that blob.
    await work.store.settle()


def _prepared(order: Order, draft: Draft) -> Report:
    plan = draft.plan
    nothing = not (plan.delete_tags or plan.delete_manifests or plan.delete_bytes or draft.dead_links)
    reason = Reason.NOTHING_TO_COLLECT if nothing else Reason.COLLECTING
    said = f"{_numbers(plan)} have been given up; links without a digest that were removed: {len(draft.dead_links)}"
    return Report(
        task=Task.PREPARE,
        id=order.id,
        done=True,
        ok=True,
        reason=str(reason),
        message="nothing is without need" if nothing else said,
        plan=_shown(plan),
        quarantine=list(draft.dead_links[:SHOWN]),
    )


def _numbers(plan: Plan) -> str:
    return f"{plan.delete_tags} tags, {plan.delete_manifests} manifests and {plan.delete_bytes} bytes"


def _shown(plan: Plan) -> Plan:
    gone = [verdict for verdict in plan.verdicts if not verdict.keep]
    return plan.model_copy(update={"verdicts": gone[:SHOWN]})


async def account(order: Order, tell: Tell) -> Report:
    """Prove what is kept, clean up behind the collector, and say what was freed. Raises StoreError and InputError."""
    async with _opened(order, tell) as work:
        work.say("Verifying")
        inventory = await read_inventory(work.store)
        record = await read_record(work.store, order.id) or Record(bytes=inventory.bytes)
        broken = excuse(record, breaks(inventory))
        if inventory.tags < record.tags:
            broken.append(f"{record.tags - inventory.tags} tags that were to stay are gone")
        if broken:
            return _broken(order, broken)
        work.say("Sweeping")
        await sweep_links(work.store, inventory)
        await purge_uploads(work.store, inventory, _now(order).timestamp() - order.upload_age)
        await prune(order.source)
        return _accounted(order, record, inventory)


def _broken(order: Order, broken: list[str]) -> Report:
    more = f", and {len(broken) - 1} more" if len(broken) > 1 else ""
    said = f"after the collection something that was to stay is not whole: {broken[0]}{more}; push it again"
    return Report(
        task=Task.ACCOUNT,
        id=order.id,
        done=True,
        reason=str(Reason.GRAPH_BROKEN),
        message=said,
        quarantine=broken[:SHOWN],
    )


def _accounted(order: Order, record: Record, inventory: Inventory) -> Report:
    freed = max(0, record.bytes - inventory.bytes)
    said = f"{freed} bytes were freed; {inventory.tags} tags and {len(inventory.blobs)} blobs are whole"
    known = f"; {len(record.excused)} faults were there before" if record.excused else ""
    return Report(
        task=Task.ACCOUNT,
        id=order.id,
        done=True,
        ok=True,
        reason=str(Reason.COLLECTED),
        message=said + known,
        quarantine=record.excused[:SHOWN],
        freed_bytes=freed,
    )


def _now(order: Order) -> datetime:
    return order.now or datetime.now(UTC)


@asynccontextmanager
async def _opened(order: Order, tell: Tell) -> AsyncIterator[_Work]:
    if order.source is None:
        raise InputError(f"order {order.id}: a collection needs `source`, the store that it is about")
    store = open_store(order.source)
    try:
        yield _Work(order, tell, store)
    finally:
        await store.close()
