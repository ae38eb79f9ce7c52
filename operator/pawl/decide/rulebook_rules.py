"""Single rules of an override read: where from, where to, and what their policy says; faults become refusals.

Neighbours: `decide.sources` parses places, `decide.rulebook_drafts` makes entries of what is read here.
Not here: conditions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pawl.api.errors import Stalled
from pawl.api.imageoverride import ClusterImageOverride, Override
from pawl.api.imageoverride_spec import PolicyRef, Rule, Target
from pawl.api.imagerules import PolicyMark
from pawl.api.reasons import Reason
from pawl.decide.reference import MAX_NAME, UnparsableReference, parse_repository
from pawl.decide.sources import Source, parse_place, parse_source


class Chosen(Protocol):
    """The part of a policy's selection that rules use."""

    @property
    def epoch(self) -> int: ...  # noqa: D102
    @property
    def sequence(self) -> int: ...  # noqa: D102
    @property
    def tag(self) -> str: ...  # noqa: D102
    @property
    def digest(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Policy:
    """What rules need of an ImagePolicy: its `spec.image`, its selection (None while it has none), and its uid."""

    image: str
    selection: Chosen | None
    uid: str = ""


Policies = Mapping[tuple[str, str], Policy]
"""ImagePolicies by namespace and name."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an override is not in force: a reason of conditions and a sentence that names the way out."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Inactive:
    """A rule that is left out because its policy gives no selection: broader rules hold in its place meanwhile."""

    rule: int
    reason: Reason
    message: str


class Faulty(Exception):
    """A rule cannot be read; carries the refusal of its override."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def override_key(override: Override) -> str:
    """Name an override as tables do: `namespace/name`, or the name alone for a ClusterImageOverride."""
    meta = override.metadata
    return meta.name if isinstance(override, ClusterImageOverride) else f"{meta.namespace}/{meta.name}"


@dataclass(frozen=True, slots=True)
class Ruled:
    """A rule after its policy was asked: where from, where to."""

    index: int
    source: Source
    to: str
    tag: str | None
    digest: str | None
    mark: PolicyMark | None = None


def read_rule(override: Override, index: int, rule: Rule, policies: Policies) -> Ruled | Inactive:
    """Read one rule, its policy asked. Raises Faulty."""
    target = rule.target
    try:
        source = parse_source(rule.source)
        place = parse_place(target.repository, "target.repository") if target.repository is not None else None
    except UnparsableReference as error:
        raise fault(index, Reason.INVALID_SOURCE, str(error)) from None
    tag, digest, mark = target.tag, target.digest, None
    if target.policy_ref is not None:
        found = _selected(override, index, target, policies)
        if isinstance(found, Inactive):
            return found
        image, selection, mark = found
        tag, digest = selection.tag, selection.digest or None
        place = place or image
    elif place is None and tag is None and digest is None:
        raise fault(index, Reason.INVALID_SPEC, "target says nothing; give repository, tag, digest or policyRef")
    return Ruled(index, source, _to(index, source, place), tag, digest, mark)


def _selected(
    override: Override, index: int, target: Target, policies: Policies
) -> tuple[Source, Chosen, PolicyMark] | Inactive:
    """Ask the policy that a target names. Raises Faulty where the target may not name it."""
    reference = target.policy_ref
    if reference is None or target.tag is not None or target.digest is not None:
        said = "target.policyRef brings tag and digest; remove target.tag and target.digest, or policyRef"
        raise fault(index, Reason.INVALID_SPEC, said)
    namespace = _policy_namespace(override, index, reference)
    named = f"ImagePolicy {namespace}/{reference.name}"
    policy = policies.get((namespace, reference.name))
    if policy is None:
        said = f"rule {index} is inactive: {named} is not there; create it or name another in target.policyRef"
        return Inactive(index, Reason.POLICY_NOT_FOUND, said)
    if policy.selection is None:
        said = f"rule {index} is inactive until {named} has a selection; its conditions say why it has none"
        return Inactive(index, Reason.POLICY_WITHOUT_SELECTION, said)
    try:
        image = parse_repository(policy.image)
    except Stalled as error:
        said = f"rule {index} is inactive: {named}: {error.message}"
        return Inactive(index, Reason.POLICY_WITHOUT_SELECTION, said)
    mark = _mark(namespace, reference.name, policy, policy.selection)
    return Source(image.host, image.path), policy.selection, mark


def _mark(namespace: str, name: str, policy: Policy, selection: Chosen) -> PolicyMark:
    return PolicyMark(
        namespace=namespace,
        name=name,
        uid=policy.uid,
        image=policy.image,
        epoch=selection.epoch,
        sequence=selection.sequence,
    )


def _policy_namespace(override: Override, index: int, reference: PolicyRef) -> str:
    if isinstance(override, ClusterImageOverride):
        if reference.namespace is None:
            said = "a ClusterImageOverride has no namespace of its own; give target.policyRef.namespace"
            raise fault(index, Reason.INVALID_SPEC, said)
        return reference.namespace
    own = override.metadata.namespace
    if reference.namespace not in (None, own):
        said = f"policies of namespace {own} only; remove target.policyRef.namespace or use a ClusterImageOverride"
        raise fault(index, Reason.INVALID_SPEC, said)
    return own


def _to(index: int, source: Source, place: Source | None) -> str:
    """Write what takes the place of the source: a bare host keeps the path, no repository keeps all of it."""
    if source.wildcard and place is None:
        said = f"{source.key} stands for many hosts, so the target must name a repository; give target.repository"
        raise fault(index, Reason.INVALID_SPEC, said)
    if place is None:
        return source.key
    to = place.key if place.path or not source.path else f"{place.host}/{source.path}"
    if len(to) > MAX_NAME:
        raise fault(index, Reason.INVALID_SPEC, f"target {to[:80]}... has more than {MAX_NAME} characters")
    return to


def fault(index: int, reason: Reason, said: str) -> Faulty:
    """Make the error for one rule."""
    return Faulty(Refusal(reason, f"rule {index}: {said}"))
