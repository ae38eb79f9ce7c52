"""Which tags count, and which part of each is compared: the tag grammar, signatures, exclude, include, extract.

Neighbours: `decide.patterns` and `decide.extract` do the matching; `decide.shortlist` compares the values.
Not here: what a value means (`decide.ordering`).

Signatures, attestations, SBOMs and referrers are left out always: cosign's `sha256-<64 hex>.sig` (.att, .sbom, ...)
and the fallback tag of the OCI referrers API, `sha256-<64 hex>` alone. Such a tag names a digest; `v1.sig` names none,
may be an image, and stays (Flux drops every `*.sig`; `exclude` can do that here).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pawl.api.errors import Stalled
from pawl.api.imagepolicy import Tags
from pawl.decide.extract import Template, compile_template
from pawl.decide.frames import Frame, compile_frame
from pawl.decide.patterns import Pattern, compile_pattern
from pawl.decide.why import Why

_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_TAG_LINES: Final = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}+\n)*+")
_SIGNATURE: Final = re.compile(r"sha(?:256-[0-9a-f]{64}|512-[0-9a-f]{64,})(?:\.[A-Za-z0-9._-]+)?")
# What means something else in a block of lines than in one tag: text anchors, any-byte, quoting, flags other than i.
_NOT_BY_LINE: Final = re.compile(r"\\[AzZCQE]|\(\?(?!:|P?<|i[:)])")


@dataclass(frozen=True, slots=True)
class Rejected:
    """The answer for a tag that has no value, with the reason."""

    reason: str


def is_tag(text: str) -> bool:
    """Tell whether a text is a tag in the grammar of the OCI distribution specification."""
    return _TAG.fullmatch(text) is not None


def is_signature(tag: str) -> bool:
    """Tell whether a tag names a signature, attestation, SBOM or referrer list of a digest."""
    return _SIGNATURE.fullmatch(tag) is not None


@dataclass(frozen=True, slots=True)
class TagFilter:
    """The compiled `spec.tags`."""

    include: Pattern | None
    template: Template | None
    frame: Frame | None
    """A faster way to the same answer as `include` and `template`, for patterns of the usual form."""
    excludes: tuple[Pattern, ...]
    exclude_lines: Pattern | None
    """All of `excludes` for one search through a block of lines; None where one would mean something else there."""

    def value(self, tag: str) -> str | Rejected:
        """Return what of a tag is compared, or why the tag does not count. Never raises, whatever the text."""
        if not is_tag(tag):
            return Rejected(Why.NOT_A_TAG)
        if is_signature(tag):
            return Rejected(Why.SIGNATURE)
        if self._excluded(tag):
            return Rejected(Why.EXCLUDED)
        value = self._included(tag)
        return Rejected(Why.NOT_INCLUDED) if value is None else value

    def sift(self, tags: Sequence[str], rejected: Counter[str]) -> list[tuple[str, str]]:
        """Return tags with their values, as `value` does one by one, and count the others by reason."""
        kept = self._without_excluded(_well_formed(tags, rejected), rejected)
        pairs = self._included_each(kept) if self.frame is None else self.frame.sift(kept, self._included_each)
        _count(rejected, Why.NOT_INCLUDED, len(kept) - len(pairs))
        return pairs

    def _included_each(self, tags: Sequence[str]) -> list[tuple[str, str]]:
        if self.include is None:
            return list(zip(tags, tags, strict=True))
        matched = zip(tags, self.include.search_each(tags), strict=True)
        if self.template is None:
            return [(tag, tag) for tag, spans in matched if spans[0][0] >= 0]
        return self.template.expand_each(matched)

    def _excluded(self, tag: str) -> bool:
        raw = tag.encode()
        return any(each.search(raw) is not None for each in self.excludes)

    def _included(self, tag: str) -> str | None:
        if self.include is None:
            return tag
        spans = self.include.search(tag.encode())
        if spans is None:
            return None
        return tag if self.template is None else self.template.expand(tag, spans)

    def _without_excluded(self, tags: Sequence[str], rejected: Counter[str]) -> Sequence[str]:
        if self.exclude_lines is not None:
            kept = _unmatched_lines(self.exclude_lines, tags)
        elif self.excludes:
            kept = [tag for tag in tags if not self._excluded(tag)]
        else:
            return tags
        _count(rejected, Why.EXCLUDED, len(tags) - len(kept))
        return kept


def compile_tags(tags: Tags) -> TagFilter:
    """Compile `spec.tags`. Raises Stalled(InvalidPattern) or Stalled(InvalidExtract)."""
    include = compile_pattern(tags.include, capture=tags.extract is not None) if tags.include is not None else None
    template = compile_template(tags.extract, include) if tags.extract is not None else None
    excludes = tuple(compile_pattern(source, capture=False) for source in tags.exclude)
    frame = compile_frame(tags.include, template) if tags.include is not None else None
    return TagFilter(include, template, frame, excludes, _by_lines(tags.exclude))


def _by_lines(sources: Sequence[str]) -> Pattern | None:
    """Join patterns that compile alone to one that is searched through a block of lines; None where it cannot be."""
    union = "|".join(f"(?:{source})" for source in sources)
    if not sources or _NOT_BY_LINE.search(union):
        return None
    try:
        return compile_pattern(f"(?m:{union})", lines=True, capture=False)
    except Stalled:  # together they are too large
        return None


def _well_formed(tags: Sequence[str], rejected: Counter[str]) -> Sequence[str]:
    """Drop what is no tag, and signatures. Lists are mostly clean, which one match over the whole block tells."""
    block = "\n".join(tags)
    clean = _TAG_LINES.fullmatch(f"{block}\n") is not None and block.count("\n") == len(tags) - 1
    named = tags if clean else [tag for tag in tags if is_tag(tag)]
    kept = [tag for tag in named if not is_signature(tag)] if "sha256-" in block or "sha512-" in block else named
    _count(rejected, Why.NOT_A_TAG, len(tags) - len(named))
    _count(rejected, Why.SIGNATURE, len(named) - len(kept))
    return kept


def _unmatched_lines(pattern: Pattern, tags: Sequence[str]) -> list[str]:
    """Return the tags in which the pattern is not found, searching all of them as one block of lines."""
    block = "\n".join(tags).encode()
    kept: list[str] = []
    done = position = 0
    while (found := pattern.search_from(block, position)) >= 0:
        line = done + block.count(b"\n", position, found)
        kept.extend(tags[done:line])
        done = line + 1
        position = block.find(b"\n", found) + 1
        if not position:
            break
    kept.extend(tags[done:])
    return kept


def _count(rejected: Counter[str], reason: str, number: int) -> None:
    if number:
        rejected[reason] += number
