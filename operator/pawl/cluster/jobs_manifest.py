"""What is left of a Job when it is to be made again under its name. Pure.

Kept: labels, annotations, owners, and the whole spec with suspend, completions, parallelism and TTL. Left out: what the
API server and the Job controller filled in (batch/v1: selector and the labels that it selects, unless the user chose
them by `manualSelector`).
Neighbours: `jobs` saves and creates. Not here: which Job may be made again.
"""

from __future__ import annotations

from typing import Any, Final

from pawl.decide.objects import RECREATED_FROM

Json = dict[str, Any]

_KEPT: Final = ("name", "namespace", "labels", "annotations", "ownerReferences")
_GENERATED: Final = frozenset(
    {"controller-uid", "batch.kubernetes.io/controller-uid", "job-name", "batch.kubernetes.io/job-name"}
)


def recreatable(live: Json) -> Json:
    """Return the manifest that makes a Job like `live`, with the uid that it stands for in an annotation."""
    metadata = {key: live["metadata"][key] for key in _KEPT if key in live["metadata"]}
    metadata["annotations"] = {**metadata.get("annotations", {}), RECREATED_FROM: live["metadata"]["uid"]}
    spec = dict(live["spec"])
    if not spec.get("manualSelector"):
        spec.pop("selector", None)
        metadata = _unlabelled(metadata)
        template = spec["template"]
        spec["template"] = {**template, "metadata": _unlabelled(template.get("metadata") or {})}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _unlabelled(metadata: Json) -> Json:
    """Metadata without the labels that the API server gave, and without an empty `labels`."""
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key not in _GENERATED}
    rest = {key: value for key, value in metadata.items() if key not in ("labels", "creationTimestamp")}
    return {**rest, "labels": labels} if labels else rest
