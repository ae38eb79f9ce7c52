"""Deletes a store that was moved away from: what belongs to a registry, and what Pawl kept beside it, nothing else.

Tags go first and blobs last, so that what is left after a kill is a smaller registry and not a broken one. Neighbours:
`migrate` moved it. Not here: claims and buckets themselves, and whether it may be deleted (`decide.storagemachine`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from pawl.api.reasons import Reason
from pawl.api.registrywork import Order, Report
from pawl.decide import layout
from pawl.decide.layout import EntryKind
from pawl.jobs.copygauge import Gauge, Tell
from pawl.jobs.copystore import CopyStore
from pawl.jobs.migrate import EDGES, Edges
from pawl.jobs.store import Object, StoreError

_LAST: Final = (
    EntryKind.TAG_CURRENT_LINK,
    EntryKind.TAG_INDEX_LINK,
    EntryKind.REVISION_LINK,
    EntryKind.LAYER_LINK,
    EntryKind.UPLOAD,
)


async def delete(order: Order, tell: Tell, edges: Edges = EDGES) -> Report:
    """Delete the order's source, counted."""
    gauge = Gauge(order.task, order.id, tell, edges.clock)
    if order.source is None:
        return gauge.end(Reason.COPY_FAILED, "the order names no store; give its source", ok=False)
    store = edges.open(order.source, edges.patience)
    gauge.enter("Delete")
    try:
        foreign = await _delete(store, gauge)
    except StoreError as error:
        return gauge.end(Reason.COPY_FAILED, str(error), ok=False)
    finally:
        await store.close()
    kept = f"; {foreign} objects are not of a registry and stay" if foreign else ""
    told = gauge.end("", f"{gauge.objects_done} objects, {gauge.bytes_done} bytes deleted{kept}", ok=True)
    return told.model_copy(update={"freed_bytes": gauge.bytes_done})


async def _delete(store: CopyStore, gauge: Gauge) -> int:
    foreign = 0
    for kind in _LAST:
        async for page in _of(store, layout.REPOSITORIES, kind):
            await _drop(store, gauge, page)
    async for page in _of(store, layout.BLOBS, EntryKind.BLOB):
        await _drop(store, gauge, page)
    async for page in store.list(f"{layout.ROOT}/"):
        foreign += len(page)
    async for page in _of(store, layout.OWN, EntryKind.PAWL):
        await _drop(store, gauge, page)
    return foreign


async def _of(store: CopyStore, prefix: str, kind: EntryKind) -> AsyncIterator[list[Object]]:
    async for page in store.list(prefix):
        if wanted := [each for each in page if layout.parse(each.key).kind is kind]:
            yield wanted


async def _drop(store: CopyStore, gauge: Gauge, page: list[Object]) -> None:
    gauge.objects += len(page)
    gauge.bytes += sum(each.size for each in page)
    await store.delete_many([each.key for each in page])
    gauge.done(len(page), sum(each.size for each in page))
