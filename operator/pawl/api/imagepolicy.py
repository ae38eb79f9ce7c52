"""ImagePolicy: which version of an image is chosen, as a selection that only an explicit act can take back.

This is the door: spec and status live in `api.imagepolicy_spec` and `api.imagepolicy_status` and are used from here.
Neighbours: `decide.policy` judges it; `api.imagepolicy_rules` holds the CEL rules that the API server enforces.
"""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from pawl.api.imagepolicy_spec import (
    Access,
    AlphabeticalSelect,
    Approval,
    Bootstrap,
    DigestSelect,
    Fingerprint,
    Floor,
    Gates,
    ImagePolicySpec,
    NumericalSelect,
    Order,
    Pattern,
    Rollback,
    RollbackHold,
    Select,
    SemverSelect,
    TagDigest,
    TagMutability,
    TagRef,
    Tags,
)
from pawl.api.imagepolicy_status import (
    Cause,
    HistoryEntry,
    ImagePolicyStatus,
    Pending,
    RollbackStatus,
    Scan,
    Selection,
    SortKey,
    TagAtDigest,
)
from pawl.api.meta import Model

__all__ = [
    "Access",
    "AlphabeticalSelect",
    "Approval",
    "Bootstrap",
    "Cause",
    "DigestSelect",
    "Fingerprint",
    "Floor",
    "Gates",
    "HistoryEntry",
    "ImagePolicy",
    "ImagePolicySpec",
    "ImagePolicyStatus",
    "NumericalSelect",
    "ObjectMeta",
    "Order",
    "Pattern",
    "Pending",
    "Rollback",
    "RollbackHold",
    "RollbackStatus",
    "Scan",
    "Select",
    "Selection",
    "SemverSelect",
    "SortKey",
    "TagAtDigest",
    "TagDigest",
    "TagMutability",
    "TagRef",
    "Tags",
]


class ObjectMeta(Model):
    """The part of an object's metadata that Pawl reads."""

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    annotations: dict[str, str] = Field(default_factory=dict)
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None

    model_config = ConfigDict(extra="ignore")


class ImagePolicy(Model):
    """Chooses one version of an image and holds it: the choice moves forward or stays, and never slips back."""

    api_version: Literal["pawl.dev/v1alpha1"] = "pawl.dev/v1alpha1"
    kind: Literal["ImagePolicy"] = "ImagePolicy"
    metadata: ObjectMeta
    spec: ImagePolicySpec
    status: ImagePolicyStatus = Field(default_factory=ImagePolicyStatus)
