"""Which workloads carry marks of Pawl, and which overrides decide their images as they were before it wrote.

Neighbours: `overridefinish` gives such workloads back. Not here: what is written (`cluster.templates`).
"""

from __future__ import annotations

from pawl.cluster.templates import place_of, read_originals
from pawl.decide.assess import subject_for
from pawl.decide.objects import ImageAt, WorkloadRow
from pawl.decide.tables import CompiledTable, rewrite_image


def decided(table: CompiledTable, row: WorkloadRow) -> bool:
    """Whether a table decides an image of a workload as it was before Pawl wrote."""
    return bool(deciders(table, row))


def deciders(table: CompiledTable, row: WorkloadRow) -> set[str]:
    """Return the overrides that decide an image of a workload as it was before Pawl wrote."""
    before, subject = read_originals(row.original), subject_for(row)
    images = [
        ImageAt(at.group, at.name, before[place_of(at)].before) if place_of(at) in before else at
        for at in row.spec.images
    ]
    found = [rewrite_image(table, subject, at).entry for at in images]
    return {entry.override for entry in found if entry is not None}


def touched(row: WorkloadRow) -> bool:
    """Whether Pawl wrote to a workload."""
    return bool(row.original or row.rollout or row.restart)
