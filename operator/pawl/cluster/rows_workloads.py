"""Rows of workloads: Deployment, StatefulSet, DaemonSet, ReplicaSet, Job and CronJob.

Neighbours: `rows` makes the shared parts, `rows_fields` reads who wrote what. Not here: judgement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from pawl.cluster import rows_wire_workloads as wire
from pawl.cluster.rows import RowReader, Shared, seconds
from pawl.cluster.rows_fields import written
from pawl.decide.objects import JobState, NamespaceRow, NodeRow, PodRow, PodSpec, WorkloadRow

_WORKLOAD: Final = msgspec.json.Decoder(wire.WireWorkload)
_CRON_JOB: Final = msgspec.json.Decoder(wire.WireCronJob)
_REPLICA_SET: Final = msgspec.json.Decoder(wire.WireReplicaSet)
_EMPTY: Final = PodSpec()
_OVER: Final = frozenset({"Complete", "Failed"})


class WorkloadReader:
    """Makes rows of the bytes of one workload. Every method raises msgspec.MsgspecError for what is none."""

    def __init__(self, shared: Shared | None = None) -> None:
        self._shared = shared or Shared()

    def deployment(self, raw: bytes) -> WorkloadRow:
        """Read a Deployment."""
        found = _WORKLOAD.decode(raw)
        row = self._scaled("Deployment", found)
        return msgspec.structs.replace(row, paused=found.spec.paused)

    def stateful_set(self, raw: bytes) -> WorkloadRow:
        """Read a StatefulSet."""
        found = _WORKLOAD.decode(raw)
        strategy = found.spec.update_strategy or wire.Strategy()
        partition = strategy.rolling_update.partition if strategy.rolling_update is not None else 0
        row = self._scaled("StatefulSet", found)
        return msgspec.structs.replace(row, on_delete=strategy.type == "OnDelete", partition=partition or 0)

    def daemon_set(self, raw: bytes) -> WorkloadRow:
        """Read a DaemonSet."""
        found = _WORKLOAD.decode(raw)
        status, strategy = found.status, found.spec.update_strategy or wire.Strategy()
        return msgspec.structs.replace(
            self._row("DaemonSet", found.metadata, found.spec.template),
            observed=status.observed_generation,
            wanted=status.desired_number_scheduled,
            updated=status.updated_number_scheduled,
            ready=status.number_ready,
            total=status.current_number_scheduled,
            on_delete=strategy.type == "OnDelete",
        )

    def replica_set(self, raw: bytes) -> WorkloadRow:
        """Read a ReplicaSet: a link between Pods and their Deployment, without a template."""
        meta = _REPLICA_SET.decode(raw).metadata
        return WorkloadRow(
            kind="ReplicaSet",
            namespace=self._shared.one(meta.namespace),
            name=meta.name,
            uid=meta.uid,
            version=meta.resource_version,
            spec=_EMPTY,
            created=seconds(meta.creation_timestamp) or 0.0,
            owners=self._shared.owners(meta.owner_references),
            deleting=meta.deletion_timestamp is not None,
        )

    def job(self, raw: bytes) -> WorkloadRow:
        """Read a Job. It is settled as soon as it runs: its template cannot change."""
        found = _WORKLOAD.decode(raw)
        status, job = found.status, _job_state(found)
        wanted = 0 if job.finished or job.suspended else _or_one(found.spec.parallelism)
        return msgspec.structs.replace(
            self._row("Job", found.metadata, found.spec.template),
            observed=found.metadata.generation,
            wanted=wanted,
            updated=status.active,
            ready=status.ready or 0,
            total=status.active,
            job=job,
        )

    def cron_job(self, raw: bytes) -> WorkloadRow:
        """Read a CronJob; `paused` says that it is suspended."""
        found = _CRON_JOB.decode(raw)
        row = self._row("CronJob", found.metadata, found.spec.job_template.spec.template)
        return msgspec.structs.replace(row, observed=found.metadata.generation, paused=bool(found.spec.suspend))

    def _scaled(self, kind: str, found: wire.WireWorkload) -> WorkloadRow:
        status = found.status
        return msgspec.structs.replace(
            self._row(kind, found.metadata, found.spec.template),
            observed=status.observed_generation,
            wanted=_or_one(found.spec.replicas),
            updated=status.updated_replicas,
            ready=status.ready_replicas,
            total=status.replicas,
        )

    def _row(self, kind: str, meta: wire.WorkloadMeta, template: wire.Template) -> WorkloadRow:
        """The part that all kinds with a template share."""
        inner = template.metadata or wire.TemplateMeta()
        notes, inner_notes = meta.annotations or wire.WorkloadAnnotations(), inner.annotations
        who = written(bytes(meta.managed_fields), kind)
        return WorkloadRow(
            kind=kind,
            namespace=self._shared.one(meta.namespace),
            name=meta.name,
            uid=meta.uid,
            version=meta.resource_version,
            spec=self._shared.spec(template.spec, inner.labels),
            generation=meta.generation,
            created=seconds(meta.creation_timestamp) or 0.0,
            owners=self._shared.owners(meta.owner_references),
            hook=notes.helm_hook is not None or notes.argo_hook is not None,
            deleting=meta.deletion_timestamp is not None,
            rollout=inner_notes.rollout if inner_notes is not None else "",
            restart=inner_notes.restart if inner_notes is not None else "",
            original=notes.original,
            owned=who.owned,
            reverter=who.reverter,
        )


def decoders() -> dict[str, Callable[[bytes], PodRow | WorkloadRow | NodeRow | NamespaceRow]]:
    """Return the reader of each kind that the world watches. They share one table of common values."""
    shared = Shared()
    plain, workloads = RowReader(shared), WorkloadReader(shared)
    return {
        "Pod": plain.pod,
        "Node": plain.node,
        "Namespace": plain.namespace,
        "Deployment": workloads.deployment,
        "StatefulSet": workloads.stateful_set,
        "DaemonSet": workloads.daemon_set,
        "ReplicaSet": workloads.replica_set,
        "Job": workloads.job,
        "CronJob": workloads.cron_job,
    }


def _job_state(found: wire.WireWorkload) -> JobState:
    notes, status = found.metadata.annotations, found.status
    return JobState(
        active=status.active,
        succeeded=status.succeeded,
        finished=any(each.type in _OVER and each.status == "True" for each in status.conditions or ()),
        suspended=bool(found.spec.suspend),
        manual_selector=bool(found.spec.manual_selector),
        recreated_from=notes.recreated_from if notes is not None else "",
    )


def _or_one(count: int | None) -> int:
    """A count whose default is 1."""
    return 1 if count is None else count
