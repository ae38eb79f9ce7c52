"""Comparisons of rules, counted: whoever writes rules may not decide how long Pawl thinks about them.

A thousand rules for one source, each for other containers, are a million pairs, and one pair of sixteen long globs each
is a million steps. So what was compared is kept, every comparison is counted, and there is an end to it.
Neighbours: `decide.rulechecks_conditions` compares two conditions, `decide.rulechecks` asks, `decide.rulebook` refuses
what exceeds. Not here: time. The count is the same on every machine, so every replica refuses the same overrides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pawl.api.imageoverride_spec import Operator, Requirement
from pawl.decide.rulechecks_conditions import Terms, common_kinds, globs_meet, kinds_meet
from pawl.decide.selectors import may_hold_together

MOST: Final = 500_000
"""Steps for one override: about a second of work."""
MOST_TOGETHER: Final = 4 * MOST
"""Steps for the overrides of one namespace together, and for those of the cluster. What is refused spends too."""
_AT_ONCE: Final = 4
"""States of two globs, or values of labels, that take as long as one comparison."""

Globs = tuple[str, ...]
Labels = tuple[Requirement, ...]


class Exhausted(Exception):
    """More comparisons were needed than are allowed. It never leaves `decide.rulebook`."""


class Comparisons:
    """Compares the conditions of rules, and counts. One for the overrides that share an allowance.

    Labels are known by identity: all rules of an override have the same tuple. They live as long as the drafts do.
    """

    def __init__(self, most: int = MOST, together: int = MOST_TOGETHER) -> None:
        self._most, self._left, self._together = most, most, together
        self._globs: dict[tuple[Globs, Globs], bool] = {}
        self._given: dict[int, Mapping[str, frozenset[str]]] = {}
        self._joint: dict[tuple[int, int], bool] = {}
        self._among: dict[tuple[int, int, int], bool] = {}

    def begin(self) -> None:
        """Begin with another override."""
        self._left = self._most

    def count(self, steps: int = 1) -> None:
        """Count steps. Raises Exhausted beyond the allowance of this override, or of all together."""
        self._left -= steps
        self._together -= steps
        if self._left < 0 or self._together < 0:
            raise Exhausted

    def may_meet(self, one: Terms, other: Terms) -> bool:
        """Tell whether some image of some Pod is under both terms. Raises Exhausted."""
        self.count()
        return (
            kinds_meet(one, other)
            and self._globs_meet(one.globs, other.globs)
            and self._may_hold(one.labels, other.labels)
            and self._may_hold(one.where, other.where)
        )

    def follows(self, third: Terms, one: Terms, other: Terms) -> bool:
        """Tell whether the third holds wherever both hold. Sound, not complete: False where it is not plain.

        Raises Exhausted.
        """
        self.count()
        if third.globs is not None and third.globs not in (one.globs, other.globs):
            return False
        if third.kinds is not None and not common_kinds(one, other) <= third.kinds:
            return False
        return self._said(third.labels, one.labels, other.labels) and self._said(third.where, one.where, other.where)

    def _globs_meet(self, one: Globs | None, other: Globs | None) -> bool:
        if one is None or other is None or one == other:
            return True
        if (one, other) not in self._globs:
            self.count(sum(map(len, one)) * sum(map(len, other)) // _AT_ONCE)
            self._globs[one, other] = globs_meet(one, other)
        return self._globs[one, other]

    def _may_hold(self, one: Labels, other: Labels) -> bool:
        if not (one or other) or one is other:
            return not one or self._worlds_of(one, ())
        # most overrides of one image differ in the value of a label, which is seen at once
        mine, theirs = self._values(one), self._values(other)
        if any(mine[key].isdisjoint(theirs[key]) for key in mine.keys() & theirs.keys()):
            return False
        return self._worlds_of(one, other)

    def _values(self, labels: Labels) -> Mapping[str, frozenset[str]]:
        """Return the values of each label that must have one of them."""
        if id(labels) not in self._given:
            given = {each.key: frozenset(each.values) for each in labels if each.operator is Operator.IN}
            self._given[id(labels)] = given
        return self._given[id(labels)]

    def _worlds_of(self, one: Labels, other: Labels) -> bool:
        pair = (min(id(one), id(other)), max(id(one), id(other)))
        if pair not in self._joint:
            self.count(_asked((*one, *other)) // _AT_ONCE)
            self._joint[pair] = may_hold_together((*one, *other))
        return self._joint[pair]

    def _said(self, few: Labels, one: Labels, other: Labels) -> bool:
        if not few or few is one or few is other:
            return True
        three = (id(few), id(one), id(other))
        if three not in self._among:
            self.count(len(few) * (len(one) + len(other)) // _AT_ONCE)
            self._among[three] = all(each in one or each in other for each in few)
        return self._among[three]


def _asked(labels: Labels) -> int:
    """Return how often `may_hold_together` asks at most: each that names a key, for its values and two worlds more."""
    by_key: dict[str, list[Requirement]] = {}
    for each in labels:
        by_key.setdefault(each.key, []).append(each)
    return sum((2 + sum(len(each.values) for each in named)) * len(named) for named in by_key.values())
