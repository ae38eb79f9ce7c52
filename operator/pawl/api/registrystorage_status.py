"""What Pawl found and did for a registry: which store is served, how full it is, how far a migration is.

`store`, `held`, `freeze`, `migration` and `collection` are the memory of the state machines (`decide.storagestate`): a
replica that takes over goes on from them. Neighbours: `api.registrystorage_spec` is the user's half.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from pawl.api.meta import Condition, StatusModel, Time, list_type

Text = Annotated[str, StringConstraints(max_length=512)]
Short = Annotated[str, StringConstraints(max_length=253)]
Word = Annotated[str, StringConstraints(max_length=64)]
Count = Annotated[int, Field(ge=0)]


class MigrationPhase(StrEnum):
    """Phases in their order. Until OPEN the old store is served, and going back loses nothing."""

    PREFLIGHT = "Preflight"
    BULK = "Bulk"
    FREEZE = "Freeze"
    FINAL = "Final"
    VERIFY = "Verify"
    SWITCH = "Switch"
    SMOKE = "Smoke"
    OPEN = "Open"
    HOLD = "Hold"
    DONE = "Done"
    CANCEL = "Cancel"
    CANCELLED = "Cancelled"
    FAILED = "Failed"


class CollectionPhase(StrEnum):
    """Phases in their order; THAW is always reached."""

    PLAN = "Plan"
    FREEZE = "Freeze"
    COLLECT = "Collect"
    THAW = "Thaw"
    DONE = "Done"
    REFUSED = "Refused"
    FAILED = "Failed"


class StoreRef(StatusModel):
    """One store, so that it is found again when the spec names another."""

    id: Word = Field(description="Hash of what makes it this store: the claim, or endpoint, bucket and prefix.")
    kind: Annotated[str, StringConstraints(max_length=16, pattern=r"^(Filesystem|S3)$")] = Field(
        description="Filesystem or S3."
    )
    claim: Short = Field("", description="The claim, of a Filesystem.")
    own_claim: bool = Field(default=False, description="Whether Pawl made the claim.")
    access_mode: Word = Field("", description="How the claim may be mounted, of a Filesystem. Empty: ReadWriteOnce.")
    size: Word = Field("", description="Size that was asked for.")
    endpoint: Short = Field("", description="Of S3.")
    bucket: Short = Field("", description="Of S3.")
    region: Word = Field("", description="Of S3.")
    root_directory: Short = Field("", description="Of S3.")
    path_style: bool = Field(default=True, description="Of S3.")
    credentials_secret: Short = Field("", description="Name of the Secret, of S3.")
    ca_secret: Short = Field("", description="Name of the Secret, of S3.")
    storage_class: Short = Field("", description="Class of the claim that Pawl makes; empty: that of the cluster.")
    since: Time | None = Field(None, description="When it was first served.")
    grown_at: Time | None = Field(None, description="When Pawl last made the claim larger.")
    held_by: Word = Field("", description="Id of the migration that left it, of a store that is held.")
    held_until: Time | None = Field(None, description="Until then nothing deletes it, of a store that is held.")

    @property
    def label(self) -> str:
        """What people call it: `claim main-data`, `bucket images at http://minio:9000`."""
        return (
            f"claim {self.claim}" if self.kind == "Filesystem" else f"bucket {self.bucket} at {self.endpoint or 'AWS'}"
        )


class Freeze(StatusModel):
    """The server refuses pushes for a while."""

    reason: Word = Field(description="Collection, Migration, Pressure or Spec.")
    since: Time = Field(description="When it was asked to.")
    thaw_by: Time | None = Field(None, description="It takes pushes again at this time at the latest.")
    full: bool = Field(default=False, description="Whether the store is too full besides, which has no deadline.")


class RepositoryUsage(StatusModel):
    """One repository. Layers that are shared count in each."""

    name: Short = Field(description="The repository.")
    bytes: Count = Field(0, description="Bytes of its blobs.")
    tags: Count = Field(0, description="Its tags.")


class Usage(StatusModel):
    """How full the store is. Figures that tick are metrics; here they move by whole percents."""

    bytes: Count = Field(0, description="Bytes of all blobs.")
    capacity: Count = Field(0, description="Bytes that fit; 0 where that is not known.")
    percent: Annotated[int, Field(ge=0, le=100)] = Field(0, description="Of the capacity, other files included.")
    inodes_percent: Annotated[int, Field(ge=0, le=100)] = Field(0, description="Of the inodes.")
    repositories: Count = Field(0, description="How many.")
    tags: Count = Field(0, description="How many, in all.")
    blobs: Count = Field(0, description="How many.")
    largest: Annotated[list[RepositoryUsage], Field(max_length=10)] = Field(
        default_factory=list, description="The ten largest.", json_schema_extra=list_type("atomic")
    )


class MigrationStatus(StatusModel):
    """How far a migration is."""

    id: Word = Field(description="Names this migration.")
    phase: MigrationPhase = Field(description="Where it is.")
    source: StoreRef = Field(description="From where.")
    target: StoreRef = Field(description="To where.")
    started_at: Time = Field(description="When it began.")
    phase_since: Time = Field(description="When this phase began.")
    generation: Count = Field(0, description="The generation of the spec that asked for it.")
    attempt: Count = Field(0, description="How often a Job of this migration was begun.")
    failures: Count = Field(0, description="How often the Job of this phase failed in a row.")
    retry_at: Time | None = Field(None, description="When its Job is begun again.")
    objects: Count = Field(0, description="Objects of the source.")
    objects_done: Count = Field(0, description="Of these, proved on the target.")
    bytes: Count = Field(0, description="Bytes of the source.")
    bytes_done: Count = Field(0, description="Of these, proved on the target.")
    bytes_per_second: Count = Field(0, description="Lately.")
    eta_seconds: Count | None = Field(None, description="Until this phase ends, if the rate stays.")
    rounds: Count = Field(0, description="Rounds over the source.")
    quarantine: Annotated[list[Text], Field(max_length=20)] = Field(
        default_factory=list,
        description="The first objects whose bytes are not what their name says.",
        json_schema_extra=list_type("atomic"),
    )
    opened_at: Time | None = Field(None, description="When the new store took its first push.")
    hold_until: Time | None = Field(None, description="Until then the old store is kept.")
    left: Text = Field("", description="The store that was held before: it stays, and Pawl keeps it in mind no more.")
    reason: Word = Field("", description="Why it failed, or why its Job is begun again.")
    message: Text = Field("", description="What it does or waits for.")


class PlannedTag(StatusModel):
    """One tag of a collection plan."""

    repository: Short = Field(description="Its repository.")
    tag: Annotated[str, StringConstraints(max_length=128)] = Field(description="The tag.")
    reason: Word = Field(description="Why it goes or stays.")


class CollectionStatus(StatusModel):
    """The collection that runs, or the last one."""

    id: Word = Field(description="Names this collection.")
    phase: CollectionPhase = Field(description="Where it is.")
    cause: Word = Field(description="Schedule, Pressure or Requested.")
    started_at: Time = Field(description="When it began.")
    thaw_by: Time | None = Field(None, description="When the server takes pushes again at the latest.")
    attempt: Count = Field(0, description="How often its Job was begun.")
    tags: Count = Field(0, description="Tags in all.")
    delete_tags: Count = Field(0, description="Tags that go.")
    delete_bytes: Count = Field(0, description="Bytes that no kept image needs.")
    freed_bytes: Count = Field(0, description="Bytes that were freed.")
    reasons: Annotated[dict[Word, Count], Field(max_length=32)] = Field(
        default_factory=dict, description="Tags by reason."
    )
    sample: Annotated[list[PlannedTag], Field(max_length=20)] = Field(
        default_factory=list, description="The first that go.", json_schema_extra=list_type("atomic")
    )
    finished_at: Time | None = Field(None, description="When it ended.")
    percent: Count = Field(0, description="How full the store was when it ended.")
    reason: Word = Field("", description="What came of it, in a word.")
    message: Text = Field("", description="What came of it.")


class RegistryStorageStatus(StatusModel):
    """What Pawl found and did."""

    observed_generation: Annotated[int, Field(ge=-1)] = Field(
        -1, description="The generation that the conditions are about."
    )
    last_handled_reconcile_at: Annotated[str, StringConstraints(max_length=128)] | None = Field(
        None, description="The value of the annotation reconcile.pawl.dev/requestedAt that was last acted on."
    )
    last_handled_collect_at: Annotated[str, StringConstraints(max_length=128)] | None = Field(
        None, description="The value of the annotation collect.pawl.dev/requestedAt that was last acted on."
    )
    revision: Count = Field(0, description="Rises with every change of what follows; the greater copy is the truth.")
    phase: Word = Field("", description="One word: Starting, Serving, ReadOnly, Collecting, Migrating or Stalled.")
    address: Short = Field("", description="host[:port] for images.")
    former_addresses: Annotated[list[Short], Field(max_length=4)] = Field(
        default_factory=list,
        description="What `address` was before, newest first: images that are named so are pulled on.",
        json_schema_extra=list_type("atomic"),
    )
    anonymous_address: Short = Field("", description="host[:port] for pulls without credentials.")
    store: StoreRef | None = Field(None, description="What is served.")
    held: StoreRef | None = Field(None, description="The store before, kept for going back.")
    freeze: Freeze | None = Field(None, description="Why pushes are refused now.")
    usage: Usage | None = Field(None, description="How full it is.")
    migration: MigrationStatus | None = Field(None, description="The migration that runs, or the last one.")
    collection: CollectionStatus | None = Field(None, description="The collection that runs, or the last one.")
    conditions: Annotated[list[Condition], Field(max_length=24)] = Field(
        default_factory=list, description="What holds now.", json_schema_extra=list_type("map", "type")
    )
