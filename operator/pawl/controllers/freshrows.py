"""A workload read anew after a conflict: most conflicts are a status that its controller wrote, and change nothing.

Neighbours: `overrideacts` writes again on what is found here. Not here: deciding again, where the template did change.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pawl.cluster.client import Cluster
from pawl.cluster.rows_workloads import decoders
from pawl.cluster.templates import RESOURCES
from pawl.decide.objects import WorkloadRow
from pawl.decide.rollout_actions import Action, DropZombies, Restart, RewriteTemplate, Roll

TRIES: Final = 3
"""Writes of one action, the first included."""


async def renewed(cluster: Cluster, action: Action) -> Action | None:
    """Return the same action on the workload as it is stored now, None where it must be decided anew.

    Raises ClusterError.
    """
    if not isinstance(action, (Restart, Roll, RewriteTemplate, DropZombies)):
        return None
    row = action.workload
    found = decoders()[row.kind](await cluster.get(RESOURCES[row.kind], row.namespace, row.name))
    if not isinstance(found, WorkloadRow) or _template(found) != _template(row):
        return None
    return msgspec.structs.replace(action, workload=found)


def _template(row: WorkloadRow) -> tuple[object, ...]:
    """Everything that a decision about a template rests on."""
    return (row.uid, row.spec, row.rollout, row.restart, row.original, row.owned, row.paused, row.deleting)
