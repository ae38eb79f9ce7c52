"""Semver ranges: the constraint language of Masterminds/semver v3 as Flux users write it.

Operators = == != > >= => < <= =< ~ ~> ^, partial versions, wildcards x X *, hyphen ranges with blanks around the
hyphen, blanks or a comma for "and", || for "or". An alternative becomes one interval of encoded versions and some
holes, so that a check is a few comparisons of text.

Prereleases: an alternative admits them only if one of its comparators names one (`>=1.2.0-0`). As in npm and unlike
Masterminds, an upper bound that names none ends before the prereleases of its version: `<2.0.0`, `^1`, `1.x` and
`1 - 1` never admit `2.0.0-rc.1`. (`<=2.0.0` does, since `2.0.0-rc.1` is less than `2.0.0`.)
Neighbours: `decide.semver` encodes versions. Not here: which part of a tag is the version.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pawl.api.errors import Stalled
from pawl.api.reasons import Reason
from pawl.decide.semver import IDENTIFIERS, RELEASE, core, prerelease
from pawl.decide.why import Why

MAX_LENGTH: Final = 512
MAX_COMPARATORS: Final = 64
"""Bound of one range, all alternatives together: each costs two comparisons a tag."""

_PART = r"(?:[0-9]+|[xX*])"
_VERSION = rf"v?{_PART}(?:\.{_PART}){{0,2}}(?:-{IDENTIFIERS})?(?:\+{IDENTIFIERS})?"
_TERM: Final = re.compile(
    rf"(?:(?P<low>{_VERSION})\s+-\s+(?P<high>{_VERSION})|(?P<op>[=!<>~^]{{0,2}})\s*(?P<version>{_VERSION}))(?=[\s,]|\Z)",
    re.ASCII,
)
_PARTS: Final = re.compile(
    rf"v?(?P<major>{_PART})(?:\.(?P<minor>{_PART}))?(?:\.(?P<patch>{_PART}))?"
    rf"(?:-(?P<pre>{IDENTIFIERS}))?(?:\+{IDENTIFIERS})?"
)
_AND: Final = re.compile(r"\s*,\s*|\s+", re.ASCII)
_LEAST, _ABOVE_ALL = "", "~"
# Less than whatever can follow an encoded version, so that key + _AFTER is the first text above that version.
_AFTER: Final = "!"


@dataclass(frozen=True, slots=True)
class Hole:
    """Encoded versions from low up to high (exclusive) that are left out, or those of them with this ending."""

    low: str
    high: str
    ending: str = ""

    def swallows(self, key: str) -> bool:
        """Tell whether an encoded version lies in the hole."""
        return self.low <= key < self.high and key.endswith(self.ending)


@dataclass(frozen=True, slots=True)
class Interval:
    """One alternative: encoded versions from low up to high (exclusive), without the holes."""

    low: str = _LEAST
    high: str = _ABOVE_ALL
    holes: tuple[Hole, ...] = ()
    prereleases: bool = False

    def leaves_out(self, key: str) -> bool:
        """Tell whether an encoded version lies in one of the holes."""
        return any(hole.swallows(key) for hole in self.holes)

    def meet(self, other: Interval) -> Interval:
        """Return what lies in both."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Interval(low, high, self.holes + other.holes, self.prereleases or other.prereleases)


@dataclass(frozen=True, slots=True)
class Range:
    """A parsed range: a version is admitted if one alternative admits it."""

    alternatives: tuple[Interval, ...]

    def refusal(self, key: str) -> str | None:
        """Tell why the range refuses an encoded version (`semver.version`), or None if it admits it."""
        inside = False
        for each in self.alternatives:
            if each.low <= key < each.high and not (each.holes and each.leaves_out(key)):
                if each.prereleases or key[-1] == RELEASE:
                    return None
                inside = True
        return Why.PRERELEASE if inside else Why.OUT_OF_RANGE


@dataclass(frozen=True, slots=True)
class _Partial:
    """A version in a range. Numbers after a wildcard are forgotten, as in npm: 1.x.3 is 1.x."""

    numbers: tuple[str, ...]
    prerelease: str

    @property
    def whole(self) -> bool:
        return len(self.numbers) == 3

    @property
    def core(self) -> str:
        return core(*self.numbers, *("0",) * (3 - len(self.numbers)))

    @property
    def start(self) -> str:
        """The least version it stands for: a release, unless a prerelease is named."""
        return self.core + (self.prerelease or RELEASE)

    @property
    def end(self) -> str:
        """The first text above what it stands for; a partial version ends before the prereleases of the next."""
        return self.start + _AFTER if self.whole else self.after(len(self.numbers))

    def after(self, kept: int) -> str:
        """Return the core of the next version that differs in the first `kept` numbers; above all for none."""
        if not kept:
            return _ABOVE_ALL
        head = (*self.numbers[: kept - 1], str(int(self.numbers[kept - 1]) + 1))
        return core(*head, *("0",) * (3 - kept))


