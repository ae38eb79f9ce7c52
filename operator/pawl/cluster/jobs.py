"""Jobs that never started: deleted for their owner to make them anew, or saved, deleted and made again by Pawl.

A Job's template cannot change, so a new image needs a new Job. Between delete and create the manifest lies in the
Secret `pawl-saved-jobs` beside it, and whoever comes after a crash goes on from there (`read_saved`, `recreate_job`).
One Secret of a fixed name: to find others would need the right to list, which is the right to read every Secret.
Neighbours: `jobs_manifest` cleans manifests, `decide` says which Job. Not here: CronJobs (their template changes).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from pawl.api.errors import Conflict, NotFound
from pawl.cluster.client import Cluster
from pawl.cluster.jobs_manifest import recreatable
from pawl.cluster.resources import JOBS, SECRETS
from pawl.decide.objects import RECREATED_FROM, WorkloadRow

SECRET: Final = "pawl-saved-jobs"
LABEL: Final = "pawl.dev/saved-jobs"
TRIES: Final = 3
"""How often a Secret that comes or goes meanwhile is written again."""

Propagation = Literal["Background", "Foreground", "Orphan"]
Outcome = Literal["made", "waiting", "kept", "taken"]
"""made: the Job is there anew; waiting: the old one is still going; kept: the old one was never deleted and stays;
taken: somebody else made a Job of that name."""


@dataclass(frozen=True, slots=True)
class SavedJob:
    """A Job whose manifest lies in the Secret. `uid` is that of the Job that is to be replaced."""

    namespace: str
    name: str
    uid: str
    manifest: dict[str, Any]


class _Meta(msgspec.Struct, rename="camel"):
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None


class _Secret(msgspec.Struct):
    metadata: _Meta
    data: dict[str, str] | None = None


class _Entry(msgspec.Struct):
    name: str
    manifest: dict[str, Any]


class _JobMeta(msgspec.Struct, rename="camel"):
    uid: str = ""
    deletion_timestamp: str | None = None
    annotations: dict[str, str] | None = None


class _Job(msgspec.Struct):
    metadata: _JobMeta


_SECRET: Final = msgspec.json.Decoder(_Secret)
_ENTRY: Final = msgspec.json.Decoder(_Entry)
_JOB: Final = msgspec.json.Decoder(_Job)


async def delete_job(cluster: Cluster, row: WorkloadRow, propagation: Propagation = "Background") -> None:
    """Delete a Job with its Pods. Raises Conflict where it changed since the row (it may have started), NotFound."""
    await cluster.delete(
        JOBS, row.namespace, row.name, uid=row.uid, resource_version=row.version, propagation=propagation
    )


async def save_job(cluster: Cluster, row: WorkloadRow, guard: Callable[[], object] = object) -> SavedJob:
    """Save a Job's manifest in the Secret, then delete the Job and its Pods. `recreate_job` makes it again.

    `guard` raises where nothing may be deleted any more: the next leader may have found the Job kept by then.
    Raises Conflict where the Job is no longer as the row says (nothing is deleted then), NotFound where it is gone.
    """
    live = msgspec.json.decode(await cluster.get(JOBS, row.namespace, row.name), type=dict[str, Any])
    found = (live["metadata"]["uid"], live["metadata"]["resourceVersion"])
    if found != (row.uid, row.version):
        raise Conflict(f"{JOBS.named(row.namespace, row.name)} has changed since it was looked at; judge it again")
    saved = SavedJob(row.namespace, row.name, row.uid, recreatable(live))
    await _keep(cluster, saved)
    guard()
    await delete_job(cluster, row, "Foreground")
    return saved


async def recreate_job(cluster: Cluster, saved: SavedJob) -> Outcome:
    """Make a saved Job again and forget it. Safe to call again until the outcome is not `waiting`.

    Where the API server refuses the manifest (Invalid, Forbidden), it stays in the Secret for a person to look at.
    """
    try:
        await cluster.create(JOBS, saved.namespace, saved.manifest)
        outcome: Outcome = "made"
    except Conflict:
        outcome = await _found_there(cluster, saved)
    if outcome != "waiting":
        await forget_saved(cluster, saved)
    return outcome


async def read_saved(cluster: Cluster, namespace: str) -> Sequence[SavedJob]:
    """Return what was saved in a namespace and not yet made again. Damaged entries are left out."""
    try:
        found = _SECRET.decode(await cluster.get(SECRETS, namespace, SECRET))
    except NotFound:
        return []
    ours = LABEL in (found.metadata.labels or {})
    entries = sorted((found.data or {}).items()) if ours else ()
    return [saved for uid, text in entries if (saved := _saved(namespace, uid, text)) is not None]


async def forget_saved(cluster: Cluster, saved: SavedJob) -> None:
    """Take a saved Job out of the Secret, and the Secret away with the last one. What is gone is no error."""
    with suppress(NotFound):
        raw = await cluster.merge_patch(SECRETS, saved.namespace, SECRET, {"data": {saved.uid: None}})
        await _drop_empty(cluster, saved.namespace, _SECRET.decode(raw))


async def drop_empty(cluster: Cluster, namespace: str) -> None:
    """Take the Secret away where a crash left it without a Job. Raises ClusterError."""
    with suppress(NotFound):
        await _drop_empty(cluster, namespace, _SECRET.decode(await cluster.get(SECRETS, namespace, SECRET)))


async def _drop_empty(cluster: Cluster, namespace: str, found: _Secret) -> None:
    meta = found.metadata
    if not found.data and LABEL in (meta.labels or {}):
        with suppress(Conflict):  # another one was saved meanwhile
            await cluster.delete(SECRETS, namespace, SECRET, uid=meta.uid, resource_version=meta.resource_version)


async def _keep(cluster: Cluster, saved: SavedJob) -> None:
    """Put a Job into the Secret, beside what others put there; writes nothing where it lies there already."""
    entry = {"data": {saved.uid: _text(saved)}, "metadata": {"labels": {LABEL: "true"}}}
    new = {"apiVersion": "v1", "kind": "Secret", **entry, "metadata": {"name": SECRET, "labels": {LABEL: "true"}}}
    for left in reversed(range(TRIES)):
        try:
            await _put(cluster, saved, entry, new)
        except (Conflict, NotFound):  # made or taken away between look and write
            if not left:
                raise
        else:
            return


async def _put(cluster: Cluster, saved: SavedJob, entry: dict[str, Any], new: dict[str, Any]) -> None:
    try:
        found = _SECRET.decode(await cluster.get(SECRETS, saved.namespace, SECRET))
    except NotFound:
        await cluster.create(SECRETS, saved.namespace, new)
        return
    if (found.data or {}).get(saved.uid) != entry["data"][saved.uid] or LABEL not in (found.metadata.labels or {}):
        await cluster.merge_patch(SECRETS, saved.namespace, SECRET, entry)


async def is_kept(cluster: Cluster, saved: SavedJob) -> bool:
    """Whether the Job that was to be replaced is still there and not going. Raises ClusterError."""
    try:
        metadata = _JOB.decode(await cluster.get(JOBS, saved.namespace, saved.name)).metadata
    except NotFound:
        return False
    return metadata.uid == saved.uid and not metadata.deletion_timestamp


async def _found_there(cluster: Cluster, saved: SavedJob) -> Outcome:
    """Say what stands where the Job is to be made."""
    try:
        metadata = _JOB.decode(await cluster.get(JOBS, saved.namespace, saved.name)).metadata
    except NotFound:
        return "waiting"
    if metadata.uid == saved.uid:
        return "waiting" if metadata.deletion_timestamp else "kept"
    ours = (metadata.annotations or {}).get(RECREATED_FROM) == saved.uid
    return "made" if ours else "taken"


def _text(saved: SavedJob) -> str:
    return base64.b64encode(msgspec.json.encode(_Entry(saved.name, saved.manifest))).decode()


def _saved(namespace: str, uid: str, text: str) -> SavedJob | None:
    try:
        entry = _ENTRY.decode(base64.b64decode(text, validate=True))
    except (ValueError, msgspec.MsgspecError):
        return None
    return SavedJob(namespace, entry.name, uid, entry.manifest)
