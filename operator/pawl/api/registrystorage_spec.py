"""What a user writes into a RegistryStorage: a registry, where its bytes are, and what may be deleted.

Neighbours: `api.registrystorage_access` holds how it is reached, `api.registrystorage_status` is Pawl's half,
`api.registrystorage` joins them; `api.registrystorage_rules` holds what the fields must be together.
Not here: how a server is configured (`decide.serverobjects`), how tags are judged (`decide.retention`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from pawl.api.meta import Duration, LocalRef, Model, Name, list_type
from pawl.api.registrystorage_access import RegistryAccess

Quantity = Annotated[
    str, StringConstraints(min_length=1, max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$")
]
"""An amount as Kubernetes writes it: 100Gi, 500m."""

Percent = Annotated[int, Field(ge=1, le=100)]

Glob = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[a-z0-9._/*?-]+$")]
"""Repositories: `*` stands for any characters within a path segment, `**` for any at all, `?` for one."""

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=256)]
"""A regular expression in RE2 syntax."""

Image = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class AccessMode(StrEnum):
    """How a claim may be mounted, as in `PersistentVolumeClaim.spec.accessModes`."""

    READ_WRITE_ONCE = "ReadWriteOnce"
    READ_WRITE_ONCE_POD = "ReadWriteOncePod"
    READ_WRITE_MANY = "ReadWriteMany"


class Verify(StrEnum):
    """How a copy is proved before it is served. Deep reads every byte of the target once more."""

    GRAPH = "Graph"
    DEEP = "Deep"


class Resources(Model):
    """Requests and limits of the server's container."""

    requests: Annotated[dict[Annotated[str, StringConstraints(max_length=63)], Quantity], Field(max_length=8)] = Field(
        default_factory=dict, description="What is set aside, such as cpu and memory."
    )
    limits: Annotated[dict[Annotated[str, StringConstraints(max_length=63)], Quantity], Field(max_length=8)] = Field(
        default_factory=dict, description="What it may use at most."
    )


# Clients compare a list as a whole: a default that the API server wrote into an item would be a difference for ever.
# So a default of an item is a factory, which the model knows and the schema does not.
class Toleration(Model):
    """A taint that is put up with, as in `Pod.spec.tolerations`."""

    key: Annotated[str, StringConstraints(max_length=317)] = Field(
        default_factory=str, description="Key of the taint; empty means all."
    )
    operator: Annotated[str, StringConstraints(max_length=6, pattern=r"^(Equal|Exists)$")] = Field(
        default_factory=lambda: "Equal", description="Equal, which is the default, or Exists."
    )
    value: Annotated[str, StringConstraints(max_length=63)] = Field(default_factory=str, description="For Equal.")
    effect: Annotated[str, StringConstraints(max_length=16, pattern=r"^(|NoSchedule|PreferNoSchedule|NoExecute)$")] = (
        Field(default_factory=str, description="Empty means all effects.")
    )


class Server(Model):
    """The server: distribution, configured by Pawl."""

    image: Image = Field("registry:3.1.1", description="Image of distribution 3.1 or later; 2.8 is served as well.")
    replicas: Annotated[int, Field(ge=1, le=20)] = Field(
        1, description="More than one needs a store that several Pods can write: s3, or ReadWriteMany."
    )
    resources: Resources = Field(default_factory=Resources, description="Requests and limits.")
    drain_timeout: Duration = Field(
        "10m", description="How long a Pod that ends lets running uploads finish, between 1s and 1h."
    )
    node_selector: Annotated[
        dict[Annotated[str, StringConstraints(max_length=317)], Annotated[str, StringConstraints(max_length=63)]],
        Field(max_length=16),
    ] = Field(default_factory=dict, description="Labels of the nodes on which it may run.")
    tolerations: Annotated[list[Toleration], Field(max_length=16)] = Field(
        default_factory=list, description="Taints that it puts up with.", json_schema_extra=list_type("atomic")
    )
    pull_secrets: Annotated[list[LocalRef], Field(max_length=8)] = Field(
        default_factory=list,
        description="Pull Secrets for the server's own image, beside those of Pawl's install.",
        json_schema_extra=list_type("map", "name"),
    )


class FilesystemStore(Model):
    """Bytes on a claim: one write and one hash a byte, the fastest for large layers."""

    size: Quantity = Field("100Gi", description="Size of the claim that Pawl makes. It may grow, never shrink.")
    storage_class_name: Name | None = Field(None, description="Its class; default: that of the cluster.")
    existing_claim: Name | None = Field(
        None, description="Use this claim instead of making one. Pawl never deletes it and never changes it."
    )
    series: Annotated[int, Field(ge=0, le=999)] = Field(
        0, description="Another number is another claim, and the bytes move there: as where the class cannot grow."
    )
    access_mode: AccessMode = Field(AccessMode.READ_WRITE_ONCE, description="ReadWriteMany lets several replicas run.")