def parse_range(text: str) -> Range:
    """Parse a range. Raises Stalled(InvalidRange) for what Masterminds refuses too, and beyond the bounds."""
    if len(text) > MAX_LENGTH:
        raise _invalid(text, f"it has {len(text)} characters, at most {MAX_LENGTH} are read")
    pieces = [list(_terms(text, piece)) for piece in text.split("||")]
    if sum(map(len, pieces)) > MAX_COMPARATORS:
        raise _invalid(text, f"it has more than {MAX_COMPARATORS} comparators")
    return Range(tuple(_alternative(intervals) for intervals in pieces))


def _alternative(intervals: list[Interval]) -> Interval:
    met = Interval()
    for interval in intervals:
        met = met.meet(interval)
    return met


def _terms(text: str, piece: str) -> Iterator[Interval]:
    rest = piece.strip()
    if not rest:
        raise _invalid(text, "an alternative is empty; write * for any release")
    position = 0
    while True:
        term = _TERM.match(rest, position)
        if term is None:
            raise _invalid(text, f"cannot read {rest[position:][:40]!r}; write for example '>=1.2.0 <2.0.0' or '^1.4'")
        yield _term(text, term)
        if term.end() == len(rest):
            return
        separator = _AND.match(rest, term.end())
        position = separator.end() if separator else len(rest)


def _term(text: str, term: re.Match[str]) -> Interval:
    if term["low"] is not None:
        return _at_least(_partial(term["low"])).meet(_at_most(_partial(term["high"])))
    compare = _OPERATORS.get(term["op"])
    if compare is None:
        raise _invalid(text, f"{term['op']!r} is no operator; there are = != > >= < <= ~ ^")
    return compare(_partial(term["version"]))


def _partial(text: str) -> _Partial:
    match = _PARTS.fullmatch(text)
    if match is None:  # the callers matched _VERSION, which is the same grammar
        raise ValueError(text)
    numbers: list[str] = []
    for number in match.group("major", "minor", "patch"):
        if number is None or not number.isdigit():
            break
        numbers.append(number)
    return _Partial(tuple(numbers), prerelease(match["pre"]) if match["pre"] else "")


def _between(low: str, high: str, version: _Partial) -> Interval:
    return Interval(low, high, prereleases=bool(version.prerelease))


def _equal(version: _Partial) -> Interval:
    return _between(version.start, version.end, version)


def _not_equal(version: _Partial) -> Interval:
    """Leave out a version, or a line with its prereleases; `!=1.2-rc` leaves out that prerelease of every 1.2.x."""
    if version.whole:
        hole = Hole(version.start, version.end)
    else:
        line = len(version.numbers) == 2
        hole = Hole(version.core, version.end, version.prerelease if line else "")
    return Interval(holes=(hole,), prereleases=bool(version.prerelease))


def _above(version: _Partial) -> Interval:
    low = version.end
    if not version.whole and low != _ABOVE_ALL and not version.prerelease:
        low += RELEASE
    return _between(low, _ABOVE_ALL, version)


def _at_least(version: _Partial) -> Interval:
    return _between(version.start, _ABOVE_ALL, version)


def _below(version: _Partial) -> Interval:
    return _between(_LEAST, version.core + version.prerelease, version)


def _at_most(version: _Partial) -> Interval:
    return _between(_LEAST, version.end, version)


def _tilde(version: _Partial) -> Interval:
    """Same major and minor. `~0.0.0` is any version: a special case that Masterminds documents and tests."""
    anything = version.whole and not "".join(version.numbers).strip("0")
    high = _ABOVE_ALL if anything else version.after(min(2, len(version.numbers)))
    return _between(version.start, high, version)


def _caret(version: _Partial) -> Interval:
    """Same leftmost number that is not zero; of `^0.0` and `^0` the last number that is written."""
    nonzero = (place for place, number in enumerate(version.numbers, 1) if number.strip("0"))
    kept = next(nonzero, len(version.numbers))
    return _between(version.start, version.after(kept), version)


_OPERATORS: Final[Mapping[str, Callable[[_Partial], Interval]]] = MappingProxyType(
    {
        **dict.fromkeys(("", "=", "=="), _equal),
        "!=": _not_equal,
        ">": _above,
        **dict.fromkeys((">=", "=>"), _at_least),
        "<": _below,
        **dict.fromkeys(("<=", "=<"), _at_most),
        **dict.fromkeys(("~", "~>"), _tilde),
        "^": _caret,
    }
)


def _invalid(text: str, why: str) -> Stalled:
    return Stalled(Reason.INVALID_RANGE, f"range {text[:80]!r}: {why}")
