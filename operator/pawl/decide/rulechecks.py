"""Whether rules are a fixed point: what they made of an image they must leave as it is, or no two runs agree.

A rewritten Pod meets the table again (an operator copies its own image into its children, a webhook is called twice).
A few images stand for all that a rule touches: one with unknown segments behind its source, and one for every source
that stands below its target. Every image decided by a pair of rules has such a one that the same pair decides, because
more segments only add candidates that do not hold. In doubt about conditions a pair is refused, never let through.
Neighbours: `decide.rulechecks_conditions` compares conditions, `decide.rulebook` says who is refused.
Not here: conflicts.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pawl.decide.reference import DEFAULT_HOST, MAX_NAME, OFFICIAL, Reference
from pawl.decide.rulebook_drafts import Draft
from pawl.decide.rulechecks_conditions import Terms, follows, may_meet
from pawl.decide.sources import WILDCARD, candidates, official, wildcards
from pawl.decide.tables_compiled import compose

Admits = Callable[[Draft], bool]


@dataclass(frozen=True, slots=True)
class Chain:
    """Three steps that should be two: `first` makes `middle` of `image`, and `second` makes `end` of that."""

    image: str
    first: Draft
    middle: str
    second: Draft
    end: str

    def sentence(self) -> str:
        """Say what happens to one image, and the way out."""
        end = f"{self.end} with another tag or digest" if self.middle == self.end else self.end
        return (
            f"{_named(self.first)} turns {self.image} into {self.middle}, and {_named(self.second)} that into {end}; "
            "rewriting twice must change nothing: let the first name the end itself, "
            f"or add a rule from {self.first.entry.to} onto itself"
        )


class Ground:
    """Drafts that stand beside each other, indexed by source and by target. It only grows."""

    def __init__(self) -> None:
        self._tiers: dict[bool, dict[str, list[Draft]]] = {True: {}, False: {}}
        self._targets: dict[str, list[Draft]] = {}
        self._hosts: dict[str, list[Draft]] = {}
        self._sorted_sources: list[str] = []
        self._sorted_targets: list[str] = []

    def add(self, drafts: Iterable[Draft]) -> None:
        """Add the drafts of one override."""
        for draft in drafts:
            _file(self._tiers[draft.mandatory], self._sorted_sources, draft.source, draft)
            for to in {draft.entry.to, official(draft.entry.to)}:
                _file(self._targets, self._sorted_targets, to, draft)
            self._hosts.setdefault(draft.entry.to.partition("/")[0], []).append(draft)

    def at(self, source: str, mandatory: bool) -> Sequence[Draft]:  # noqa: FBT001
        """Return the drafts of one source and tier."""
        return self._tiers[mandatory].get(source, ())

    def sources_below(self, place: str) -> Iterator[str]:
        """Return the sources strictly below a place."""
        return _below(self._sorted_sources, place)

    def feeding(self, source: str) -> Iterator[Draft]:
        """Return drafts whose results may stand under a source."""
        if source.startswith(WILDCARD):
            for host, drafts in self._hosts.items():
                if source in wildcards(host):
                    yield from drafts
            return
        for to in (*_prefixes(source), *_below(self._sorted_targets, source)):
            yield from self._targets.get(to, ())


@dataclass(frozen=True, slots=True)
class Field:
    """Everything that may hold at once: grounds, and which of their drafts count.

    `word` stands in no rule. In `one` namespace the selectors of namespaces are asked by `admits` and no more.
    """

    grounds: tuple[Ground, ...]
    admits: Admits
    word: str
    one: bool

    def chain_of(self, drafts: Sequence[Draft]) -> Chain | None:
        """Find a chain in which one of these drafts, which stand on the grounds, is the first or the second."""
        tried = ((draft, self._rests(draft)) for draft in drafts)
        fed = ((first, self._rests(first, draft.source)) for draft in drafts for first in self._feeding(draft))
        for pairs in (tried, fed):
            for first, rests in pairs:
                chain = next((chain for rest in rests if (chain := self._probe(first, rest)) is not None), None)
                if chain is not None:
                    return chain
        return None

    def _feeding(self, draft: Draft) -> list[Draft]:
        found = (first for ground in self.grounds for first in ground.feeding(draft.source))
        return [first for first in found if self.admits(first)]

    def _rests(self, draft: Draft, source: str | None = None) -> list[str]:
        """Name what may stand behind the source of a draft, so that every source below its target is met once."""
        to = draft.entry.to
        below = [source] if source is not None else [key for ground in self.grounds for key in ground.sources_below(to)]
        rests = ["", f"/{self.word}", f"/{self.word}/{self.word}"]
        for key in below:
            rests += _behind(to, key, self.word)
        return rests

    def _probe(self, first: Draft, rest: str) -> Chain | None:
        start = f"{self.word}.{first.source.removeprefix(WILDCARD)}" if first.source.startswith("*") else first.source
        image = start + rest
        if "/" not in image or official(image) != image:
            return None
        middle = compose(_split(image), first.source, first.entry.to)
        if len(image) > MAX_NAME or len(middle) > MAX_NAME:
            return None
        return self._second(first, image, middle)

    def _second(self, first: Draft, image: str, middle: str) -> Chain | None:
        before: list[Draft] = []
        for second in self._ladder(_split(middle)):
            end = compose(_split(middle), second.source, second.entry.to)
            moves = end != middle or _resuffixes(first, second)
            if (
                moves
                and may_meet(self._terms(first), self._terms(second))
                and not self._blocked(first, second, image, before)
            ):
                return Chain(image, first, middle, second, end)
            before.append(second)
            if self._follows(second, first, first):
                return None
        return None

    def _blocked(self, first: Draft, second: Draft, image: str, before: Sequence[Draft]) -> bool:
        """Tell whether another draft surely decides the image before the first, or the middle before the second."""
        if any(self._follows(draft, first, second) for draft in before):
            return True
        for draft in self._ladder(_split(image)):
            if draft is first:
                return False
            if self._follows(draft, first, second):
                return True
        return False

    def _follows(self, third: Draft, first: Draft, second: Draft) -> bool:
        return follows(self._terms(third), self._terms(first), self._terms(second))

    def _terms(self, draft: Draft) -> Terms:
        return draft.here if self.one else draft.terms

    def _ladder(self, reference: Reference) -> Iterator[Draft]:
        keys = candidates(reference.host, reference.path)
        for mandatory in (True, False):
            for key in keys:
                found = [draft for ground in self.grounds for draft in ground.at(key, mandatory) if self.admits(draft)]
                yield from sorted(found, key=lambda draft: draft.rank) if len(found) > 1 else found


def unknown_word(drafts: Iterable[Draft]) -> str:
    """Make a path segment that no rule names."""
    named = {part for draft in drafts for text in (draft.source, draft.entry.to) for part in _parts(text)}
    word = "image"
    while word in named:
        word += "x"
    return word


def _parts(text: str) -> list[str]:
    return text.replace(".", "/").split("/")


def _named(draft: Draft) -> str:
    return f"rule {draft.entry.rule} of {draft.entry.override}"


def _split(name: str) -> Reference:
    host, _, path = name.partition("/")
    return Reference(host, path)


def _resuffixes(first: Draft, second: Draft) -> bool:
    """Tell whether the second gives another tag or digest than an image can have after the first."""
    given = (second.entry.tag, second.entry.digest)
    return given != (None, None) and given != (first.entry.tag, first.entry.digest)


def _behind(to: str, source: str, word: str) -> list[str]:
    """Name what must stand behind `to` so that the result is at a source below it, or one segment further."""
    found = []
    for above in (to, f"{to}/{OFFICIAL[:-1]}") if to == DEFAULT_HOST else (to,):
        if source.startswith(f"{above}/"):
            rest = source[len(above) :]
            found += [rest, f"{rest}/{word}"]
    return found


def _prefixes(source: str) -> tuple[str, ...]:
    """Return a place and every place above it, its host included."""
    host, slash, path = source.partition("/")
    return candidates(host, path)[: path.count("/") + 2] if slash else (host,)


def _below(ordered: Sequence[str], place: str) -> Iterator[str]:
    start = f"{place}/"
    for index in range(bisect_left(ordered, start), len(ordered)):
        if not ordered[index].startswith(start):
            return
        yield ordered[index]


def _file(index: dict[str, list[Draft]], ordered: list[str], key: str, draft: Draft) -> None:
    if key not in index:
        index[key] = []
        insort(ordered, key)
    index[key].append(draft)
