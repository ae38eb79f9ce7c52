"""Words that all kinds share: group, base model, conditions, references, annotations.

kstatus is the contract: `observedGeneration` (schema default -1) and the conditions Ready, Reconciling, Stalled.
Not here: fields of one kind.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

GROUP: Final = "pawl.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
CATEGORY: Final = "pawl"

REQUESTED_AT: Final = "reconcile.pawl.dev/requestedAt"
REQUESTED_AT_FLUX: Final = "reconcile.fluxcd.io/requestedAt"
COLLECT_AT: Final = "collect.pawl.dev/requestedAt"
"""Asks a registry for a collection now: apart from a plain run, because it refuses pushes for a while and deletes."""


class Model(BaseModel):
    """Base of every model: camelCase outside, snake_case inside, frozen, unknown fields refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    def wire(self) -> dict[str, object]:
        """Return the JSON form that Kubernetes stores: camelCase keys, absent fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class StatusModel(Model):
    """Base of what we read back from a cluster: a newer Pawl may have written fields that this one does not know."""

    model_config = ConfigDict(extra="ignore")


def _aware(value: object) -> object:
    """Kubernetes times carry a Z; a naive time would compare with none of ours."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


def _second(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[datetime, BeforeValidator(_aware), PlainSerializer(_second, return_type=str, when_used="json")]
"""A moment in UTC at a whole second, as Kubernetes writes `metav1.Time`."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
"""The name of an object in the same namespace (RFC 1123 subdomain)."""

Namespace = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
"""The name of a namespace (RFC 1123 label)."""

TAG: Final = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"

Tag = Annotated[str, StringConstraints(max_length=128, pattern=TAG)]
"""A tag in the grammar of the OCI distribution specification."""

DIGEST: Final = r"^sha256:[0-9a-f]{64}$"

Digest = Annotated[str, StringConstraints(max_length=71, pattern=DIGEST)]
"""A sha256 digest. Other algorithms are refused: the selected digest is hashed by us."""

DURATION: Final = (
    r"^([0-9]{1,5}(\.[0-9]{1,3})?h)?([0-9]{1,7}(\.[0-9]{1,3})?m)?([0-9]{1,9}(\.[0-9]{1,3})?s)?([0-9]{1,9}ms)?$"
)

Duration = Annotated[str, StringConstraints(min_length=2, max_length=32, pattern=DURATION)]
"""A duration as Go prints it: 30s, 5m, 1h30m. Greatest unit first, each once; the digits keep it within 64 bits."""


def list_type(kind: Literal["atomic", "set", "map"], *keys: str) -> dict[str, JsonValue]:
    """Say how server-side apply merges a list: as a whole, as a set of scalars, or as a map by `keys`."""
    return {"x-kubernetes-list-type": kind} | ({"x-kubernetes-list-map-keys": list(keys)} if keys else {})


def _bare_off(value: object) -> object:
    return "Off" if value is False else value


def words_with_off(*words: str) -> tuple[BeforeValidator, WithJsonSchema]:
    """Annotate a field with a value Off: YAML 1.1, and so kubectl, reads a bare Off as false, and that is taken as Off.

    A field of two types has no type in a CRD. So the API server knows the words, and CEL rules cannot read the field.
    """
    schema: dict[str, JsonValue] = {"enum": ["Off", *words, False], "x-kubernetes-preserve-unknown-fields": True}
    return BeforeValidator(_bare_off), WithJsonSchema(schema)


class LocalRef(Model):
    """Names an object in the same namespace."""

    name: Name = Field(description="Name of the object, in the namespace of this resource.")


class Condition(StatusModel):
    """One condition, in the form of `metav1.Condition`."""

    type: Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Z][A-Za-z]*$")] = Field(
        description="What is said something about; the list holds each type once."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    observed_generation: Annotated[int, Field(ge=0)] | None = Field(
        None, description="The metadata.generation that this was found for."
    )
    last_transition_time: Time = Field(description="When `status` last changed.")
    reason: Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Z][A-Za-z0-9]*$")] = Field(
        description="One stable word for why, made for alerts."
    )
    message: Annotated[str, StringConstraints(max_length=1024)] = Field(
        "", description="A sentence for people: object, cause, way out."
    )
