"""How an override is enforced and how running workloads follow it.

Neighbours: `api.imageoverride_spec` holds rules and targets. Not here: the order of the steps (`decide.stages`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from pawl.api.meta import Duration, Model, Name, Namespace, list_type, words_with_off


class Templates(StrEnum):
    """Whether stored Pod templates are rewritten too."""

    OFF = "Off"
    ADMISSION = "Admission"
    RECONCILE = "Reconcile"


class Jobs(StrEnum):
    """What happens to Jobs whose Pods never started with the old image."""

    OFF = "Off"
    RECREATE_STUCK = "RecreateStuck"


class OnDelete(StrEnum):
    """What happens to Pods of workloads whose update strategy is OnDelete."""

    REPORT = "Report"
    EVICT = "Evict"


class ParentKind(StrEnum):
    """Kinds that can be restarted."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"


class Parent(Model):
    """A workload that reads its image at start and makes others; named where no ownerReference tells it."""

    kind: ParentKind = Field(ParentKind.DEPLOYMENT, description="Kind of the workload.")
    namespace: Namespace | None = Field(
        None, description="Its namespace. Required in a ClusterImageOverride; else that of the override, not written."
    )
    name: Name = Field(description="Its name.")


class FieldPath(Model):
    """A field of a custom resource that holds an image."""

    api_version: Annotated[str, StringConstraints(min_length=1, max_length=317, pattern=r"^[a-z0-9./-]+$")] = Field(
        description="apiVersion of the kind, such as ceph.rook.io/v1."
    )
    kind: Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[A-Z][A-Za-z0-9]*$")] = Field(
        description="The kind, such as CephCluster."
    )
    path: Annotated[
        str,
        StringConstraints(
            min_length=1, max_length=255, pattern=r"^[A-Za-z0-9_-]+(\[\*\])?(\.[A-Za-z0-9_-]+(\[\*\])?)*$"
        ),
    ] = Field(description="Dotted path of the field, such as spec.cephVersion.image; [*] goes through a list.")


class Enforcement(Model):
    """Where images are rewritten."""

    pods: bool = Field(default=True, description="At the admission of Pods; stored templates do not change.")
    templates: Annotated[Templates, *words_with_off("Admission", "Reconcile")] = Field(
        Templates.OFF,
        description="Off (or false, as YAML reads a bare Off): templates keep their images. Admission: templates are "
        "rewritten as they are written. Reconcile: stored templates are rewritten too, by server-side apply.",
    )
    jobs: Annotated[Jobs, *words_with_off("RecreateStuck")] = Field(
        Jobs.RECREATE_STUCK,
        description="RecreateStuck: a Job whose Pods never started is deleted for its owner to make it anew, or made "
        "anew by Pawl; running and finished Jobs are never touched. Off (or false): Jobs are left alone.",
    )
    restart_owners: bool = Field(
        default=True,
        description="Restart the operator that made stale workloads, once, before they are touched themselves.",
    )
    settle: Duration = Field("30s", description="How long a restarted operator is given, between 0s and 1h.")
    on_delete: OnDelete = Field(
        OnDelete.REPORT, description="Pods of workloads with the strategy OnDelete: report them, or evict them in turn."
    )
    parents: Annotated[list[Parent], Field(max_length=16)] = Field(
        default_factory=list,
        description="Operators to restart beside those that ownerReferences tell.",
        json_schema_extra=list_type("atomic"),
    )
    paths: Annotated[list[FieldPath], Field(max_length=16)] = Field(
        default_factory=list,
        description="Fields of custom resources that hold images; they are rewritten in place.",
        json_schema_extra=list_type("atomic"),
    )


class Mode(StrEnum):
    """How far Pawl goes by itself."""

    ENFORCE = "Enforce"
    PLAN = "Plan"
    ADMISSION_ONLY = "AdmissionOnly"


class Preflight(StrEnum):
    """Whether a target must be seen in its registry before anything is rewritten to it."""

    REQUIRED = "Required"
    SKIP = "Skip"


class Window(Model):
    """When workloads may be rolled; admission and plans do not wait for it."""

    schedule: Annotated[str, StringConstraints(min_length=9, max_length=64)] = Field(
        description="When it opens, as five cron fields: '0 22 * * 1-5'."
    )
    duration: Duration = Field(description="How long it is open, between 1m and 168h.")
    time_zone: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")] = Field(
        "UTC", description="Time zone of the schedule, such as Europe/Berlin."
    )


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) else value


_BATCH: Final = r"^([1-9][0-9]{0,4}|[1-9][0-9]?%|100%)$"

Batch = Annotated[
    str,
    BeforeValidator(_as_text),
    StringConstraints(min_length=1, max_length=6, pattern=_BATCH),
    WithJsonSchema(
        {"pattern": _BATCH, "maxLength": 6, "minimum": 1, "maximum": 99_999, "x-kubernetes-int-or-string": True}
    ),
]
"""A number of workloads, or a percentage of them. Kubernetes' IntOrString outside, always text inside."""


class Rollout(Model):
    """How what runs already follows."""

    mode: Mode = Field(
        Mode.ENFORCE,
        description="Enforce: go on. Plan: write the plan to status and wait for approvedPlan. AdmissionOnly: rewrite "
        "what starts, roll nothing.",
    )
    paused: bool = Field(default=False, description="Begin nothing new; what was begun is watched to its end.")
    max_concurrent: Annotated[int, Field(ge=1, le=500)] = Field(
        1, description="Workloads that roll at the same time, at most."
    )
    batches: Annotated[list[Batch], Field(min_length=1, max_length=10)] = Field(
        default_factory=lambda: ["1", "25%", "100%"],
        description="Workloads of all, cumulated: a batch begins when the one before it is verified. "
        "Default: 1, 25%, 100%.",
        json_schema_extra=list_type("atomic"),
    )
    progress_deadline: Duration = Field(
        "10m", description="A workload that is not verified after this stops the rollout, between 10s and 24h."
    )
    prepull: bool = Field(
        default=False, description="Pull the new images onto the nodes with their final Secrets before anything rolls."
    )
    preflight: Preflight = Field(
        Preflight.REQUIRED,
        description="Required: an image is rewritten only after Pawl has seen the target in its registry with the "
        "credentials of the Pod, for every platform of the nodes. Skip: for registries that only nodes reach.",
    )
    window: Window | None = Field(None, description="When workloads may be rolled; default always.")
    approved_plan: Annotated[str, StringConstraints(max_length=64, pattern=r"^([0-9a-f]{16})?$")] = Field(
        "", description="The hash from status.plan that may be carried out."
    )
