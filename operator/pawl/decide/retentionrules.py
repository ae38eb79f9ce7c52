"""Retention rules, ready to be asked: globs and patterns compiled, durations turned into moments.

Neighbours: `decide.retention` asks, `api.registrystorage_spec` is what the user writes. Not here: judgement.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pawl.api.registrystorage_spec import Collection, RetentionRule
from pawl.decide.compact import Digest, pack
from pawl.decide.durations import parse_duration
from pawl.decide.globs import compile_glob
from pawl.decide.patterns import Pattern, compile_pattern

_FOLLOWER: Final = re.compile(r"(sha256|sha512)-([0-9a-f]+)(?:\.[A-Za-z0-9._-]+)?")


@dataclass(frozen=True, slots=True)
class Terms:
    """What one rule says of the repositories that it is for. Times in seconds since the epoch.

    Attributes:
        label: names the rule by its place, as people count: `rule 2`.
        repositories: which it is for.
        tags: patterns of tags that stay.
        keep_last: how many of the last tags stay.
        younger: what was pushed since then stays, None: nothing for that.
        young: what was pushed since then stays, whatever else holds.
        in_use: whether what is in use stays.
        untagged: whether manifests without a tag stay.
        all_tags: no rule speaks of these repositories, and every tag stays.

    """

    label: str
    young: float
    repositories: tuple[Pattern, ...] = ()
    tags: tuple[Pattern, ...] = ()
    keep_last: int = 0
    younger: float | None = None
    in_use: bool = True
    untagged: bool = False
    all_tags: bool = False

    def keeps(self, tag: str) -> bool:
        """Whether a pattern keeps this tag."""
        raw = tag.encode()
        return any(pattern.search(raw) is not None for pattern in self.tags)

    def is_young(self, pushed: float | None) -> bool:
        """Whether this is too young to go. What has no known time is young."""
        return pushed is None or pushed > self.young

    def speaks_of(self, repository: str) -> bool:
        """Whether the rule is for this repository."""
        raw = repository.encode()
        return self.all_tags or any(pattern.is_whole(raw) for pattern in self.repositories)


def compile_terms(rules: Sequence[RetentionRule], collection: Collection, now: datetime) -> tuple[Terms, ...]:
    """Return the terms in the order of the rules, and last those for the repositories that no rule speaks of.

    Where there are rules, such a repository keeps all it has. Where there are none at all, every tag stays, and what
    no tag needs may go: a registry without rules is cleaned, too.
    Raises Stalled(InvalidPattern) and Stalled(InvalidSpec).
    """
    young = now.timestamp() - parse_duration(collection.minimum_age).total_seconds()
    compiled = [_terms(place, rule, young, now) for place, rule in enumerate(rules, 1)]
    return (*compiled, Terms("no rule", young, untagged=bool(rules), all_tags=True))


def terms_for(repository: str, compiled: Sequence[Terms]) -> Terms:
    """Return the first terms that are for a repository."""
    return next(terms for terms in compiled if terms.speaks_of(repository))


def subject_of(tag: str) -> Digest:
    """Return the digest that a referrer tag is about; empty for a tag that is none."""
    found = _FOLLOWER.fullmatch(tag)
    return pack(f"{found[1]}:{found[2]}") if found else b""


def _terms(place: int, rule: RetentionRule, young: float, now: datetime) -> Terms:
    span = parse_duration(rule.keep_younger_than).total_seconds() if rule.keep_younger_than else None
    return Terms(
        label=f"rule {place}",
        young=young,
        repositories=tuple(compile_glob(glob) for glob in rule.repositories),
        tags=tuple(compile_pattern(source, capture=False) for source in rule.keep_tags),
        keep_last=rule.keep_last or 0,
        younger=None if span is None else now.timestamp() - span,
        in_use=rule.keep_in_use,
        untagged=rule.keep_untagged,
    )
