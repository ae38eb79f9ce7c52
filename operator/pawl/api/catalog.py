"""The kinds that Pawl serves, each with all that its generated documents need.

A new kind is one entry here. Neighbours: `api.crd`, `api.editor` and `api.reference_docs` turn entries into documents,
`api.documents` lists these. Not here: fields and rules, they stand with the models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pydantic import BaseModel

from pawl.api.imageoverride import ClusterImageOverride, ImageOverride
from pawl.api.imageoverride_rules import CLUSTER_IMAGE_OVERRIDE_RULES, IMAGE_OVERRIDE_RULES
from pawl.api.imagepolicy import ImagePolicy
from pawl.api.imagepolicy_rules import RULES as IMAGE_POLICY_RULES
from pawl.api.imagerules import ClusterImageRules, ImageRules
from pawl.api.meta import GROUP
from pawl.api.reason_docs import POLICY_CONDITIONS, POLICY_REASONS
from pawl.api.reason_docs_override import OVERRIDE_CONDITIONS, OVERRIDE_REASONS
from pawl.api.reason_docs_registry import REGISTRY_CONDITIONS, REGISTRY_REASONS
from pawl.api.reasons import ConditionType, Reason
from pawl.api.registrystorage import RegistryStorage
from pawl.api.registrystorage_rules import RULES as REGISTRY_STORAGE_RULES
from pawl.api.rules import Rule


class Scope(StrEnum):
    """Whether objects live in a namespace."""

    NAMESPACED = "Namespaced"
    CLUSTER = "Cluster"


@dataclass(frozen=True)
class Column:
    """One column of `kubectl get`. `wide` ones are shown by `-o wide` only."""

    name: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True)
class Kind:
    """One kind: `model` is the object as a whole and has the field `spec`, and `status` if it has one.

    `conditions` and `reasons` are the words that its objects use, with a line for each; reasons stand under headings.
    """

    model: type[BaseModel]
    singular: str
    plural: str
    short: str
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()
    conditions: Mapping[ConditionType, str] = field(default_factory=dict)
    reasons: Mapping[str, Mapping[Reason, str]] = field(default_factory=dict)
    scope: Scope = Scope.NAMESPACED

    @property
    def name(self) -> str:
        """The kind as it stands in manifests."""
        return self.model.__name__

    @property
    def has_status(self) -> bool:
        """Whether its objects have a status, and thus the subresource."""
        return "status" in self.model.model_fields

    @property
    def crd_name(self) -> str:
        """Name of the CustomResourceDefinition."""
        return f"{self.plural}.{GROUP}"


def _condition(kind: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


AGE: Final = Column("Age", ".metadata.creationTimestamp", "Time since creation.", type="date")
REASON: Final = Column("Reason", _condition("Ready", "reason"), "Why it is ready or not.")

IMAGE_POLICY: Final = Kind(
    model=ImagePolicy,
    singular="imagepolicy",
    plural="imagepolicies",
    short="ipol",
    columns=(
        Column("Tag", ".status.selection.tag", "The chosen tag."),
        Column("Ready", _condition("Ready", "status"), "Whether a valid selection is held."),
        REASON,
        Column("Image", ".spec.image", "The repository.", wide=True),
        Column("Epoch", ".status.selection.epoch", "Epoch of the selection.", type="integer", wide=True),
        Column("Sequence", ".status.selection.sequence", "Sequence of the selection.", type="integer", wide=True),
        Column("Pending", ".status.pending.tag", "The candidate that waits for its gates.", wide=True),
        AGE,
    ),
    rules=IMAGE_POLICY_RULES,
    conditions=POLICY_CONDITIONS,
    reasons=POLICY_REASONS,
)

_OVERRIDE_COLUMNS: Final = (
    Column("Ready", _condition("Ready", "status"), "Whether all that the spec asks for is done."),
    REASON,
    Column("Matched", ".status.workloads.matched", "Workloads with an image that a rule decides.", type="integer"),
    Column("Verified", ".status.workloads.compliant", "Those whose live Pods are all verified.", type="integer"),
    Column("Drifted", ".status.workloads.drifted", "Those with Pods that do not run what it says.", type="integer"),
    Column("Gate", ".status.gate", "What rewrites Pods.", wide=True),
    Column("Batch", ".status.batch", "The batch now.", wide=True),
    Column("Plan", ".status.plan.hash", "Hash of the plan, for spec.rollout.approvedPlan.", wide=True),
    AGE,
)

IMAGE_OVERRIDE: Final = Kind(
    model=ImageOverride,
    singular="imageoverride",
    plural="imageoverrides",
    short="iov",
    columns=_OVERRIDE_COLUMNS,
    rules=IMAGE_OVERRIDE_RULES,
    conditions=OVERRIDE_CONDITIONS,
    reasons=OVERRIDE_REASONS,
)

CLUSTER_IMAGE_OVERRIDE: Final = Kind(
    model=ClusterImageOverride,
    singular="clusterimageoverride",
    plural="clusterimageoverrides",
    short="ciov",
    columns=_OVERRIDE_COLUMNS,
    rules=CLUSTER_IMAGE_OVERRIDE_RULES,
    conditions=OVERRIDE_CONDITIONS,
    reasons=OVERRIDE_REASONS,
    scope=Scope.CLUSTER,
)

IMAGE_RULES: Final = Kind(
    model=ImageRules,
    singular="imagerules",
    plural="imagerules",
    short="irul",
    columns=(AGE,),
)

CLUSTER_IMAGE_RULES: Final = Kind(
    model=ClusterImageRules,
    singular="clusterimagerules",
    plural="clusterimagerules",
    short="cirul",
    columns=(AGE,),
    scope=Scope.CLUSTER,
)

REGISTRY_STORAGE: Final = Kind(
    model=RegistryStorage,
    singular="registrystorage",
    plural="registrystorages",
    short="rgs",
    columns=(
        Column("Phase", ".status.phase", "One word for what it does."),
        Column("Address", ".status.address", "host[:port] for images.", wide=True),
        Column("Store", ".status.store.kind", "What is served: a Filesystem or S3."),
        Column("Used", ".status.usage.percent", "Percent of the store that is in use.", type="integer"),
        Column("Migrating", ".status.migration.phase", "Phase of the newest migration.", wide=True),
        Column("Ready", _condition("Ready", "status"), "Whether it serves and all that the spec asks for is done."),
        REASON,
        AGE,
    ),
    rules=REGISTRY_STORAGE_RULES,
    conditions=REGISTRY_CONDITIONS,
    reasons=REGISTRY_REASONS,
)

KINDS: Final = (
    IMAGE_POLICY,
    IMAGE_OVERRIDE,
    CLUSTER_IMAGE_OVERRIDE,
    IMAGE_RULES,
    CLUSTER_IMAGE_RULES,
    REGISTRY_STORAGE,
)
