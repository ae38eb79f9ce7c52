"""What Pawl found and chose for an ImagePolicy.

Neighbours: `api.imagepolicy_spec` is the user's half; `api.imagepolicy_rules` holds the ratchet that the API server
keeps over `Selection`. Not here: how a selection is made (`decide`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from pawl.api.imagepolicy_spec import Fingerprint, RollbackHold
from pawl.api.meta import Condition, Digest, StatusModel, Tag, Time, list_type

SortKey = Annotated[str, StringConstraints(max_length=512)]
"""Value part, one blank, raw tag. Bytes compare as versions compare."""

TagAtDigest = Annotated[str, StringConstraints(max_length=256)]
"""tag@digest, or the tag alone where the digest is not known."""


class Cause(StrEnum):
    """Why a selection became what it is."""

    BOOTSTRAP = "Bootstrap"
    NEWER = "Newer"
    TAG_MOVED = "TagMoved"
    ROLLBACK = "Rollback"
    ORDERING_ACCEPTED = "OrderingAccepted"
    RECOVERED = "Recovered"
    FLOOR = "Floor"


class Selection(StatusModel):
    """The chosen version: the ratchet's position. Two copies merge by the greater (epoch, sequence)."""

    epoch: Annotated[int, Field(ge=1)] = Field(
        description="Rises only with an accepted rollback or an accepted change of ordering; never falls."
    )
    sequence: Annotated[int, Field(ge=1)] = Field(
        description="Rises with every change of the selection, also across epochs; never falls."
    )
    tag: Tag = Field(description="The chosen tag.")
    digest: Annotated[str, StringConstraints(max_length=71, pattern=r"^(sha256:[0-9a-f]{64})?$")] = Field(
        description="Digest of the manifest or index, hashed by Pawl. Empty only where no registry was asked."
    )
    reference: Annotated[str, StringConstraints(max_length=512)] = Field(
        description="image:tag@digest, ready for a Pod."
    )
    sort_key: SortKey = Field(
        description="Value part, one blank, raw tag. Bytes compare as versions compare; never falls within an epoch."
    )
    ordering: Fingerprint = Field(
        description="Hash of image, strategy, order, extract and prerelease rule under which sortKey was made."
    )
    selected_at: Time = Field(description="When this selection was made.")
    cause: Cause = Field(description="Why the selection became what it is.")


class Pending(StatusModel):
    """The candidate that waits for its gates."""

    tag: Tag = Field(description="The tag that would be selected.")
    digest: Digest = Field(description="Its digest. A new digest under the tag starts the wait again.")
    first_seen: Time = Field(description="When Pawl first saw this tag with this digest.")
    waiting_for: Annotated[list[Annotated[str, StringConstraints(max_length=64)]], Field(max_length=8)] = Field(
        description="Reasons of the gates that are not passed.", json_schema_extra=list_type("atomic")
    )


class HistoryEntry(StatusModel):
    """One decision that changed the selection."""

    time: Time = Field(description="When it was decided.")
    cause: Cause = Field(description="Why.")
    epoch: Annotated[int, Field(ge=1)] = Field(description="The epoch after it.")
    sequence: Annotated[int, Field(ge=1)] = Field(description="The sequence after it.")
    from_: TagAtDigest | None = Field(
        None, alias="from", description="tag@digest before it; absent for a first selection."
    )
    to: TagAtDigest = Field(description="tag@digest after it.")
    reason: Annotated[str, StringConstraints(max_length=256)] = Field(
        "", description="A sentence; for a rollback the one from its spec."
    )
    who: Annotated[str, StringConstraints(max_length=192)] = Field(
        "", description="Requester of a rollback; Lease holder and term otherwise."
    )


class Scan(StatusModel):
    """What the last answer of the registry looked like. No time: times that tick live in metrics."""

    revision: Annotated[str, StringConstraints(max_length=64)] = Field(description="Hash of the sorted tag list.")
    tags: Annotated[int, Field(ge=0)] = Field(description="How many tags the registry listed.")
    complete: bool = Field(description="Whether the whole list was read.")


class RollbackStatus(StatusModel):
    """The rollback in force: the selection resumes only above what it took back."""

    nonce: Annotated[str, StringConstraints(max_length=64)] = Field(description="The nonce that was accepted.")
    from_: TagAtDigest = Field(alias="from", description="tag@digest taken back.")
    above: SortKey = Field(description="Resume only with a greater value part than this key's.")
    hold: RollbackHold = Field(description="How long it holds, as the rollback asked.")


class ImagePolicyStatus(StatusModel):
    """What Pawl found and chose."""

    observed_generation: Annotated[int, Field(ge=-1)] = Field(
        -1, description="The metadata.generation that was last acted on; -1 before the first time."
    )
    conditions: Annotated[list[Condition], Field(max_length=32)] = Field(
        default_factory=list,
        description="Ready, Reconciling and Stalled as in kstatus; others stand only while they say something.",
        json_schema_extra=list_type("map", "type"),
    )
    last_handled_reconcile_at: Annotated[str, StringConstraints(max_length=256)] | None = Field(
        None, description="Value of the annotation reconcile.pawl.dev/requestedAt that was last acted on."
    )
    ordering: Fingerprint | None = Field(None, description="Fingerprint of the ordering that the spec asks for now.")
    selection: Selection | None = Field(
        None,
        description="The chosen version. The API server refuses every write that takes it back or away.",
    )
    pending: Pending | None = Field(None, description="The candidate that waits for its gates.")
    blocked: Annotated[list[Tag], Field(max_length=100)] = Field(
        default_factory=list,
        description="Tags blocked by accepted rollbacks, besides spec.blocked.",
        json_schema_extra=list_type("atomic"),
    )
    rollback: RollbackStatus | None = Field(None, description="The rollback in force.")
    history: Annotated[list[HistoryEntry], Field(max_length=20)] = Field(
        default_factory=list,
        description="The last decisions that changed the selection, oldest first.",
        json_schema_extra=list_type("atomic"),
    )
    scan: Scan | None = Field(None, description="What the last answer of the registry looked like.")
