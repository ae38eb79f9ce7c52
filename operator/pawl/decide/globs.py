"""Globs over repositories: `*` stands for any characters within a segment, `**` for any at all, `?` for one.

They become RE2 patterns, since a dozen stars would stall an engine that goes back. Neighbours: `decide.retention` asks
with them, `decide.patterns` compiles. Not here: patterns of tags.
"""

from __future__ import annotations

import re
from typing import Final

from pawl.decide.patterns import Pattern, compile_pattern

_TOKEN: Final = re.compile(r"\*\*|\*|\?|[^*?]+")
_MEANING: Final = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
_STARS: Final = re.compile(r"\*{3,}")


def compile_glob(source: str) -> Pattern:
    """Compile a glob; use `is_whole` of what comes. Raises Stalled(InvalidPattern)."""
    tokens = _TOKEN.findall(_STARS.sub("**", source))
    return compile_pattern("".join(_MEANING.get(token) or re.escape(token) for token in tokens), capture=False)
