"""Whether rules are a fixed point: what they made of an image they must leave as it is, or no two runs agree.

A rewritten Pod meets the table again (an operator copies its own image into its children, a webhook is called twice).
A few images stand for all that a rule touches: one with unknown segments behind its source, and one for every source
that stands below its target. Every image decided by a pair of rules has such a one that the same pair decides, because
more segments only add candidates that do not hold. In doubt about conditions a pair is refused, never let through.
Neighbours: `decide.rulechecks_ground` is where drafts stand, `decide.rulechecks_comparisons` compares conditions and
counts, `decide.rulebook` says who is refused.
Not here: conflicts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pawl.decide.reference import DEFAULT_HOST, MAX_NAME, OFFICIAL, Reference
from pawl.decide.rulebook_drafts import Draft
from pawl.decide.rulechecks_comparisons import Comparisons
from pawl.decide.rulechecks_conditions import Terms
from pawl.decide.rulechecks_ground import Ground
from pawl.decide.sources import WILDCARD, candidates, official
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


@dataclass(frozen=True, slots=True)
class _Opening:
    """An image that a rule makes and another one may change: by which, and what is asked before that."""

    rest: str
    middle: str
    second: Draft
    end: str
    before: tuple[Draft, ...]


@dataclass(frozen=True, slots=True)
class _Rung:
    """The drafts of one source and tier as one draft sees them: which it may meet, by place, and where it ends.

    It ends behind the first that surely holds wherever the draft does; `last` tells that there was one.
    """

    met: tuple[tuple[int, Draft], ...]
    drafts: tuple[Draft, ...]
    last: bool


class Field:
    """Everything that may hold at once: what one override says, what stands, and which of that counts.

    `word` stands in no rule. In `one` namespace the selectors of namespaces are asked by `admits` and no more.
    """

    def __init__(
        self, own: Ground, others: tuple[Ground, ...], admits: Admits, word: str, comparisons: Comparisons, *, one: bool
    ) -> None:
        self._others, self._grounds, self._admits = others, (*others, own), admits
        self._word, self._comparisons, self._one = word, comparisons, one
        self._standing: dict[tuple[str, bool], tuple[Draft, ...]] = {}
        self._rungs: dict[tuple[object, ...], _Rung] = {}
        self._made: dict[tuple[object, ...], tuple[_Opening, ...]] = {}

    def chain_of(self, drafts: Sequence[Draft]) -> Chain | None:
        """Find a chain in which one of its own drafts is the first or the second. Raises Exhausted."""
        for first in drafts:
            if (chain := self._chain(first, self._openings(first))) is not None:
                return chain
        # its own are through: every source below their targets was met
        for draft in drafts:
            for first in self._feeding(draft):
                found = (each for each in self._openings(first, draft.source) if each.second is draft)
                if (chain := self._chain(first, found)) is not None:
                    return chain
        return None

    def _feeding(self, draft: Draft) -> Iterator[Draft]:
        for ground in self._others:
            for first in ground.feeding(draft.source):
                if self._admits(first) and self._comparisons.may_meet(self._terms(first), self._terms(draft)):
                    yield first

    def _chain(self, first: Draft, openings: Iterable[_Opening]) -> Chain | None:
        start = f"{self._word}.{first.source.removeprefix(WILDCARD)}" if first.source.startswith("*") else first.source
        for opening in openings:
            self._comparisons.count()
            image = start + opening.rest
            real = "/" in image and official(image) == image
            if real and len(image) <= MAX_NAME and not self._blocked(first, opening, image):
                return Chain(image, first, opening.middle, opening.second, opening.end)
        return None

    def _openings(self, first: Draft, source: str | None = None) -> tuple[_Opening, ...]:
        """Return where what a draft makes is not left alone. The same for all drafts of one target and terms."""
        entry = first.entry
        alike = (entry.to, entry.tag, entry.digest, self._alike(first), source)
        if alike not in self._made:
            rests = dict.fromkeys(self._rests(entry.to, source))
            self._made[alike] = tuple(found for rest in rests for found in self._beyond(first, rest))
        return self._made[alike]

    def _alike(self, draft: Draft) -> tuple[object, ...]:
        """Return what drafts of equal terms have in common; labels by identity, as an override's rules share them."""
        terms = self._terms(draft)
        return (terms.globs, terms.kinds, id(terms.labels), id(terms.where))

    def _rests(self, to: str, source: str | None) -> list[str]:
        """Name what may stand behind a source with this target, so that every source below the target is met once."""
        below = (
            [source] if source is not None else [key for ground in self._grounds for key in ground.sources_below(to)]
        )
        rests = ["", f"/{self._word}", f"/{self._word}/{self._word}"]
        for key in below:
            self._comparisons.count()
            rests += _behind(to, key, self._word)
        return rests

    def _beyond(self, first: Draft, rest: str) -> Iterator[_Opening]:
        middle = official(first.entry.to + rest)
        if len(middle) > MAX_NAME:
            return
        before: list[Draft] = []
        for key, mandatory in _steps(middle):
            rung = self._rung(first, key, mandatory)
            for place, second in rung.met:
                end = compose(_split(middle), second.source, second.entry.to)
                if end != middle or _resuffixes(first, second):
                    asked = (*before, *rung.drafts[:place])
                    self._comparisons.count(1 + len(asked))
                    yield _Opening(rest, middle, second, end, asked)
            before += rung.drafts
            if rung.last:
                return

    def _rung(self, first: Draft, key: str, mandatory: bool) -> _Rung:  # noqa: FBT001
        self._comparisons.count()
        standing = self._at(key, mandatory)
        if not standing:
            return _NO_RUNG
        seen = (*self._alike(first), key, mandatory)
        if seen not in self._rungs:
            self._rungs[seen] = self._looked_at(first, standing)
        return self._rungs[seen]

    def _looked_at(self, first: Draft, standing: Sequence[Draft]) -> _Rung:
        terms, met = self._terms(first), []
        for place, second in enumerate(standing):
            if self._comparisons.may_meet(terms, self._terms(second)):
                met.append((place, second))
            if self._follows(second, first, first):
                return _Rung(tuple(met), tuple(standing[: place + 1]), last=True)
        return _Rung(tuple(met), tuple(standing), last=False)

    def _blocked(self, first: Draft, opening: _Opening, image: str) -> bool:
        """Tell whether another draft surely decides the image before the first, or the middle before the second."""
        if any(self._follows(draft, first, opening.second) for draft in opening.before):
            return True
        for key, mandatory in _steps(image):
            for draft in self._at(key, mandatory):
                if draft is first:
                    return False
                if self._follows(draft, first, opening.second):
                    return True
        return False

    def _follows(self, third: Draft, first: Draft, second: Draft) -> bool:
        return self._comparisons.follows(self._terms(third), self._terms(first), self._terms(second))

    def _terms(self, draft: Draft) -> Terms:
        return draft.here if self._one else draft.terms

    def _at(self, key: str, mandatory: bool) -> tuple[Draft, ...]:  # noqa: FBT001
        """Return the drafts of one source and tier that count, in the order in which they are asked."""
        if (key, mandatory) not in self._standing:
            found = [draft for ground in self._grounds for draft in ground.at(key, mandatory) if self._admits(draft)]
            self._standing[key, mandatory] = tuple(sorted(found, key=lambda draft: draft.rank))
        return self._standing[key, mandatory]


_NO_RUNG: Final = _Rung((), (), last=False)


def unknown_word(drafts: Iterable[Draft]) -> str:
    """Make a path segment that no rule names."""
    named = {part for draft in drafts for text in (draft.source, draft.entry.to) for part in _parts(text)}
    word = "image"
    while word in named:
        word += "x"
    return word


def _parts(text: str) -> list[str]:
    return text.replace(".", "/").split("/")


def _steps(name: str) -> Iterator[tuple[str, bool]]:
    """Name the rungs of the ladder that an image stands under: its sources, first for mandatory rules."""
    reference = _split(name)
    keys = candidates(reference.host, reference.path)
    return ((key, mandatory) for mandatory in (True, False) for key in keys)


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
