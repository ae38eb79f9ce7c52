"""From one override to drafts of table entries: sources and targets normalised, policies looked up, faults told.

Neighbours: `decide.rulechecks` asks whether drafts may stand beside each other, `decide.rulebook` puts them into
tables. Not here: other overrides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from pawl.api.errors import Stalled
from pawl.api.imageoverride import ClusterImageOverride, Override
from pawl.api.imageoverride_rollout import Templates
from pawl.api.imageoverride_spec import PolicyRef, Requirement, Rule, Target
from pawl.api.imagerules import Entry, PolicyMark, SecretEntry
from pawl.api.reasons import Reason
from pawl.decide.objects import NamespaceRow
from pawl.decide.reference import MAX_NAME, UnparsableReference, parse_repository
from pawl.decide.rulechecks_conditions import Terms, compile_globs, glob_pattern
from pawl.decide.selectors import holds, requirements
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


@dataclass(frozen=True, eq=False)
class Draft:
    """One rule, ready for a table. `rank` orders drafts of one source: the lesser decides."""

    source: str
    entry: Entry
    secret: SecretEntry | None
    terms: Terms
    mandatory: bool
    rank: tuple[int, int, str, str, int]

    @cached_property
    def size(self) -> int:
        """Bytes of the entry as JSON, its share of commas included."""
        return len(self.entry.model_dump_json(by_alias=True, exclude_none=True)) + 1

    @cached_property
    def here(self) -> Terms:
        """The terms inside one namespace where the override holds."""
        return replace(self.terms, where=())

    @property
    def result(self) -> tuple[str, str | None, str | None]:
        """What decides the image that comes out."""
        return (self.entry.to, self.entry.tag, self.entry.digest)


@dataclass(frozen=True, eq=False)
class Author:
    """One override with what became of its rules. `where` is the namespace selector of a ClusterImageOverride."""

    key: str
    kind: str
    namespace: str
    mandatory: bool
    created: str
    where: tuple[Requirement, ...]
    drafts: tuple[Draft, ...] = ()
    inactive: tuple[Inactive, ...] = ()
    refusal: Refusal | None = None

    @property
    def everywhere(self) -> bool:
        """Whether it holds in every namespace, also in new ones."""
        return not self.namespace and not self.where

    @property
    def standing(self) -> tuple[bool, bool, str, str]:
        """Who stays if two do not agree: cluster before namespaced, mandatory before others, then the older.

        One namespace's override never puts one out of force that holds elsewhere too.
        """
        return (bool(self.namespace), not self.mandatory, self.created, self.key)

    def refused(self, refusal: Refusal) -> Author:
        """Return the same without rules."""
        return replace(self, drafts=(), inactive=(), refusal=refusal)

    def covers(self, row: NamespaceRow) -> bool:
        """Tell whether it holds in a namespace."""
        if self.namespace:
            return row.name == self.namespace
        labels = dict(row.labels)
        return all(holds(requirement, labels) for requirement in self.where)


class _Faulty(Exception):
    """A rule cannot be read; carries the refusal of its override."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def override_key(override: Override) -> str:
    """Name an override as tables do: `namespace/name`, or the name alone for a ClusterImageOverride."""
    meta = override.metadata
    return meta.name if isinstance(override, ClusterImageOverride) else f"{meta.namespace}/{meta.name}"


def author_of(override: Override, policies: Policies) -> Author:
    """Draft all rules of an override; a rule that cannot be read refuses the override as a whole."""
    author, spec = _author(override), override.spec
    drafts: list[Draft] = []
    inactive: list[Inactive] = []
    try:
        broad = Terms.of(spec.workloads.kinds, requirements(spec.workloads.selector), author.where)
        terms = [_terms(broad, index, rule) for index, rule in enumerate(spec.rules)]
        for index, rule in enumerate(spec.rules):
            made = _rule(override, index, rule, policies)
            if isinstance(made, Inactive):
                inactive.append(made)
            else:
                drafts.append(_draft(override, author, made, terms[index]))
    except _Faulty as fault:
        return author.refused(fault.refusal)
    return replace(author, drafts=tuple(drafts), inactive=tuple(inactive))


def _author(override: Override) -> Author:
    meta, mandatory = override.metadata, False
    where: tuple[Requirement, ...] = ()
    if isinstance(override, ClusterImageOverride):
        where = requirements(override.spec.namespaces.selector) if override.spec.namespaces else ()
        mandatory = override.spec.mandatory
    namespace = "" if isinstance(override, ClusterImageOverride) else meta.namespace
    return Author(override_key(override), override.kind, namespace, mandatory, meta.creation_timestamp, where)


