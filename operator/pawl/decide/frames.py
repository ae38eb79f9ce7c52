r"""A faster way for include patterns of the usual forms: `^v(?P<version>.+)$`, `^main-[a-f0-9]+-(\d+)$`, `^1\.\d+$`.

One call of RE2 for each tag is most of what a scan costs. Where a pattern is anchored at both ends and its only group
stands between literals, or holds digits and follows a last separator, the group's place in a matching tag is known
without asking, and "all of these tags match" is one question about a block of lines. A block that does not match as a
whole is halved.
Neighbours: `decide.tags` uses it and has the general way; tests hold both to the same answers.
Not here: any other pattern. The form is read narrowly, so that a newline can never be inside a match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pawl.api.errors import Stalled
from pawl.decide.extract import Template
from pawl.decide.patterns import Pattern, compile_pattern

Pairs = list[tuple[str, str]]

_LITERAL = r"(?:[A-Za-z0-9_/:=,-]|\\[.+-])*"
# No parentheses, anchors, negated or named classes, counted repetition, and only escapes that never match a newline.
_ATOM = r"(?:[A-Za-z0-9_/=,.*+?\]-]|:|\[(?!:|\^)|\\[dw.+*?-])"
_FRAMED: Final = re.compile(
    rf"\^(?P<head>{_LITERAL})\((?:\?P?<[A-Za-z_][A-Za-z0-9_]*>)?(?!\?)(?P<body>(?:{_ATOM}|\|)+)\)(?P<tail>{_LITERAL})\$"
)
_PLAIN: Final = re.compile(rf"\^(?P<body>{_ATOM}+)\$")
_STAMPED: Final = re.compile(
    rf"\^(?P<head>{_ATOM}*?)(?P<separator>[A-Za-z_-]|\\[.+-])\((?:\?P?<[A-Za-z_][A-Za-z0-9_]*>)?(?P<body>\\d\+|\[0-9\]\+)\)\$"
)
_SMALLEST: Final = 64


@dataclass(frozen=True, slots=True)
class Frame:
    """A pattern of a usual form: what stands around the value."""

    lines: Pattern
    """Matches a block of lines, each ended by a newline, of which every one matches the include pattern."""
    head: int = 0
    """Characters before the value."""
    tail: int = 0
    """Characters after it."""
    separator: str = ""
    """The value begins after the last one of these."""

    def sift(self, tags: Sequence[str], otherwise: Callable[[Sequence[str]], Pairs]) -> Pairs:
        """Return matching tags with their values; `otherwise` answers for few tags that do not all match."""
        if not tags or self.lines.is_whole(("\n".join(tags) + "\n").encode()):
            return self._cut(tags)
        if len(tags) <= _SMALLEST:
            return otherwise(tags)
        middle = len(tags) // 2
        return self.sift(tags[:middle], otherwise) + self.sift(tags[middle:], otherwise)

    def _cut(self, tags: Sequence[str]) -> Pairs:
        head, tail, separator = self.head, self.tail, self.separator
        if separator:
            return [(tag, tag.rpartition(separator)[2]) for tag in tags]
        if not head and not tail:
            return list(zip(tags, tags, strict=True))
        return [(tag, tag[head : len(tag) - tail]) for tag in tags]


def compile_frame(include: str, template: Template | None) -> Frame | None:
    """Return the frame of an include pattern that RE2 accepted, or None where it has none of the usual forms."""
    whole = template is None or template.only == 0
    if not whole and (template is None or template.only != 1):
        return None
    for form in (_STAMPED, _FRAMED, _PLAIN):
        match = form.fullmatch(include)
        if match is not None:
            return _frame({"head": "", "separator": "", "tail": "", **match.groupdict()}, whole=whole)
    return None


def _frame(parts: dict[str, str], *, whole: bool) -> Frame | None:
    try:
        line = f"{parts['head']}{parts['separator']}(?:{parts['body']}){parts['tail']}"
        lines = compile_pattern(f"(?:{line}\\n)*", capture=False)
    except Stalled:  # too large with its repetition
        return None
    if whole:
        return Frame(lines)
    if parts["separator"]:
        return Frame(lines, separator=parts["separator"].lstrip("\\"))
    return Frame(lines, _length(parts["head"]), _length(parts["tail"]))


def _length(literal: str) -> int:
    return len(literal) - literal.count("\\")
