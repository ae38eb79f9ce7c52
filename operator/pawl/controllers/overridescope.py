"""In which namespaces an override holds. Neighbours: `decide.selectors` compares labels. Not here: tables."""

from __future__ import annotations

from collections.abc import Iterable

from pawl.api.imageoverride import ClusterImageOverride, Override
from pawl.decide.objects import NamespaceRow
from pawl.decide.selectors import holds, requirements


def namespaces_of(override: Override, rows: Iterable[NamespaceRow], left_alone: frozenset[str]) -> tuple[str, ...]:
    """Return the namespaces that an override covers, sorted; those that are never rewritten are left out."""
    return tuple(sorted(row.name for row in rows if row.name not in left_alone and _covers(override, row)))


def _covers(override: Override, row: NamespaceRow) -> bool:
    if row.terminating or row.ignored:
        return False
    if not isinstance(override, ClusterImageOverride):
        return row.name == override.metadata.namespace
    if override.spec.namespaces is None:
        return True
    labels = dict(row.labels)
    return all(holds(one, labels) for one in requirements(override.spec.namespaces.selector))
