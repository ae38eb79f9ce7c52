"""Semantic versions as text whose bytes compare as the versions do.

Precedence is that of semver.org section 11. Accepted besides: a leading `v` and zero padding (01.2.3, rc.007), as Flux
users have them; never fewer or more than three numbers. Build metadata is read and ignored (section 10).
Neighbours: `decide.numbers` encodes the numbers, `decide.ranges` compares these texts with a range.
Not here: which versions are wanted.

Form: three numbers, then `~` for a release, or `-` and the prerelease fields. A numeric field begins with a digit, an
alphanumeric one with `:`, which is greater; `,` ends it and is less than any of its characters; fewer fields are a
prefix and so less. Equal versions give equal text.
"""

from __future__ import annotations

import re
from typing import Final

from pawl.decide.numbers import natural

RELEASE: Final = "~"
PRERELEASE: Final = "-"
IDENTIFIERS: Final = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
"""Dot-separated fields of a prerelease or of build metadata (semver.org section 9 and 10)."""

_NUMBER: Final = re.compile(r"[0-9]+")
_REST: Final = re.compile(rf"([0-9]+)(?:-({IDENTIFIERS}))?(?:\+{IDENTIFIERS})?")
_MEMO: Final = 4096


def core(major: str, minor: str, patch: str) -> str:
    """Encode three runs of digits. The result is less than every version with these numbers, prereleases included."""
    return natural(major) + natural(minor) + natural(patch)


def prerelease(identifiers: str) -> str:
    """Encode the fields after the `-` of a version, the `-` included."""
    return PRERELEASE + "".join(map(_field, identifiers.split(".")))


def version(text: str) -> str | None:
    """Encode one version; None if the text is none."""
    return Encoder()(text)


def _field(identifier: str) -> str:
    return natural(identifier) if _NUMBER.fullmatch(identifier) else f":{identifier},"


class _Major(dict[str, str]):
    """Encoded first numbers by text. Versions repeat their parts, and a lookup costs a tenth of an encoding."""

    def __missing__(self, text: str) -> str:
        return _remember(self, text, _number(text.removeprefix("v")))


class _Minor(dict[str, str]):
    def __missing__(self, text: str) -> str:
        return _remember(self, text, _number(text))


class _Rest(dict[str, str]):
    """Encoded tails by text: third number, prerelease, build metadata."""

    def __missing__(self, text: str) -> str:
        if text.isdigit() and text.isascii():
            # Most tags, and in a long list each another number: not worth a match, nor a place in the memo.
            return natural(text) + RELEASE
        match = _REST.fullmatch(text)
        if match is None:
            raise ValueError(text)
        patch, fields = match.groups()
        return _remember(self, text, natural(patch) + (RELEASE if fields is None else prerelease(fields)))


def _number(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return natural(text)


def _remember(memo: dict[str, str], text: str, encoded: str) -> str:
    """Keep an encoding, forgetting all when the memo is full: a registry's tags must not grow it without bound."""
    if len(memo) >= _MEMO:
        memo.clear()
    memo[text] = encoded
    return encoded


class Encoder:
    """Encodes many versions: parts seen before are looked up. One per pass over a tag list; holds no other state."""

    __slots__ = ("_major", "_minor", "_rest")

    def __init__(self) -> None:
        self._major, self._minor, self._rest = _Major(), _Minor(), _Rest()

    def __call__(self, text: str) -> str | None:
        """Encode one version; None if the text is none."""
        try:
            major, minor, rest = text.split(".", 2)
            return self._major[major] + self._minor[minor] + self._rest[rest]
        except ValueError:
            return None
