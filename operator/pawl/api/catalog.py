"""The kinds that Pawl serves, each with all that its generated documents need.

A new kind is one entry here. Neighbours: `api.crd`, `api.editor` and `api.reference_docs` turn entries into documents,
`api.documents` lists these. Not here: fields and rules, they stand with the models.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydantic import BaseModel

from pawl.api.imagepolicy import ImagePolicy
from pawl.api.imagepolicy_rules import RULES as IMAGE_POLICY_RULES
from pawl.api.meta import GROUP
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
    """One kind: `model` is the object as a whole and has the fields `spec` and `status`."""

    model: type[BaseModel]
    singular: str
    plural: str
    short: str
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...]
    scope: Scope = Scope.NAMESPACED

    @property
    def name(self) -> str:
        """The kind as it stands in manifests."""
        return self.model.__name__

    @property
    def crd_name(self) -> str:
        """Name of the CustomResourceDefinition."""
        return f"{self.plural}.{GROUP}"


def _condition(kind: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


AGE: Final = Column("Age", ".metadata.creationTimestamp", "Time since creation.", type="date")
READY: Final = Column("Ready", _condition("Ready", "status"), "Whether a valid selection is held.")
REASON: Final = Column("Reason", _condition("Ready", "reason"), "Why it is ready or not.")

IMAGE_POLICY: Final = Kind(
    model=ImagePolicy,
    singular="imagepolicy",
    plural="imagepolicies",
    short="ipol",
    columns=(
        Column("Tag", ".status.selection.tag", "The chosen tag."),
        READY,
        REASON,
        Column("Image", ".spec.image", "The repository.", wide=True),
        Column("Epoch", ".status.selection.epoch", "Epoch of the selection.", type="integer", wide=True),
        Column("Sequence", ".status.selection.sequence", "Sequence of the selection.", type="integer", wide=True),
        Column("Pending", ".status.pending.tag", "The candidate that waits for its gates.", wide=True),
        AGE,
    ),
    rules=IMAGE_POLICY_RULES,
)

KINDS: Final = (IMAGE_POLICY,)
