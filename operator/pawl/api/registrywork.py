"""What the Jobs of a RegistryStorage are told, and what they say: the wire between the operator and its workers.

An order is one JSON file in a ConfigMap that a Pod mounts; it holds no secret, credentials are files beside it. A
report is one JSON object: at `/progress` of the Pod while it works, and its termination message at the end.
Neighbours: `jobs` carries orders out, `controllers` writes and reads them. Not here: what to order (`decide`).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from pawl.api.meta import StatusModel
from pawl.api.registrystorage_spec import Collection, RetentionRule, Verify

ORDER_FILE = "order.json"
ORDER_DIRECTORY = "/pawl/order"
REPORT_BYTES = 4096
"""What a kubelet keeps of a termination message."""
WORK_PORT = 8099
TOKEN_VARIABLE = "PAWL_WORK_TOKEN"
"""Bearer token that `/progress`, `/usage` and `/plan` ask for; empty: they ask for none."""


class Task(StrEnum):
    """What a worker does. One Pod, one task."""

    METER = "meter"
    BULK = "bulk"
    FINAL = "final"
    PREPARE = "prepare"
    """First half of a collection: judge, check the caps, take tags and revisions away."""
    ACCOUNT = "account"
    """Second half, after the server's own collector: verify what is kept, say what was freed."""
    VERIFY = "verify"
    PROBE = "probe"
    SMOKE = "smoke"
    """Ask a read-only server that was just switched for all tags and some bytes, and compare with its store."""
    DELETE = "delete"
    TRUST = "trust"


class Place(StatusModel):
    """A store as a worker reaches it."""

    kind: Literal["Filesystem", "S3"]
    path: str = ""
    """Directory that holds `docker/registry/v2`, of a Filesystem."""
    endpoint: str = ""
    bucket: str = ""
    region: str = "us-east-1"
    root_directory: str = ""
    path_style: bool = True
    credentials: str = ""
    """Directory with the files accessKey and secretKey; read again whenever they are refused. Empty: from the Pod."""
    ca_file: str = ""


class Use(StatusModel):
    """One image that must stay, and why: `Pod shop/web-0`. `digest` may be empty where only a tag is known."""

    repository: str
    tag: str = ""
    digest: str = ""
    by: str


class Endpoint(StatusModel):
    """A server as a client reaches it."""

    url: str
    """https://host:port"""
    address: str = ""
    """host:port to dial instead, with the name in `url` for TLS."""
    ca_file: str = ""
    credentials: str = ""
    """Directory with the files username and password; empty: none are sent."""


class Order(StatusModel):
    """What one worker does. Fields that its task does not need are left out."""

    task: Task
    id: str
    source: Place | None = None
    target: Place | None = None
    parallel: int = 4
    verify: Verify = Verify.DEEP
    retention: list[RetentionRule] = Field(default_factory=list)
    collection: Collection = Field(default_factory=Collection)
    uses: list[Use] = Field(default_factory=list)
    now: datetime | None = None
    """The operator's clock, for ages."""
    endpoint: Endpoint | None = None
    canary: str = ""
    """Repository for the probe's image."""
    host: str = ""
    """host[:port] whose hosts.toml a trust worker writes."""
    also: list[str] = Field(default_factory=list)
    """Other host[:port] by which images are named: their hosts.toml leads to the same server."""
    upload_age: int = 86400
    """Seconds after which an upload that nobody goes on with is stale."""


def _bounded(value: int) -> int:
    return min(max(value, 0), MOST)


MOST = (1 << 63) - 1
Figure = Annotated[int, AfterValidator(_bounded)]
"""An amount that a worker tells. One out of bounds is cut: a status that the API server refuses would end no freeze."""


class Step(StatusModel):
    """One proof of a probe: DNS, TCP, TLS, API, Auth, Push, Pull."""

    name: str
    ok: bool
    message: str = ""


class Progress(StatusModel):
    """How far a worker is. `eta_seconds` is None where that cannot be said."""

    objects: Figure = 0
    objects_done: Figure = 0
    bytes: Figure = 0
    bytes_done: Figure = 0
    bytes_per_second: Figure = 0
    eta_seconds: Figure | None = None
    rounds: Figure = 0


class TagVerdict(StatusModel):
    """What a plan says of one tag."""

    repository: str
    tag: str
    digest: str = ""
    keep: bool
    reason: str
    """Stays: KeepTags, KeepLast, KeepYounger, InUse, MinimumAge, NoRule. Goes: Expired, or SharedDigest where something
    else needs what it stands for. Referrer, either way: it follows the image that it is about."""
    by: str = ""
    """What uses it, or which rule."""


class Plan(StatusModel):
    """What a collection would do."""

    tags: Figure = 0
    delete_tags: Figure = 0
    total_bytes: Figure = 0
    delete_bytes: Figure = 0
    delete_manifests: Figure = 0
    reasons: dict[Annotated[str, StringConstraints(max_length=64)], Figure] = Field(default_factory=dict)
    refused: str = ""
    """Why it may not be carried out: a cap, or a store that cannot be read as a whole."""
    unsafe: bool = False
    """Whether it is refused for the store's state, and not by a cap."""
    verdicts: list[TagVerdict] = Field(default_factory=list)


class Report(StatusModel):
    """What a worker says. `done` with `ok` False: it is over, and `reason` and `message` say why."""

    task: Task
    id: str = ""
    done: bool = False
    ok: bool = False
    reason: Annotated[str, StringConstraints(max_length=64, pattern=r"^([A-Z][A-Za-z0-9]*)?$")] = ""
    message: str = ""
    phase: str = ""
    progress: Progress = Field(default_factory=Progress)
    quarantine: list[str] = Field(default_factory=list)
    plan: Plan | None = None
    freed_bytes: Figure = 0
    steps: list[Step] = Field(default_factory=list)
    reference: str = ""
    """Image that a probe pushed: host/repository@digest."""


class RepositorySize(StatusModel):
    """One repository."""

    name: str
    bytes: Figure = 0
    tags: Figure = 0


class Meter(StatusModel):
    """What a meter saw. `capacity` and `inodes` are 0 where a store has none."""

    bytes: Figure = 0
    """Of all blobs."""
    used: Figure = 0
    """Of the filesystem, whatever is on it."""
    capacity: Figure = 0
    inodes: Figure = 0
    inodes_used: Figure = 0
    blobs: Figure = 0
    tags: Figure = 0
    uploads: Figure = 0
    upload_bytes: Figure = 0
    repository_count: Figure = 0
    repositories: list[RepositorySize] = Field(default_factory=list)
    """The largest ones, 500 at most."""
    walked_at: datetime | None = None
    """When blobs were counted; `used` and `capacity` are of now."""