@dataclass(frozen=True, slots=True)
class _Ruled:
    """A rule after its policy was asked: where from, where to."""

    index: int
    source: Source
    to: str
    tag: str | None
    digest: str | None
    mark: PolicyMark | None = None


def _rule(override: Override, index: int, rule: Rule, policies: Policies) -> _Ruled | Inactive:
    target = rule.target
    try:
        source = parse_source(rule.source)
        place = parse_place(target.repository, "target.repository") if target.repository is not None else None
    except UnparsableReference as error:
        raise _fault(index, Reason.INVALID_SOURCE, str(error)) from None
    tag, digest, mark = target.tag, target.digest, None
    if target.policy_ref is not None:
        found = _selected(override, index, target, policies)
        if isinstance(found, Inactive):
            return found
        image, selection, mark = found
        tag, digest = selection.tag, selection.digest or None
        place = place or image
    elif place is None and tag is None and digest is None:
        raise _fault(index, Reason.INVALID_SPEC, "target says nothing; give repository, tag, digest or policyRef")
    return _Ruled(index, source, _to(index, source, place), tag, digest, mark)


def _selected(
    override: Override, index: int, target: Target, policies: Policies
) -> tuple[Source, Chosen, PolicyMark] | Inactive:
    """Ask the policy that a target names. Raises _Faulty where the target may not name it."""
    reference = target.policy_ref
    if reference is None or target.tag is not None or target.digest is not None:
        said = "target.policyRef brings tag and digest; remove target.tag and target.digest, or policyRef"
        raise _fault(index, Reason.INVALID_SPEC, said)
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
    selection = policy.selection
    mark = PolicyMark(
        namespace=namespace,
        name=reference.name,
        uid=policy.uid,
        image=policy.image,
        epoch=selection.epoch,
        sequence=selection.sequence,
    )
    return Source(image.host, image.path), selection, mark


def _policy_namespace(override: Override, index: int, reference: PolicyRef) -> str:
    if isinstance(override, ClusterImageOverride):
        if reference.namespace is None:
            said = "a ClusterImageOverride has no namespace of its own; give target.policyRef.namespace"
            raise _fault(index, Reason.INVALID_SPEC, said)
        return reference.namespace
    own = override.metadata.namespace
    if reference.namespace not in (None, own):
        said = f"policies of namespace {own} only; remove target.policyRef.namespace or use a ClusterImageOverride"
        raise _fault(index, Reason.INVALID_SPEC, said)
    return own


def _to(index: int, source: Source, place: Source | None) -> str:
    """Write what takes the place of the source: a bare host keeps the path, no repository keeps all of it."""
    if source.wildcard and place is None:
        said = f"{source.key} stands for many hosts, so the target must name a repository; give target.repository"
        raise _fault(index, Reason.INVALID_SPEC, said)
    if place is None:
        return source.key
    to = place.key if place.path or not source.path else f"{place.host}/{source.path}"
    if len(to) > MAX_NAME:
        raise _fault(index, Reason.INVALID_SPEC, f"target {to[:80]}... has more than {MAX_NAME} characters")
    return to


def _terms(broad: Terms, index: int, rule: Rule) -> Terms:
    globs = None if "*" in rule.containers else tuple(sorted(set(rule.containers)))
    try:
        compile_globs(globs)
    except Stalled as error:
        raise _fault(index, Reason.INVALID_PATTERN, error.message) from None
    return replace(broad, globs=globs)


def _draft(override: Override, author: Author, ruled: _Ruled, terms: Terms) -> Draft:
    spec, enforcement = override.spec, override.spec.enforcement
    conditions: dict[str, object] = {
        "containers": glob_pattern(terms.globs) if terms.globs else None,
        "kinds": sorted(set(spec.workloads.kinds)) or None,
        "labels": list(terms.labels) or None,
    }
    entry = Entry.model_validate(
        {
            **conditions,
            "to": ruled.to,
            "tag": ruled.tag,
            "digest": ruled.digest,
            "policy": ruled.mark,
            "pods": enforcement.pods,
            "templates": enforcement.templates is not Templates.OFF,
            "override": author.key,
            "rule": ruled.index,
        }
    )
    names: Sequence[str] = [secret.name for secret in spec.pull_secrets]
    secret = SecretEntry.model_validate({**conditions, "names": names}) if names else None
    rank = (-spec.priority, 0 if author.namespace else 1, author.created, author.key, ruled.index)
    return Draft(ruled.source.key, entry, secret, terms, author.mandatory, rank)


def _fault(index: int, reason: Reason, said: str) -> _Faulty:
    return _Faulty(Refusal(reason, f"rule {index}: {said}"))
