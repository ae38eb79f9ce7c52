"""From one override to drafts of table entries.

Neighbours: `decide.rulebook_rules` reads its rules, `decide.rulechecks` asks whether drafts may stand beside each
other, `decide.rulebook` puts them into tables. Not here: other overrides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from pawl.api.errors import Stalled
from pawl.api.imageoverride import ClusterImageOverride, Override
from pawl.api.imageoverride_rollout import Templates
from pawl.api.imageoverride_spec import Requirement, Rule
from pawl.api.imagerules import Entry, SecretEntry
from pawl.api.reasons import Reason
from pawl.decide.objects import NamespaceRow
from pawl.decide.rulebook_rules import Faulty, Inactive, Policies, Refusal, Ruled, fault, override_key, read_rule
from pawl.decide.rulechecks_conditions import Terms, compile_globs, glob_pattern
from pawl.decide.selectors import holds, requirements

_AROUND: Final = 64
"""Bytes of JSON around three keys and their lists, and a prefix that a key may have besides its text."""


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
    def most(self) -> int:
        """Bytes that a table may have less without it: its keys and its Secrets counted as if nobody shared them."""
        secret = "" if self.secret is None else self.secret.model_dump_json(by_alias=True, exclude_none=True)
        return self.size + len(self.source) + 2 * (len(secret) + len(self.entry.to)) + _AROUND

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


def author_of(override: Override, policies: Policies) -> Author:
    """Draft all rules of an override; a rule that cannot be read refuses the override as a whole."""
    author, spec = _author(override), override.spec
    drafts: list[Draft] = []
    inactive: list[Inactive] = []
    try:
        broad = Terms.of(spec.workloads.kinds, requirements(spec.workloads.selector), author.where)
        terms = [_terms(broad, index, rule) for index, rule in enumerate(spec.rules)]
        for index, rule in enumerate(spec.rules):
            made = read_rule(override, index, rule, policies)
            if isinstance(made, Inactive):
                inactive.append(made)
            else:
                drafts.append(_draft(override, author, made, terms[index]))
    except Faulty as fault:
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


def _terms(broad: Terms, index: int, rule: Rule) -> Terms:
    globs = None if "*" in rule.containers else tuple(sorted(set(rule.containers)))
    try:
        compile_globs(globs)
    except Stalled as error:
        raise fault(index, Reason.INVALID_PATTERN, error.message) from None
    return replace(broad, globs=globs)


def _draft(override: Override, author: Author, ruled: Ruled, terms: Terms) -> Draft:
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
