"""ImagePolicy: which version of an image is chosen, as a selection that only an explicit act can take back.

Neighbours: `decide.policy` judges it; `api.rules` holds the CEL rules that the API server enforces.
Not here: how tags are compared (`decide.ordering`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from pawl.api.meta import Condition, Digest, Duration, LocalRef, Model, Name, StatusModel, Tag, Time

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=512)]
"""A regular expression in RE2 syntax, searched in the tag (anchor it with ^ and $)."""

SortKey = Annotated[str, StringConstraints(max_length=512)]
"""Value part, one blank, raw tag. Bytes compare as versions compare."""

TagAtDigest = Annotated[str, StringConstraints(max_length=256)]
"""tag@digest, or the tag alone where the digest is not known."""

Fingerprint = Annotated[str, StringConstraints(max_length=64, pattern=r"^[0-9a-f]{32}$")]
"""Hash of image, strategy, order, extract and prerelease rule: keys compare only under equal fingerprints."""


class Access(Model):
    """How the registry is reached. Secrets are read in this namespace when they are used, and never watched."""

    pull_secret_ref: LocalRef | None = Field(
        None, description="Secret of type kubernetes.io/dockerconfigjson with credentials for the registry."
    )
    service_account_name: Name | None = Field(
        None, description="ServiceAccount whose imagePullSecrets are used when no pullSecretRef fits the registry."
    )
    ca_secret_ref: LocalRef | None = Field(
        None, description="Secret with a CA certificate under ca.crt; it extends the system's authorities."
    )
    plain_http: bool = Field(
        default=False,
        alias="plainHTTP",
        description="Speak HTTP without TLS. Honoured for loopback and for hosts allowed by --plain-http-hosts only.",
    )
    token_realms: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9.:\[\]-]+$")]],
        Field(max_length=8),
    ] = Field(
        default_factory=list,
        description="Hosts (host or host:port) besides the registry's own that may see its credentials for a token.",
    )


class Tags(Model):
    """Which tags are looked at, and which part of them is compared."""

    include: Pattern | None = Field(None, description="RE2 pattern that a tag must match. Named groups feed extract.")
    extract: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[!-}]+$")] | None = Field(
        None,
        description="Template over the groups of include: $1, ${name}, $name, literals between. Its value is compared.",
    )
    exclude: Annotated[list[Pattern], Field(max_length=25)] = Field(
        default_factory=list, description="RE2 patterns; a tag that matches one of them is left out."
    )


class SemverSelect(Model):
    """The greatest version in a range wins."""

    range: Annotated[str, StringConstraints(min_length=1, max_length=512)] = Field(
        description="Constraint such as '>=1.2.0 <2.0.0', '^1.4', '1.x', '1.2 - 1.9', joined by || for alternatives. "
        "Prereleases are candidates only where an alternative names one ('>=1.2.0-0')."
    )


class Order(StrEnum):
    """Which end wins: Ascending the greatest, Descending the least."""

    ASCENDING = "Ascending"
    DESCENDING = "Descending"


class AlphabeticalSelect(Model):
    """Values compare by their bytes."""

    order: Order = Field(Order.ASCENDING, description="Ascending: the greatest value wins. Descending: the least.")


class NumericalSelect(Model):
    """Values compare as exact decimal numbers of any length."""

    order: Order = Field(Order.ASCENDING, description="Ascending: the greatest number wins. Descending: the least.")


class DigestSelect(Model):
    """One tag is followed; what moves is its digest."""

    tag: Tag = Field(description="The tag to follow, such as latest. Needs tagMutability: Follow to move.")


class Select(Model):
    """The strategy: exactly one of the four."""

    semver: SemverSelect | None = Field(None, description="Semantic versions within a range.")
    alphabetical: AlphabeticalSelect | None = Field(None, description="Byte order.")
    numerical: NumericalSelect | None = Field(None, description="Exact decimal numbers.")
    digest: DigestSelect | None = Field(None, description="One mutable tag, followed by digest.")


class TagMutability(StrEnum):
    """What a new digest under the selected tag means."""

    IMMUTABLE = "Immutable"
    FOLLOW = "Follow"


class Approval(StrEnum):
    """Whether a person must agree to a candidate."""

    NONE = "None"
    REQUIRED = "Required"


class Gates(Model):
    """What a candidate must pass before it is selected. While one waits, the selection stays."""

    minimum_age: Duration | None = Field(
        None, description="Time since Pawl first saw this tag with this digest. The image's own labels are not trusted."
    )
    approval: Approval = Field(Approval.NONE, description="Required: the candidate must stand in spec.approved.")


class TagDigest(Model):
    """A tag with the digest it is meant to have."""

    tag: Tag
    digest: Digest


class TagRef(Model):
    """A tag, with its digest where it matters."""

    tag: Tag
    digest: Digest | None = Field(None, description="If given, it must be the digest of the selection.")


class Floor(Model):
    """The least tag that may ever be selected, compared in the policy's own ordering."""

    tag: Tag


class Bootstrap(StrEnum):
    """Where a policy without any memory starts."""

    NEWEST = "Newest"
    LIVE = "Live"
    HOLD = "Hold"


class RollbackHold(StrEnum):
    """What happens after a rollback."""

    UNTIL_NEWER = "UntilNewer"
    PINNED = "Pinned"


