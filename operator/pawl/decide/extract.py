"""The extract template: which part of a tag is compared, written over the groups of the include pattern.

`$1`, `${1}`, `$name`, `${name}`, `$0` for the whole match, `$$` for a dollar; other text stands for itself. As in Go's
`Regexp.Expand`, `$name` takes the longest run of letters, digits and underscores; unlike there, an unknown group is an
error and not the empty string. A group that took no part in the match expands to nothing; a name given to two groups
means the first (RE2 allows that).
Neighbours: `decide.patterns` finds the groups, `decide.tags` expands. Not here: what the value means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pawl.api.errors import Stalled
from pawl.api.reasons import Reason
from pawl.decide.patterns import Pattern, Spans

_PIECE: Final = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?P<braced>[A-Za-z0-9_]+)\}|(?P<bare>[A-Za-z0-9_]+))|[^$]+|(?P<bad>\$)"
)


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template: literals and group numbers in turn. `only` is the group if the template is just that."""

    pieces: tuple[str | int, ...]
    only: int | None

    def expand(self, text: str, spans: Spans) -> str:
        """Return the value of one match in an ASCII text."""
        if self.only is not None:
            return _group(text, spans[self.only])
        return "".join(piece if isinstance(piece, str) else _group(text, spans[piece]) for piece in self.pieces)

    def expand_each(self, matched: Iterable[tuple[str, Spans]]) -> list[tuple[str, str]]:
        """Return text and value of each match, leaving out texts whose first span is (-1, -1)."""
        only = self.only
        if only is None:
            return [(text, self.expand(text, spans)) for text, spans in matched if spans[0][0] >= 0]
        return [(text, text[spans[only][0] : spans[only][1]]) for text, spans in matched if spans[0][0] >= 0]


def compile_template(template: str, include: Pattern | None) -> Template:
    """Parse a template over the groups of `include`.

    Raises Stalled(InvalidExtract) for a stray `$`, an unknown group, or a template without an include pattern.
    """
    if include is None:
        raise _invalid(template, "it needs spec.tags.include, whose groups it names")
    pieces = tuple(_piece(template, match, include) for match in _PIECE.finditer(template))
    if not pieces:
        raise _invalid(template, "it is empty; leave it out to compare the whole tag")
    first = pieces[0]
    return Template(pieces, first if len(pieces) == 1 and isinstance(first, int) else None)


def _group(text: str, span: tuple[int, int]) -> str:
    """Cut a group out of a text; (-1, -1), the span of a group without part, cuts nothing."""
    return text[span[0] : span[1]]


def _piece(template: str, match: re.Match[str], include: Pattern) -> str | int:
    if match["bad"]:
        raise _invalid(template, "a $ stands alone; write $1, ${name}, or $$ for a dollar")
    if match["dollar"]:
        return "$"
    name = match["braced"] or match["bare"]
    return match[0] if name is None else _number(template, name, include)


def _number(template: str, name: str, include: Pattern) -> int:
    """Return the number of a group. Digits are a number, as in Go; a name of digits cannot be given to a group."""
    number = include.groups.get(name)
    if number is None and name.isdigit() and len(name) < 4:
        number = int(name)
    if number is None or number > include.count:
        known = [*sorted(include.groups), *(f"{each}" for each in range(1, min(include.count, 9) + 1))]
        raise _invalid(template, f"include has no group {name!r}; it has {', '.join(known) or 'none'}")
    return number


def _invalid(template: str, why: str) -> Stalled:
    return Stalled(Reason.INVALID_EXTRACT, f"extract {template[:80]!r}: {why}"[:300])
