"""From a registry's tag list to the few best candidates, and for every other tag the reason why not.

One pass: tags go through the filter in blocks, their values become keys, and only the best keys are kept. Tags are
taken as a set: neither order nor repetition changes the answer.
Neighbours: `decide.tags` filters, `decide.ordering` compares, `decide.policy` moves the selection.
Not here: digests, gates, and what is selected now (but for `above`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from types import MappingProxyType
from typing import Final

from pawl.api.errors import Stalled
from pawl.api.imagepolicy import ImagePolicySpec
from pawl.api.reasons import Reason
from pawl.decide.ordering import MAX_KEY, Ordering, compile_ordering, sort_key, value_part
from pawl.decide.tags import Rejected, TagFilter, compile_tags
from pawl.decide.why import Why

LIMIT: Final = 10
_BLOCK: Final = 2048
_SLACK: Final = 64
_LEAST: Final = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tag that may be selected, with its sort key."""

    tag: str
    key: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """A tag that may not be selected, with a short and stable reason (`decide.tags.Why`)."""

    tag: str
    reason: str


@dataclass(frozen=True, slots=True)
class Shortlist:
    """The best candidates, greatest key first; how many distinct tags were looked at; rejected tags by reason."""

    candidates: tuple[Candidate, ...]
    considered: int
    rejected: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Rules:
    """A spec compiled: everything that decides about a tag without asking anybody."""

    ordering: Ordering
    filter: TagFilter
    blocked: frozenset[str]
    floor: str | None = None
    """Sort key of `spec.floor.tag`."""
    floor_part: str = _LEAST
    """Its value part; less than every value part where there is no floor."""

    def key(self, tag: str) -> str | Rejection:
        """Return the sort key of a tag, or why it has none.

        Range, floor and `blocked` do not count: floors, live images and rollback targets are compared with this.
        """
        value = self.filter.value(tag)
        if isinstance(value, Rejected):
            return Rejection(tag, value.reason)
        part = self.ordering.value(value)
        why = self.not_comparable(tag, value, part)
        if part is None or why is not None:
            return Rejection(tag, why or self.ordering.why_not)
        return sort_key(part, tag)

    def judge(self, tag: str, blocked_extra: frozenset[str] = frozenset()) -> Candidate | Rejection:
        """Tell whether a tag may be selected. `blocked_extra` are tags blocked besides those of the spec."""
        key = self.key(tag)
        if isinstance(key, Rejection):
            return key
        why = self.refusal(tag, value_part(key), self.blocked | blocked_extra)
        return Candidate(tag, key) if why is None else Rejection(tag, why)

    def refusal(self, tag: str, part: str, blocked: frozenset[str]) -> str | None:
        """Tell why a comparable tag may not be selected, or None. What a rollback may not pass either comes first."""
        if tag in blocked:
            return Why.BLOCKED
        if part < self.floor_part:
            return Why.BELOW_FLOOR
        return None if self.ordering.range is None else self.ordering.range.refusal(part)

    def not_comparable(self, tag: str, value: str, part: str | None) -> str | None:
        """Tell why a tag has no sort key, given its value and that value's part; None if it has one."""
        if not value:
            return Why.EMPTY_VALUE
        if len(value) > MAX_KEY or (part is not None and len(part) + 1 + len(tag) > MAX_KEY):
            return Why.VALUE_TOO_LONG
        return self.ordering.why_not if part is None else None


def compile_rules(spec: ImagePolicySpec) -> Rules:
    """Compile a spec.

    Raises Stalled with InvalidImage, InvalidRange, InvalidPattern, InvalidExtract, InvalidSpec, or InvalidFloor if the
    floor's tag is no value of the ordering after include and extract (the range is not applied to it).
    """
    ordering = compile_ordering(spec)
    tags = spec.tags if ordering.follows is None else spec.tags.model_copy(update={"extract": None})
    rules = Rules(ordering, compile_tags(tags), frozenset(spec.blocked))
    if spec.floor is None:
        return rules
    key = rules.key(spec.floor.tag)
    if isinstance(key, Rejection):
        message = (
            f"floor {key.tag!r} cannot be compared: {key.reason}; name a tag that include, exclude and select accept"
        )
        raise Stalled(Reason.INVALID_FLOOR, message)
    return replace(rules, floor=key, floor_part=value_part(key))


def shortlist(
    rules: Rules,
    tags: Iterable[str],
    *,
    limit: int = LIMIT,
    above: str | None = None,
    blocked: frozenset[str] = frozenset(),
) -> Shortlist:
    """Pick at most `limit` candidates, greatest key first; of tags with one value the greatest raw tag.

    `above` is a sort key: only greater value parts are kept, which is no rejection. `blocked` adds to the spec's.
    """
    distinct = list(dict.fromkeys(tags))
    distinct.reverse()  # registries list the newest last; found first, it makes the others cheap
    rejected: Counter[str] = Counter()
    best = _Best(limit, value_part(above) if above is not None else None)
    _decide(rules, distinct, rules.blocked | blocked, best, rejected)
    return Shortlist(best.candidates(), len(distinct), MappingProxyType(dict(rejected)))


def rejections(rules: Rules, tags: Iterable[str], blocked: frozenset[str] = frozenset()) -> tuple[Rejection, ...]:
    """List every rejected tag with its reason, in the order of the list, each tag once."""
    judged = (rules.judge(tag, blocked) for tag in dict.fromkeys(tags))
    return tuple(each for each in judged if isinstance(each, Rejection))


def revision(tags: Iterable[str]) -> str:
    """Hash a tag list as a set: sha256 in hex of the sorted distinct tags, joined with newlines."""
    return hashlib.sha256("\n".join(sorted(set(tags))).encode(errors="surrogatepass")).hexdigest()


def _decide(rules: Rules, tags: Sequence[str], blocked: frozenset[str], best: _Best, rejected: Counter[str]) -> None:
    """Judge all tags as `Rules.judge` does one by one. This is the loop that a scan's cost hangs on."""
    encode, refusal = rules.ordering.encoder(), rules.refusal
    for start in range(0, len(tags), _BLOCK):
        for tag, value in rules.filter.sift(tags[start : start + _BLOCK], rejected):
            part = encode(value) if len(value) <= MAX_KEY else None
            if part is None or len(part) + len(tag) >= MAX_KEY:
                why = rules.not_comparable(tag, value, part)
            else:
                why = refusal(tag, part, blocked)
            if why is not None:
                rejected[why] += 1
            elif part is not None and part >= best.least:
                best.offer(part, tag)


class _Best:
    """The greatest value parts so far, each with its greatest tag. Holds a small multiple of `limit` at most."""

    __slots__ = ("_above", "_limit", "_tags", "least")

    def __init__(self, limit: int, above: str | None) -> None:
        self._limit, self._above = limit, above
        self._tags: dict[str, str] = {}
        self.least = _LEAST if above is None else above
        """What is less than this is not worth offering."""

    def offer(self, part: str, tag: str) -> None:
        if part == self._above or tag <= self._tags.get(part, _LEAST):
            return
        self._tags[part] = tag
        if len(self._tags) > 2 * self._limit + _SLACK:
            self._tags = {each: self._tags[each] for each in nlargest(self._limit, self._tags)}
            self.least = min(self._tags, default=self.least)

    def candidates(self) -> tuple[Candidate, ...]:
        greatest = nlargest(self._limit, self._tags)
        return tuple(Candidate(self._tags[part], sort_key(part, self._tags[part])) for part in greatest)
