"""Jobs that never started: deleted for their owner to make them anew, or saved, deleted and made again by Pawl.

A Job's template cannot change, so a new image needs a new Job. Between delete and create the manifest lies in a Secret
beside it, and whoever comes after a crash goes on from there (`list_saved`, `recreate_job`).
Neighbours: `jobs_manifest` cleans manifests, `decide` says which Job. Not here: CronJobs (their template changes).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from pawl.api.errors import Conflict, NotFound
from pawl.cluster.client import Cluster
from pawl.cluster.jobs_manifest import recreatable
from pawl.cluster.resources import JOBS, SECRETS
from pawl.decide.objects import RECREATED_FROM, WorkloadRow

LABEL: Final = "pawl.dev/saved-job"
NAME: Final = "pawl.dev/job-name"
UID: Final = "pawl.dev/job-uid"
DATA_KEY: Final = "job.json"

Propagation = Literal["Background", "Foreground", "Orphan"]
Outcome = Literal["made", "waiting", "kept", "taken"]
"""made: the Job is there anew; waiting: the old one is still going; kept: the old one was never deleted and stays;
taken: somebody else made a Job of that name."""


@dataclass(frozen=True, slots=True)
class SavedJob:
    """A Job whose manifest lies in a Secret. `uid` is that of the Job that is to be replaced."""

    namespace: str
    name: str
    uid: str
    secret: str
    manifest: dict[str, Any]


class _Meta(msgspec.Struct):
    name: str
    namespace: str
    annotations: dict[str, str] | None = None


class _Secret(msgspec.Struct):
    metadata: _Meta
    data: dict[str, str] | None = None


class _Secrets(msgspec.Struct):
    items: list[_Secret] | None = None


class _JobMeta(msgspec.Struct, rename="camel"):
    uid: str = ""
    deletion_timestamp: str | None = None
    annotations: dict[str, str] | None = None


class _Job(msgspec.Struct):
    metadata: _JobMeta


_SECRETS: Final = msgspec.json.Decoder(_Secrets)
_JOB: Final = msgspec.json.Decoder(_Job)


async def delete_job(cluster: Cluster, row: WorkloadRow, propagation: Propagation = "Background") -> None:
    """Delete a Job with its Pods. Raises Conflict where it changed since the row (it may have started), NotFound."""
    await cluster.delete(
        JOBS, row.namespace, row.name, uid=row.uid, resource_version=row.version, propagation=propagation
    )


async def save_job(cluster: Cluster, row: WorkloadRow) -> SavedJob:
    """Save a Job's manifest in a Secret, then delete the Job and its Pods. `recreate_job` makes it again.

    Raises Conflict where the Job is no longer as the row says (nothing is deleted then), NotFound where it is gone.
    """
    live = msgspec.json.decode(await cluster.get(JOBS, row.namespace, row.name), type=dict[str, Any])
    found = (live["metadata"]["uid"], live["metadata"]["resourceVersion"])
    if found != (row.uid, row.version):
        raise Conflict(f"{JOBS.named(row.namespace, row.name)} has changed since it was looked at; judge it again")
    saved = SavedJob(row.namespace, row.name, row.uid, secret_name(row.uid), recreatable(live))
    try:
        await cluster.create(SECRETS, row.namespace, _secret(saved))
    except Conflict:  # saved before a crash
        await cluster.replace(SECRETS, row.namespace, saved.secret, _secret(saved))
    await delete_job(cluster, row, "Foreground")
    return saved


async def recreate_job(cluster: Cluster, saved: SavedJob) -> Outcome:
    """Make a saved Job again and forget it. Safe to call again until the outcome is not `waiting`.

    Where the API server refuses the manifest (Invalid, Forbidden), the Secret stays for a person to look at.
    """
    try:
        await cluster.create(JOBS, saved.namespace, saved.manifest)
        outcome: Outcome = "made"
    except Conflict:
        outcome = await _found_there(cluster, saved)
    if outcome != "waiting":
        await forget_saved(cluster, saved)
    return outcome


async def list_saved(cluster: Cluster, namespace: str | None = None) -> Sequence[SavedJob]:
    """Return what was saved and not yet made again, of one namespace or of all. Damaged Secrets are left out."""
    found: list[SavedJob] = []
    async for page in cluster.list_pages(SECRETS, namespace, f"{LABEL}=true"):
        found += [saved for each in _SECRETS.decode(page).items or () if (saved := _saved(each)) is not None]
    return found


async def forget_saved(cluster: Cluster, saved: SavedJob) -> None:
    """Delete the Secret of a saved Job; one that is gone is no error."""
    try:
        await cluster.delete(SECRETS, saved.namespace, saved.secret)
    except NotFound:
        return


def secret_name(uid: str) -> str:
    """Return the name of the Secret for a Job of this uid."""
    return f"pawl-job-{hashlib.sha256(uid.encode()).hexdigest()[:16]}"


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


def _secret(saved: SavedJob) -> dict[str, object]:
    text = base64.b64encode(msgspec.json.encode(saved.manifest)).decode()
    metadata = {
        "name": saved.secret,
        "namespace": saved.namespace,
        "labels": {LABEL: "true"},
        "annotations": {NAME: saved.name, UID: saved.uid},
    }
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {DATA_KEY: text}}


def _saved(secret: _Secret) -> SavedJob | None:
    notes = secret.metadata.annotations or {}
    try:
        raw = base64.b64decode((secret.data or {})[DATA_KEY], validate=True)
        manifest = msgspec.json.decode(raw, type=dict[str, Any])
        return SavedJob(secret.metadata.namespace, notes[NAME], notes[UID], secret.metadata.name, manifest)
    except (KeyError, ValueError, msgspec.MsgspecError):
        return None
