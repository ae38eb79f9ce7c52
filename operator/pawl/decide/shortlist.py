"""From a registry's tag list to the few best candidates, and for every other tag the reason why not.

One pass: tags go through the filter in blocks, their values become keys, and only the best keys are kept. Tags are
taken as a set: neither order nor repetition changes the answer.
Neighbours: `decide.tags` filters, `decide.ordering` compares, `decide.policy` moves the selection.
Not here: digests, gates, and what is selected now (but for `above`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from types import MappingProxyType
from typing import Final

from pawl.api.errors import Stalled
from pawl.api.imagepolicy import ImagePolicySpec
from pawl.api.reasons import Reason
from pawl.decide.ordering import MAX_KEY, Ordering, compile_ordering, sort_key, value_part
from pawl.decide.semver import RELEASE
from pawl.decide.tags import Rejected, TagFilter, Why, compile_tags

LIMIT: Final = 10
_BLOCK: Final = 2048
_LEAST = ""


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
    floor: str | None
    """Sort key of `spec.floor.tag`."""

    def key(self, tag: str) -> str | Rejection:
        """Return the sort key of a tag, or why it has none.

        Range, floor and `blocked` do not count: floors, live images and rollback targets are compared with this.
        """
        value = self.filter.value(tag)
        if isinstance(value, Rejected):
            return Rejection(tag, value.reason)
        part = self.ordering.value(value)
        why = self._not_comparable(tag, value, part)
        return sort_key(part, tag) if part is not None and why is None else Rejection(tag, why or self.ordering.why_not)

    def judge(self, tag: str, blocked_extra: frozenset[str] = frozenset()) -> Candidate | Rejection:
        """Tell whether a tag may be selected. `blocked_extra` are tags blocked besides those of the spec."""
        key = self.key(tag)
        if isinstance(key, Rejection):
            return key
        why = self.refusal(tag, value_part(key), self.blocked | blocked_extra)
        return Candidate(tag, key) if why is None else Rejection(tag, why)

    def refusal(self, tag: str, part: str, blocked: frozenset[str]) -> Why | None:
        """Tell why a comparable tag may not be selected, or None. What a rollback may not pass either comes first."""
        if tag in blocked:
            return Why.BLOCKED
        if self.floor is not None and part < value_part(self.floor):
            return Why.BELOW_FLOOR
        if self.ordering.range is None or self.ordering.range.admits(part):
            return None
        asked = part.endswith(RELEASE) or not self.ordering.range.holds(part)
        return Why.OUT_OF_RANGE if asked else Why.PRERELEASE

    def _not_comparable(self, tag: str, value: str, part: str | None) -> Why | None:
        if not value:
            return Why.EMPTY_VALUE
        if len(value) > MAX_KEY or (part is not None and len(part) + 1 + len(tag) > MAX_KEY):
            return Why.VALUE_TOO_LONG
        return self.ordering.why_not if part is None else None

    def comparable(self, tags: Sequence[str], rejected: Counter[str]) -> Iterator[tuple[str, str]]:
        """Yield tags with their value parts, as `key` does one by one, and count the others by reason."""
        encode = self.ordering.encoder()
        for start in range(0, len(tags), _BLOCK):
            for tag, value in self.filter.sift(tags[start : start + _BLOCK], rejected):
                part = encode(value) if 0 < len(value) <= MAX_KEY else None
                if part is not None and len(part) + 1 + len(tag) <= MAX_KEY:
                    yield tag, part
                else:
                    rejected[self._not_comparable(tag, value, part) or self.ordering.why_not] += 1


def compile_rules(spec: ImagePolicySpec) -> Rules:
    """Compile a spec.

    Raises Stalled with InvalidImage, InvalidRange, InvalidPattern, InvalidExtract, InvalidSpec, or InvalidFloor if the
    floor's tag is no value of the ordering after include and extract (the range is not applied to it).
    """
    ordering = compile_ordering(spec)
    tags = spec.tags if ordering.follows is None else spec.tags.model_copy(update={"extract": None})
    rules = Rules(ordering, compile_tags(tags), frozenset(spec.blocked), None)
    if spec.floor is None:
        return rules
    key = rules.key(spec.floor.tag)
    if isinstance(key, Rejection):
        message = (
            f"floor {key.tag!r} cannot be compared: {key.reason}; name a tag that include, exclude and select accept"
        )
        raise Stalled(Reason.INVALID_FLOOR, message)
    return Rules(ordering, rules.filter, rules.blocked, key)


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
    rejected: Counter[str] = Counter()
    admitted = _admitted(rules, distinct, rules.blocked | blocked, rejected)
    best = _greatest(admitted, limit, value_part(above) if above is not None else None)
    candidates = tuple(Candidate(tag, sort_key(part, tag)) for part, tag in best)
    return Shortlist(candidates, len(distinct), MappingProxyType(dict(rejected)))


def rejections(rules: Rules, tags: Iterable[str], blocked: frozenset[str] = frozenset()) -> tuple[Rejection, ...]:
    """List every rejected tag with its reason, in the order of the list, each tag once."""
    judged = (rules.judge(tag, blocked) for tag in dict.fromkeys(tags))
    return tuple(each for each in judged if isinstance(each, Rejection))


def revision(tags: Iterable[str]) -> str:
    """Hash a tag list as a set: sha256 in hex of the sorted distinct tags, joined with newlines."""
    return hashlib.sha256("\n".join(sorted(set(tags))).encode(errors="surrogatepass")).hexdigest()


def _admitted(
    rules: Rules, tags: Sequence[str], blocked: frozenset[str], rejected: Counter[str]
) -> Iterator[tuple[str, str]]:
    for tag, part in rules.comparable(tags, rejected):
        why = rules.refusal(tag, part, blocked)
        if why is None:
            yield tag, part
        else:
            rejected[why] += 1


def _greatest(admitted: Iterator[tuple[str, str]], limit: int, above: str | None) -> list[tuple[str, str]]:
    """Return the greatest value parts, each with its greatest tag. Keeps a small multiple of `limit` in memory."""
    best: dict[str, str] = {}
    least = _LEAST
    for tag, part in admitted:
        if part < least or (above is not None and part <= above):
            continue
        if tag > best.get(part, _LEAST):
            best[part] = tag
            if len(best) > 8 * limit + 64:
                best = {each: best[each] for each in nlargest(limit, best)}
                least = min(best, default=_LEAST)
    return [(part, best[part]) for part in nlargest(limit, best)]
