"""What a user writes into an ImagePolicy.

Neighbours: `api.imagepolicy_status` is Pawl's half, `api.imagepolicy` joins the two and is what others import;
`api.imagepolicy_rules` holds what the fields must be together. Not here: how tags are compared (`decide`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from pawl.api.meta import Digest, Duration, LocalRef, Model, Name, Tag, list_type

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=512)]
"""A regular expression in RE2 syntax, searched in the tag (anchor it with ^ and $)."""

Range = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[0-9A-Za-z.*+<>=!~^|,\s-]+$")]
"""A semver constraint in the language of Masterminds/semver; here only its characters are checked."""

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
        json_schema_extra=list_type("set"),
    )


class Tags(Model):
    """Which tags are looked at, and which part of them is compared."""

    include: Pattern | None = Field(None, description="RE2 pattern that a tag must match. Named groups feed extract.")
    extract: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[!-}]+$")] | None = Field(
        None,
        description="Template over the groups of include: $1, ${name}, $name, literals between. Its value is compared.",
    )
    exclude: Annotated[list[Pattern], Field(max_length=25)] = Field(
        default_factory=list,
        description="RE2 patterns; a tag that matches one of them is left out.",
        json_schema_extra=list_type("set"),
    )


class SemverSelect(Model):
    """The greatest version in a range wins."""

    range: Range = Field(
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

    tag: Tag = Field(description="The tag.")
    digest: Digest = Field(description="The digest of its manifest or index.")


class TagRef(Model):
    """A tag, with its digest where it matters."""

    tag: Tag = Field(description="The tag of the selection.")
    digest: Digest | None = Field(None, description="If given, it must be the digest of the selection.")


class Floor(Model):
    """The least tag that may ever be selected, compared in the policy's own ordering."""

    tag: Tag = Field(description="The least tag. It need not exist in the registry, but it must be comparable.")


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
    interval: Duration = Field(
        "5m", description="Time between two scans, between 10s and 8760h; jittered by ten per cent."
    )
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
    ] = Field(
        default_factory=list,
        description="A candidate must offer all of these, such as linux/amd64.",
        json_schema_extra=list_type("set"),
    )
    gates: Gates = Field(default_factory=Gates, description="What a candidate must pass.")
    approved: Annotated[list[TagDigest], Field(max_length=20)] = Field(
        default_factory=list,
        description="Candidates a person agreed to, bound to their digest.",
        json_schema_extra=list_type("map", "tag", "digest"),
    )
    floor: Floor | None = Field(None, description="Never below this tag, also on first sight.")
    blocked: Annotated[list[Tag], Field(max_length=100)] = Field(
        default_factory=list,
        description="Tags that are never chosen. A blocked selection stays until a greater one comes.",
        json_schema_extra=list_type("set"),
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
