"""ImageOverride and ClusterImageOverride: which image runs, also in Pods that other operators make.

This is the door: spec and status live in `api.imageoverride_spec`, `_rollout` and `_status` and are used from here.
Neighbours: `decide.rulebook` compiles them into `api.imagerules`; `api.imageoverride_rules` holds the CEL rules.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pawl.api.imageoverride_rollout import (
    Enforcement,
    FieldPath,
    Jobs,
    Mode,
    OnDelete,
    Parent,
    Preflight,
    Rollout,
    Templates,
    Window,
)
from pawl.api.imageoverride_spec import (
    ClusterImageOverrideSpec,
    DeletionPolicy,
    ImageOverrideSpec,
    LabelSelector,
    Namespaces,
    Operator,
    OverrideSpec,
    PolicyRef,
    PullSecret,
    Requirement,
    Rule,
    SecretSource,
    Target,
    WorkloadKind,
    Workloads,
)
from pawl.api.imageoverride_status import (
    Contest,
    Finding,
    OverrideStatus,
    Plan,
    PlanCounts,
    PlannedStep,
    PlatformDigest,
    Resolved,
    Verdict,
    WorkloadCounts,
)
from pawl.api.imagepolicy import ObjectMeta
from pawl.api.meta import Model

__all__ = [
    "ClusterImageOverride",
    "ClusterImageOverrideSpec",
    "ClusterObjectMeta",
    "Contest",
    "DeletionPolicy",
    "Enforcement",
    "FieldPath",
    "Finding",
    "ImageOverride",
    "ImageOverrideSpec",
    "Jobs",
    "LabelSelector",
    "Mode",
    "Namespaces",
    "OnDelete",
    "Operator",
    "Override",
    "OverrideSpec",
    "OverrideStatus",
    "Parent",
    "Plan",
    "PlanCounts",
    "PlannedStep",
    "PlatformDigest",
    "PolicyRef",
    "Preflight",
    "PullSecret",
    "Requirement",
    "Resolved",
    "Rollout",
    "Rule",
    "SecretSource",
    "Target",
    "Templates",
    "Verdict",
    "Window",
    "WorkloadCounts",
    "WorkloadKind",
    "Workloads",
]


class OverrideMeta(ObjectMeta):
    """The part of an override's metadata that Pawl reads."""

    finalizers: list[str] = Field(default_factory=list)


class ClusterObjectMeta(OverrideMeta):
    """Metadata of an object without a namespace."""

    namespace: str = ""


class ImageOverride(Model):
    """Says where the images of one namespace come from, and holds it for every Pod that starts there."""

    api_version: Literal["pawl.dev/v1alpha1"] = "pawl.dev/v1alpha1"
    kind: Literal["ImageOverride"] = "ImageOverride"
    metadata: OverrideMeta
    spec: ImageOverrideSpec
    status: OverrideStatus = Field(default_factory=OverrideStatus)


class ClusterImageOverride(Model):
    """Says where the images of many namespaces come from, and holds it for every Pod that starts there."""

    api_version: Literal["pawl.dev/v1alpha1"] = "pawl.dev/v1alpha1"
    kind: Literal["ClusterImageOverride"] = "ClusterImageOverride"
    metadata: ClusterObjectMeta
    spec: ClusterImageOverrideSpec
    status: OverrideStatus = Field(default_factory=OverrideStatus)


Override = ImageOverride | ClusterImageOverride
