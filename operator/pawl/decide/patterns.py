"""User patterns: RE2, an engine without backtracking, so that no pattern can stall the operator.

Tags are ASCII, so patterns are searched in bytes; a hundred thousand tags make the wrapper's own cost visible, so the
compiled object below google-re2's Python layer is called directly.
Neighbours: `decide.tags` filters with these; `decide.extract` reads the groups.
Not here: our own fixed grammars, which use `re`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Final

import re2
from re2 import _re2

from pawl.api.errors import Stalled
from pawl.api.reasons import Reason

MAX_MEMORY: Final = 8 << 20
"""Bytes that one pattern and its automaton may use. Beyond it RE2 walks the program itself, once a character."""

MAX_PROGRAM: Final = 1500
"""Instructions of one pattern: linear time is no short time if a character costs thousands of steps. `^.{1,128}$` has
1153; nested counted repetition makes more, and took minutes over a hundred thousand tags."""

Spans = list[tuple[int, int]]
"""Byte offsets of the whole match and of each group; (-1, -1) where a group took no part."""

_MESSAGE: Final = 300
_UNANCHORED: Final = _re2.RE2.Anchor.UNANCHORED
_WHOLE: Final = _re2.RE2.Anchor.ANCHOR_BOTH


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern. `groups` maps names to numbers; `count` is how many groups there are."""

    source: str
    groups: Mapping[str, int]
    count: int
    _match: Callable[[Any, bytes, int, int], Spans]

    def search(self, text: bytes) -> Spans | None:
        """Search anywhere in the text; None if the pattern is not found."""
        spans = self._match(_UNANCHORED, text, 0, len(text))
        return spans if spans[0][0] >= 0 else None

    def search_each(self, texts: Sequence[str]) -> Iterator[Spans]:
        """Search ASCII texts that hold no newline, in turn; the first span is (-1, -1) where nothing is found."""
        raws = "\n".join(texts).encode().split(b"\n") if texts else []
        return map(self._match, repeat(_UNANCHORED), raws, repeat(0), map(len, raws))

    def search_from(self, text: bytes, position: int) -> int:
        """Return where the next match at or after a byte offset begins, or -1."""
        return self._match(_UNANCHORED, text, position, len(text))[0][0]

    def is_whole(self, text: bytes) -> bool:
        """Tell whether the pattern matches the text from end to end."""
        return self._match(_WHOLE, text, 0, len(text))[0][0] >= 0


def compile_pattern(source: str, *, lines: bool = False, capture: bool = True) -> Pattern:
    """Compile RE2 syntax.

    With `lines` no match ever spans a newline; without `capture` only the span of the whole match is told.
    Raises Stalled(InvalidPattern) naming the pattern and RE2's message.
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_MEMORY
    options.never_nl = lines
    options.never_capture = not capture
    try:
        compiled = _re2.RE2(source.encode(), options)
    except UnicodeEncodeError:
        raise _invalid(source, "it is no text that UTF-8 can carry") from None
    if not compiled.ok():
        raise _invalid(source, _text(compiled.error()))
    if (size := compiled.ProgramSize()) > MAX_PROGRAM:
        raise _invalid(source, f"it compiles to {size} steps, at most {MAX_PROGRAM} are allowed; repeat less often")
    groups = {_text(name): number for name, number in compiled.NamedCapturingGroups()}
    return Pattern(source, groups, compiled.NumberOfCapturingGroups(), compiled.Match)


def _invalid(source: str, why: str) -> Stalled:
    flat = " ".join(f"pattern {source[:120]!r}: {why}; RE2 has no look-around and no back-references".split())
    return Stalled(Reason.INVALID_PATTERN, flat if len(flat) <= _MESSAGE else f"{flat[: _MESSAGE - 3]}...")


def _text(raw: bytes | str) -> str:
    return raw.decode(errors="replace") if isinstance(raw, bytes) else raw
