"""Writes to running workloads: thin, idempotent, each with the uid and resourceVersion of the row that it follows.

NotFound or Conflict mean that the row is out of date: nothing was written, nothing was made anew; decide again.
Neighbours: `templates` makes the bodies, `jobs` and `eviction` do Jobs and Pods. Not here: when to write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pawl.api.errors import NotFound
from pawl.cluster.client import Cluster
from pawl.cluster.templates import RESOURCES, Body, applied, identity
from pawl.cluster.templates_restore import RESTORER, Skipped, restoration
from pawl.decide.objects import MANAGER, ImageAt, WorkloadRow


async def annotate_template(cluster: Cluster, row: WorkloadRow, annotations: Mapping[str, str]) -> None:
    """Set annotations (pawl.dev/rollout, pawl.dev/restart) on a template; what Pawl already holds stays.

    Raises Conflict where the row is out of date or the object gone, Invalid, Forbidden, ApiUnavailable.
    """
    await _apply(cluster, row, applied(row, annotations=annotations))


async def rewrite_template(
    cluster: Cluster, row: WorkloadRow, images: Sequence[ImageAt], annotations: Mapping[str, str]
) -> None:
    """Write images, annotations and the note of what stood there before in one write.

    Places that the template does not have are ignored; zombies go in the same write. The note is the annotation
    pawl.dev/original, JSON of place -> {from, to}. Errors as `annotate_template`.
    """
    await _apply(cluster, row, applied(row, images, annotations))


async def drop_zombies(cluster: Cluster, row: WorkloadRow) -> None:
    """Let go of containers that only Pawl still owns (`row.owned`), so that they leave the template.

    Errors as `annotate_template`.
    """
    if row.owned:
        await _apply(cluster, row, applied(row))


async def restore_template(cluster: Cluster, row: WorkloadRow) -> tuple[Skipped, ...]:
    """Give a workload back: originals where Pawl's value still stands, no annotation, no ownership of Pawl's.

    Returns the places that were left, with why; a workload that is gone needs nothing. Safe to call again after a crash
    at any point. Raises Conflict where somebody wrote between read and write.
    """
    resource = RESOURCES[row.kind]
    try:
        live = _decode(await cluster.get(resource, row.namespace, row.name))
        if live["metadata"]["uid"] != row.uid:
            return ()
        plan = restoration(live, row.kind)
        if plan.operations:
            await cluster.json_patch(resource, row.namespace, row.name, plan.operations, manager=RESTORER)
        if plan.held:
            await _let_go(cluster, row)
    except NotFound:
        return ()
    return plan.skipped


async def _let_go(cluster: Cluster, row: WorkloadRow) -> None:
    """Apply nothing: what Pawl still owns together with others loses one owner."""
    body = identity(row)
    del body["metadata"]["resourceVersion"]  # the patch before was guarded, and this one changes no value
    await _apply(cluster, row, body)


async def _apply(cluster: Cluster, row: WorkloadRow, body: Body) -> None:
    await cluster.apply(RESOURCES[row.kind], row.namespace, row.name, body, manager=MANAGER)


def _decode(raw: bytes) -> dict[str, Any]:
    return msgspec.json.decode(raw, type=dict[str, Any])
