"""What Pawl found and did for an override.

Neighbours: `api.imageoverride_spec` is the user's half. Not here: how verdicts are made (`decide.verdicts`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from pawl.api.meta import Condition, StatusModel, Time, list_type

Text = Annotated[str, StringConstraints(max_length=512)]
Short = Annotated[str, StringConstraints(max_length=253)]
DigestText = Annotated[str, StringConstraints(max_length=71, pattern=r"^(sha256:[0-9a-f]{64})?$")]


class Verdict(StrEnum):
    """What is known of one workload or Pod."""

    VERIFIED = "Verified"
    MISMATCH = "Mismatch"
    UNVERIFIABLE = "Unverifiable"
    PENDING = "Pending"
    DRIFTED = "Drifted"
    STUCK = "Stuck"
    SKIPPED = "Skipped"
    CONTESTED = "Contested"
    FAILED = "Failed"


class WorkloadCounts(StatusModel):
    """How many workloads are in which state. A bare Pod counts as a workload."""

    matched: Annotated[int, Field(ge=0)] = Field(0, description="Have an image that a rule decides.")
    compliant: Annotated[int, Field(ge=0)] = Field(0, description="All their live Pods are verified.")
    drifted: Annotated[int, Field(ge=0)] = Field(0, description="Have Pods that do not run what the rules say.")
    contested: Annotated[int, Field(ge=0)] = Field(0, description="Somebody else keeps reverting them.")
    skipped: Annotated[int, Field(ge=0)] = Field(0, description="Are left alone; findings say why.")
    mismatched: Annotated[int, Field(ge=0)] = Field(0, description="Run other content than their reference says.")
    unverifiable: Annotated[int, Field(ge=0)] = Field(0, description="Cannot be proved now.")


class Finding(StatusModel):
    """One thing that needs eyes."""

    kind: Short = Field(description="Kind of the workload, or Pod for a bare Pod.")
    namespace: Short = Field(description="Its namespace.")
    name: Short = Field(description="Its name.")
    pod: Short = Field("", description="The Pod, where it is about one.")
    container: Short = Field("", description="The container, where it is about one.")
    verdict: Verdict = Field(description="What is known.")
    reason: Short = Field(description="One stable word for why.")
    message: Text = Field("", description="A sentence: what was seen, and the way out.")
    since: Time = Field(description="When this was first found.")


class PlatformDigest(StatusModel):
    """The manifest of one platform."""

    platform: Annotated[str, StringConstraints(max_length=64)] = Field(description="os/arch[/variant].")
    digest: DigestText = Field(description="Digest of its manifest.")


class Resolved(StatusModel):
    """What a target means, pinned for one generation: a tag that moves later does not move it."""

    reference: Annotated[str, StringConstraints(max_length=512)] = Field(description="The image after rewriting.")
    digest: DigestText = Field(description="Digest of its index, or of its manifest if it is for one platform.")
    platforms: Annotated[list[PlatformDigest], Field(max_length=32)] = Field(
        default_factory=list, description="Its platforms.", json_schema_extra=list_type("atomic")
    )


class PlanCounts(StatusModel):
    """How much a plan touches."""

    restarts: Annotated[int, Field(ge=0)] = Field(0, description="Operators to restart.")
    rollouts: Annotated[int, Field(ge=0)] = Field(0, description="Workloads to roll.")
    jobs: Annotated[int, Field(ge=0)] = Field(0, description="Jobs to make anew.")
    fields: Annotated[int, Field(ge=0)] = Field(0, description="Fields of custom resources to rewrite.")
    evictions: Annotated[int, Field(ge=0)] = Field(0, description="Pods to evict.")
    left: Annotated[int, Field(ge=0)] = Field(0, description="Things that differ and are left alone.")


class PlannedStep(StatusModel):
    """One step of a plan."""

    action: Short = Field(description="What is done: Restart, Roll, Rewrite, Recreate, Evict or Leave.")
    object: Annotated[str, StringConstraints(max_length=380)] = Field(description="Kind namespace/name.")
    why: Text = Field("", description="What differs, or why it is left alone.")


class Plan(StatusModel):
    """What would be done. The hash covers every workload and its wanted images, not how far the work has come."""

    hash: Annotated[str, StringConstraints(max_length=16, pattern=r"^[0-9a-f]{16}$")] = Field(
        description="Put this into spec.rollout.approvedPlan."
    )
    counts: PlanCounts = Field(default_factory=PlanCounts, description="How much it touches.")
    steps: Annotated[list[PlannedStep], Field(max_length=50)] = Field(
        default_factory=list,
        description="The first 50 steps; `pawl plan` shows all.",
        json_schema_extra=list_type("atomic"),
    )


class Contest(StatusModel):
    """A workload, or an owner of Pods, from which Pawl stepped back for this generation."""

    object: Annotated[str, StringConstraints(max_length=380)] = Field(description="Kind namespace/name.")
    uid: Short = Field(description="uid of the workload, or of the owner of the Pods.")
    reason: Short = Field(description="FieldReverted or PodChurn.")
    manager: Short = Field("", description="The field manager that reverts, where it is known.")
    generation: Annotated[int, Field(ge=0)] = Field(description="Generation of the override that was contested.")
    since: Time = Field(description="When Pawl stepped back.")


class OverrideStatus(StatusModel):
    """What Pawl found and did."""

    observed_generation: Annotated[int, Field(ge=-1)] = Field(
        -1, description="The generation that the conditions are about."
    )
    last_handled_reconcile_at: Annotated[str, StringConstraints(max_length=128)] | None = Field(
        None, description="The value of the annotation reconcile.pawl.dev/requestedAt that was last acted on."
    )
    gate: Annotated[str, StringConstraints(max_length=32)] = Field(
        "", description="What rewrites Pods: MutatingAdmissionPolicy, Webhook, Unknown where that may not be seen."
    )
    workloads: WorkloadCounts = Field(default_factory=WorkloadCounts, description="How many are in which state.")
    batch: Annotated[str, StringConstraints(max_length=32)] = Field("", description="The batch now, such as 2/3.")
    plan: Plan | None = Field(None, description="What is, or would be, done.")
    findings: Annotated[list[Finding], Field(max_length=20)] = Field(
        default_factory=list, description="The first 20 that need eyes.", json_schema_extra=list_type("atomic")
    )
    contests: Annotated[list[Contest], Field(max_length=100)] = Field(
        default_factory=list, description="What Pawl stepped back from.", json_schema_extra=list_type("atomic")
    )
    resolved: Annotated[list[Resolved], Field(max_length=200)] = Field(
        default_factory=list,
        description="Targets that were seen in their registry, pinned for this generation.",
        json_schema_extra=list_type("atomic"),
    )
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(
        default_factory=list, description="What holds now.", json_schema_extra=list_type("map", "type")
    )