class Rollback(Model):
    """One step back, as compare-and-set: it applies once, and only to the selection that it names."""

    nonce: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")] = Field(
        description="A word never used for this policy before. Used ones are kept in the ledger."
    )
    from_: TagRef = Field(
        alias="from", description="The selection that is taken back; if another one is current, nothing happens."
    )
    to: TagDigest = Field(description="The image to go back to; its digest must exist in the registry.")
    reason: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(description="Why; kept in history.")
    requested_by: Annotated[str, StringConstraints(max_length=128)] | None = Field(
        None, description="Who asked, as they say themselves; kept in history."
    )
    hold: RollbackHold = Field(
        RollbackHold.UNTIL_NEWER,
        description="UntilNewer: resume only above `from`. Pinned: stay until the rollback is removed from the spec.",
    )


class ImagePolicySpec(Model):
    """What the user wants."""

    image: Annotated[str, StringConstraints(min_length=1, max_length=255)] = Field(
        description="Repository without scheme, tag or digest, such as registry.example.com/shop/web."
    )
    interval: Duration = Field("5m", description="Time between two scans, at least 10s; jittered by ten per cent.")
    timeout: Duration = Field("30s", description="Limit of one registry request in all, between 1s and 10m.")
    suspend: bool = Field(default=False, description="Pause: the selection is kept and served, nothing is scanned.")
    access: Access = Field(default_factory=Access, description="Credentials, CA and transport.")
    tags: Tags = Field(default_factory=Tags, description="Which tags count, and what of them is compared.")
    select: Select = Field(description="The strategy: exactly one of semver, alphabetical, numerical, digest.")
    tag_mutability: TagMutability = Field(
        TagMutability.IMMUTABLE,
        description="Immutable: a new digest under the selected tag is reported, not followed. Follow: it is taken if "
        "this tag never had it.",
    )
    platforms: Annotated[
        list[Annotated[str, StringConstraints(max_length=64, pattern=r"^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?$")]],
        Field(max_length=16),
    ] = Field(default_factory=list, description="A candidate must offer all of these, such as linux/amd64.")
    gates: Gates = Field(default_factory=Gates, description="What a candidate must pass.")
    approved: Annotated[list[TagDigest], Field(max_length=20)] = Field(
        default_factory=list, description="Candidates a person agreed to, bound to their digest."
    )
    floor: Floor | None = Field(None, description="Never below this tag, also on first sight.")
    blocked: Annotated[list[Tag], Field(max_length=100)] = Field(
        default_factory=list,
        description="Tags that are never chosen. A blocked selection stays until a greater one comes.",
    )
    bootstrap: Bootstrap = Field(
        Bootstrap.NEWEST,
        description="Where a policy without memory starts. Newest: the greatest candidate. Live: what Pods of the "
        "namespace run. Hold: nothing until a candidate stands in spec.approved.",
    )
    rollback: Rollback | None = Field(None, description="Take the selection back, once.")
    accept_ordering: Fingerprint | None = Field(
        None, description="The fingerprint from status.ordering: agrees to start anew under a changed ordering."
    )


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

    epoch: Annotated[int, Field(ge=1)]
    sequence: Annotated[int, Field(ge=1)]
    tag: Tag
    digest: Annotated[str, StringConstraints(max_length=71, pattern=r"^(sha256:[0-9a-f]{64})?$")] = Field(
        description="Digest of the manifest or index, hashed by Pawl. Empty only where no registry was asked."
    )
    reference: Annotated[str, StringConstraints(max_length=512)] = Field(
        description="image:tag@digest, ready for a Pod."
    )
    sort_key: SortKey
    ordering: Fingerprint
    selected_at: Time
    cause: Cause


class Pending(StatusModel):
    """The candidate that waits for its gates."""

    tag: Tag
    digest: Digest
    first_seen: Time
    waiting_for: Annotated[list[Annotated[str, StringConstraints(max_length=64)]], Field(max_length=8)]


class HistoryEntry(StatusModel):
    """One decision that changed the selection."""

    time: Time
    cause: Cause
    epoch: Annotated[int, Field(ge=1)]
    sequence: Annotated[int, Field(ge=1)]
    from_: TagAtDigest | None = Field(None, alias="from", description="tag@digest")
    to: TagAtDigest = Field(description="tag@digest")
    reason: Annotated[str, StringConstraints(max_length=256)] = ""
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

    nonce: Annotated[str, StringConstraints(max_length=64)]
    from_: TagAtDigest = Field(alias="from", description="tag@digest taken back.")
    above: SortKey = Field(description="Resume only with a greater value part than this key's.")
    hold: RollbackHold


class ImagePolicyStatus(StatusModel):
    """What Pawl found and chose."""

    observed_generation: int = -1
    conditions: Annotated[list[Condition], Field(max_length=32)] = Field(default_factory=list)
    last_handled_reconcile_at: Annotated[str, StringConstraints(max_length=256)] | None = None
    ordering: Fingerprint | None = Field(None, description="Fingerprint of the ordering that the spec asks for now.")
    selection: Selection | None = None
    pending: Pending | None = None
    blocked: Annotated[list[Tag], Field(max_length=100)] = Field(
        default_factory=list, description="Tags blocked by accepted rollbacks, besides spec.blocked."
    )
    rollback: RollbackStatus | None = None
    history: Annotated[list[HistoryEntry], Field(max_length=20)] = Field(default_factory=list)
    scan: Scan | None = None


class ObjectMeta(Model):
    """The part of an object's metadata that Pawl reads."""

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    annotations: dict[str, str] = Field(default_factory=dict)
    deletion_timestamp: str | None = None

    model_config = ConfigDict(extra="ignore")


class ImagePolicy(Model):
    """The resource as a whole, as read from a file or a cluster."""

    api_version: Literal["pawl.dev/v1alpha1"] = "pawl.dev/v1alpha1"
    kind: Literal["ImagePolicy"] = "ImagePolicy"
    metadata: ObjectMeta
    spec: ImagePolicySpec
    status: ImagePolicyStatus = Field(default_factory=ImagePolicyStatus)
