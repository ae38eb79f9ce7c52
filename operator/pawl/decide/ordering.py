"""How the values of tags compare: each strategy turns a value into text whose bytes compare as the values do.

The greatest key wins, always: `Descending` is folded into the text. A sort key is the value part, one blank, the raw
tag; the value part has printable ASCII characters and no blank, so keys compare by value first and by tag on a tie.
Neighbours: `decide.semver`, `decide.numbers` encode; `decide.ranges` admits; `decide.shortlist` picks.
Not here: which tags count (`decide.tags`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pawl.api.errors import Stalled
from pawl.api.imagepolicy import AlphabeticalSelect, DigestSelect, ImagePolicySpec, NumericalSelect, Order, SemverSelect
from pawl.api.reasons import Reason
from pawl.decide.numbers import decimal
from pawl.decide.ranges import Range, parse_range
from pawl.decide.reference import parse_repository
from pawl.decide.semver import Encoder
from pawl.decide.why import Why

MAX_KEY: Final = 512
"""Bytes of a sort key: what the schema of `status.selection.sortKey` allows."""

PRERELEASE_RULE: Final = "npm"
FOLLOWED: Final = "="
"""The value part of the tag that the digest strategy follows: constant, so that only its digest moves."""

Encode = Callable[[str], str | None]

_PRINTABLE: Final = re.compile(r"[!-}]+")
_MIRROR: Final = str.maketrans({chr(code): chr(0x21 + 0x7D - code) for code in range(0x21, 0x7E)})


@dataclass(frozen=True, slots=True)
class Ordering:
    """The compiled strategy of one policy. Keys compare only under equal fingerprints."""

    fingerprint: str
    why_not: str
    """The reason for a value that the strategy cannot compare."""
    range: Range | None
    follows: str | None
    """The tag of the digest strategy; None for the others."""
    _encoder: Callable[[], Encode]

    def value(self, value: str) -> str | None:
        """Return the value part of a sort key; None if the text is no value of this strategy."""
        return self.encoder()(value) if 0 < len(value) <= MAX_KEY else None

    def encoder(self) -> Encode:
        """Return an encoder for many values of 1 to MAX_KEY characters: `value` without what one call costs."""
        return self._encoder()

    def admits(self, value: str) -> bool:
        """Tell whether a value is in the semver range; True for every value of the other strategies."""
        if self.range is None:
            return True
        part = self.value(value)
        return part is not None and self.range.refusal(part) is None


def sort_key(part: str, tag: str) -> str:
    """Join a value part and a raw tag to a sort key."""
    return f"{part} {tag}"


def value_part(key: str) -> str:
    """Return the value part of a sort key."""
    return key.partition(" ")[0]


def compile_ordering(spec: ImagePolicySpec) -> Ordering:
    """Compile image, strategy and extract of a spec.

    Raises Stalled(InvalidImage), Stalled(InvalidRange), and Stalled(InvalidSpec) unless there is one strategy.
    """
    chosen = [each for each in (spec.select.semver, spec.select.alphabetical, spec.select.numerical) if each]
    strategies = [*chosen, *([spec.select.digest] if spec.select.digest else [])]
    if len(strategies) != 1:
        raise Stalled(
            Reason.INVALID_SPEC,
            f"spec.select has {len(strategies)} strategies; give one of semver, alphabetical, numerical, digest",
        )
    return _compile(spec, strategies[0])


def _compile(
    spec: ImagePolicySpec, strategy: SemverSelect | AlphabeticalSelect | NumericalSelect | DigestSelect
) -> Ordering:
    match strategy:
        case SemverSelect():
            mark = _fingerprint(spec, "semver")
            return Ordering(mark, Why.NOT_A_VERSION, parse_range(strategy.range), None, Encoder)
        case NumericalSelect():
            encode = _number_descending if strategy.order is Order.DESCENDING else decimal
            mark = _fingerprint(spec, "numerical", order=strategy.order)
            return Ordering(mark, Why.NOT_A_NUMBER, None, None, lambda: encode)
        case AlphabeticalSelect():
            spell = _text_descending if strategy.order is Order.DESCENDING else _text
            mark = _fingerprint(spec, "alphabetical", order=strategy.order)
            return Ordering(mark, Why.NOT_PRINTABLE, None, None, lambda: spell)
        case DigestSelect():
            tag = strategy.tag
            mark = _fingerprint(spec, "digest", tag=tag)
            return Ordering(mark, Why.OTHER_TAG, None, tag, lambda: lambda value: FOLLOWED if value == tag else None)


def _fingerprint(spec: ImagePolicySpec, strategy: str, *, order: Order | None = None, tag: str | None = None) -> str:
    """Hash what decides how keys compare. Range, include, exclude, gates, platforms and floor only admit."""
    facts = {
        "image": str(parse_repository(spec.image)),
        "strategy": strategy,
        "order": order,
        "extract": None if tag is not None else spec.tags.extract,  # the digest strategy compares no value
        "prerelease": PRERELEASE_RULE,
        "tag": tag,
    }
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def _number_descending(value: str) -> str | None:
    return decimal(value, descending=True)


def _text(value: str) -> str | None:
    return value if _PRINTABLE.fullmatch(value) else None


def _text_descending(value: str) -> str | None:
    """Mirror each byte. The last character is above them all, so that a prefix sorts above what extends it."""
    return f"{value.translate(_MIRROR)}~" if _PRINTABLE.fullmatch(value) else None