class S3Store(Model):
    """Bytes in a bucket of S3 or MinIO. Each pushed byte is written twice by the server, and read once."""

    endpoint: Annotated[str, StringConstraints(max_length=255)] = Field(
        "", description="http(s)://host[:port]; empty means AWS in `region`."
    )
    bucket: Annotated[str, StringConstraints(min_length=3, max_length=63, pattern=r"^[a-z0-9][a-z0-9.-]*[a-z0-9]$")] = (
        Field(description="The bucket. It must exist.")
    )
    region: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z0-9-]+$")] = Field(
        "us-east-1", description="The region."
    )
    root_directory: Annotated[str, StringConstraints(max_length=255, pattern=r"^[A-Za-z0-9._/-]*$")] = Field(
        "", description="Prefix of all keys."
    )
    credentials_secret_ref: LocalRef | None = Field(
        None, description="Secret with accessKey and secretKey. None: the Pod's own identity, as on AWS."
    )
    ca_secret_ref: LocalRef | None = Field(None, description="Secret with a CA certificate under ca.crt.")
    force_path_style: bool = Field(default=True, description="Buckets in the path, as MinIO wants them.")
    chunk_size: Annotated[int, Field(ge=5, le=5120)] = Field(
        64, description="MiB a part. A layer has at most 10,000 parts: 64 allows 625 GiB."
    )
    copy_concurrency: Annotated[int, Field(ge=1, le=100)] = Field(
        8, description="Parts that are copied at once at the end of a push; 4 to 8 for one MinIO."
    )
    quota: Quantity | None = Field(None, description="What counts as full: a bucket has no size of its own.")


class Storage(Model):
    """Where the bytes are: exactly one of the two. Another one is a migration, not a new empty registry."""

    filesystem: FilesystemStore | None = Field(None, description="On a claim. The default.")
    s3: S3Store | None = Field(None, description="In a bucket.")


class Expansion(Model):
    """How a claim grows. Where its class cannot, an alert says so."""

    step: Percent = Field(20, description="Percent of its size by which it grows.")
    max_size: Quantity | None = Field(None, description="It never grows beyond. None: it never grows.")


class Pressure(Model):
    """What happens as the store fills, in percent of bytes or inodes."""

    expand_at: Percent = Field(80, description="Grow, or warn.")
    collect_at: Percent = Field(85, description="Purge stale uploads and collect.")
    read_only_at: Percent = Field(95, description="Refuse pushes, so that pulls live on. Ends below `collectAt`.")


class Collection(Model):
    """When, and how much, is collected."""

    schedule: Annotated[str, StringConstraints(max_length=64)] | None = Field(
        None, description="Five cron fields in UTC, such as '0 3 * * *'. None: only under pressure, or when asked for."
    )
    dry_run: bool = Field(default=False, description="Plan, say what would go, and delete nothing.")
    max_delete_percent: Percent = Field(
        30, description="A plan that would delete more of the tags or of the bytes is refused."
    )
    minimum_age: Duration = Field(
        "24h", description="What was pushed later is kept whatever a rule says, between 0s and 8760h."
    )
    thaw_after: Duration = Field(
        "1h", description="After this the server takes pushes again, whatever became of the collection; 1m to 24h."
    )
    accept_partial_view: bool = Field(
        default=False,
        description="Collect although Pawl sees some namespaces only, so that images in use elsewhere may go.",
    )


class RetentionRule(Model):
    """What is kept in some repositories. The first rule whose `repositories` match decides; none: all is kept."""

    repositories: Annotated[list[Glob], Field(min_length=1, max_length=32)] = Field(
        description="Globs of repositories.", json_schema_extra=list_type("atomic")
    )
    keep_tags: Annotated[list[Pattern], Field(max_length=16)] = Field(
        default_factory=list,
        description="Tags that match one of these are kept for ever.",
        json_schema_extra=list_type("atomic"),
    )
    keep_last: Annotated[int, Field(ge=0, le=100_000)] | None = Field(
        None, description="Keep as many of the tags that were pushed last, per repository."
    )
    keep_younger_than: Duration | None = Field(None, description="Keep tags that were pushed within this time.")
    keep_in_use: bool = Field(
        default_factory=lambda: True,
        description="Keep what the cluster runs, may run again, or a policy holds or held. Default: true.",
    )
    keep_untagged: bool = Field(
        default_factory=bool,
        description="Keep manifests without a tag that nothing in use refers to. Default: false.",
    )


class Migration(Model):
    """How the bytes move when `spec.storage` changes."""

    rollback_window: Duration = Field(
        "72h", description="How long the old store stays as it was after the new one is open, between 0s and 8760h."
    )
    verify: Verify = Field(Verify.DEEP, description="Deep reads every byte of the target once more before the switch.")
    parallel: Annotated[int, Field(ge=1, le=32)] = Field(4, description="Objects that are copied at once.")
    delete_old_store: Annotated[str, StringConstraints(max_length=64)] = Field(
        "",
        description="Id of a finished migration, as in status.migration.id: its old store is deleted once "
        "`rollbackWindow` has passed. An existing claim and a bucket itself are never deleted.",
    )


class RegistryStorageSpec(Model):
    """What the user wants."""

    suspend: bool = Field(default=False, description="Pause: what runs goes on, nothing new is begun.")
    server: Server = Field(default_factory=Server, description="The server.")
    storage: Storage = Field(default_factory=Storage, description="Where the bytes are; default: a claim of 100Gi.")
    expansion: Expansion = Field(default_factory=Expansion, description="How a claim grows.")
    pressure: Pressure = Field(default_factory=Pressure, description="What happens as the store fills.")
    access: RegistryAccess = Field(default_factory=RegistryAccess, description="How it is reached, and by whom.")
    collection: Collection = Field(default_factory=Collection, description="When garbage is collected.")
    retention: Annotated[list[RetentionRule], Field(max_length=64)] = Field(
        default_factory=list,
        description="Which tags are kept. No rule: every tag is kept, and a collection frees what no tag needs.",
        json_schema_extra=list_type("atomic"),
    )
    migration: Migration = Field(default_factory=Migration, description="How the bytes move to another store.")
    read_only: bool = Field(default=False, description="Refuse pushes.")
