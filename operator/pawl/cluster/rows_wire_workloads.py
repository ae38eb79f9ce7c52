"""The fields that Pawl reads of workloads, as the API server writes them; the rest is never decoded.

Neighbours: `rows_wire` has the parts that Pods share, `rows_workloads` makes rows of these. Not here: meaning.
"""

from __future__ import annotations

import msgspec

from pawl.cluster.rows_wire import Condition, Meta, Wire, WirePodSpec


class WorkloadAnnotations(Wire):
    """Annotations of workloads that count."""

    original: str = msgspec.field(name="pawl.dev/original", default="")
    recreated_from: str = msgspec.field(name="pawl.dev/recreated-from", default="")
    helm_hook: str | None = msgspec.field(name="helm.sh/hook", default=None)
    argo_hook: str | None = msgspec.field(name="argocd.argoproj.io/hook", default=None)


class WorkloadMeta(Meta):
    """Metadata of a workload; `managed_fields` stays as bytes, for few are ever read."""

    annotations: WorkloadAnnotations | None = None
    managed_fields: msgspec.Raw = msgspec.Raw()


class TemplateAnnotations(Wire):
    """Annotations of templates that count."""

    rollout: str = msgspec.field(name="pawl.dev/rollout", default="")
    restart: str = msgspec.field(name="pawl.dev/restart", default="")


class TemplateMeta(Wire):
    """Metadata of a template."""

    labels: dict[str, str] | None = None
    annotations: TemplateAnnotations | None = None


class Template(Wire):
    """A Pod template."""

    metadata: TemplateMeta | None = None
    spec: WirePodSpec = msgspec.field(default_factory=WirePodSpec)


class RollingUpdate(Wire):
    """Settings of a rolling update."""

    partition: int | None = None


class Strategy(Wire):
    """The update strategy of a StatefulSet or DaemonSet."""

    type: str = ""
    rolling_update: RollingUpdate | None = None


class WorkloadSpec(Wire):
    """Of Deployments, StatefulSets, DaemonSets and Jobs."""

    template: Template = msgspec.field(default_factory=Template)
    replicas: int | None = None
    paused: bool = False
    update_strategy: Strategy | None = None
    parallelism: int | None = None
    suspend: bool | None = None
    manual_selector: bool | None = None


class WorkloadStatus(Wire):
    """Of Deployments, StatefulSets, DaemonSets and Jobs."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    desired_number_scheduled: int = 0
    current_number_scheduled: int = 0
    updated_number_scheduled: int = 0
    number_ready: int = 0
    active: int = 0
    ready: int | None = None
    succeeded: int = 0
    conditions: list[Condition] | None = None


class WireWorkload(Wire):
    """A Deployment, StatefulSet, DaemonSet or Job."""

    metadata: WorkloadMeta
    spec: WorkloadSpec = msgspec.field(default_factory=WorkloadSpec)
    status: WorkloadStatus = msgspec.field(default_factory=WorkloadStatus)


class JobTemplate(Wire):
    """The template of a CronJob."""

    spec: WorkloadSpec = msgspec.field(default_factory=WorkloadSpec)


class CronJobSpec(Wire):
    """Spec of a CronJob."""

    job_template: JobTemplate = msgspec.field(default_factory=JobTemplate)
    suspend: bool | None = None


class WireCronJob(Wire):
    """A CronJob."""

    metadata: WorkloadMeta
    spec: CronJobSpec = msgspec.field(default_factory=CronJobSpec)


class WireReplicaSet(Wire):
    """A ReplicaSet: owners are all that counts."""

    metadata: Meta
