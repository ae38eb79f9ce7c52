"""Exact numbers as text whose bytes compare as the numbers do.

Works on digit strings alone: no floats (they collide above 2^53) and no `int` (it refuses 4301 digits).
Neighbours: `decide.ordering` and `decide.semver` build sort keys from these.
Not here: which tags hold numbers.
"""

from __future__ import annotations

import re
from typing import Final

MAX_DIGITS: Final = 999
"""The length of a number's integer part is written in three digits. A longer one would not fit a sort key anyway."""

_LENGTHS: Final = tuple(f"{length:03d}" for length in range(MAX_DIGITS + 1))
_NUMBER: Final = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?")
_COMPLEMENT: Final = str.maketrans("0123456789", "9876543210")
_NEGATIVE, _POSITIVE = "0", "1"
_ZERO: Final = "000"
_LAST: Final = "~"


def natural(digits: str) -> str:
    """Encode a run of ASCII digits: its length in three digits, then the digits without leading zeros; 0 is 000.

    Raises ValueError for more than MAX_DIGITS significant digits.
    """
    significant = digits.lstrip("0")
    if len(significant) > MAX_DIGITS:
        raise ValueError(f"a number of {len(significant)} digits is too long to compare")
    return _LENGTHS[len(significant)] + significant


def decimal(text: str, *, descending: bool = False) -> str | None:
    """Encode `-?digits[.digits]`; None for anything else, such as exponents, hex, a plus sign, inf and nan.

    Equal numbers (007 and 7, 1.50 and 1.5, -0 and 0) give equal text. Descending encodes the negated number.
    Negative numbers have complemented digits and a last character above them all, so that -1.5 sorts below -1.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    sign, whole, fraction = match.groups()
    try:
        magnitude = natural(whole)
    except ValueError:
        return None
    if fraction and (rest := fraction.rstrip("0")):
        magnitude = f"{magnitude}.{rest}"
    if (sign == "-") is descending or magnitude == _ZERO:
        return _POSITIVE + magnitude
    return f"{_NEGATIVE}{magnitude.translate(_COMPLEMENT)}{_LAST}"
