"""kstatus in a few lines: what GitOps tools read out of the status of a custom resource, rule by rule.

Written from the rules of the library, not from Pawl. Neighbours: `flux_exprs` and `argolua` are the other readers.
Not here: built-in kinds, which the library knows by name.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

Json = dict[str, Any]


class KStatus(StrEnum):
    """The words of the library."""

    CURRENT = "Current"
    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    TERMINATING = "Terminating"


def kstatus(obj: Json) -> KStatus:
    """What the library says of a custom resource."""
    metadata, status = obj["metadata"], obj.get("status", {})
    if metadata.get("deletionTimestamp"):
        return KStatus.TERMINATING
    observed = status.get("observedGeneration")
    if "generation" in metadata and observed is not None and observed != metadata["generation"]:
        return KStatus.IN_PROGRESS
    conditions = status.get("conditions", [])
    return _standing(conditions) or _ready(conditions)


def _standing(conditions: list[Json]) -> KStatus | None:
    """The first of the two abnormal conditions in the list decides."""
    words = {"Reconciling": KStatus.IN_PROGRESS, "Stalled": KStatus.FAILED}
    true = (words[one["type"]] for one in conditions if one["type"] in words and one["status"] == "True")
    return next(true, None)


def _ready(conditions: list[Json]) -> KStatus:
    """Without any known condition an object counts as Current, which is why a new one needs observedGeneration -1."""
    ready = next((one["status"] for one in conditions if one["type"] == "Ready"), "True")
    return KStatus.CURRENT if ready == "True" else KStatus.IN_PROGRESS
