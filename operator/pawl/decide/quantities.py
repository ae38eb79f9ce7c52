"""Amounts as Kubernetes writes them: `100Gi`, `500m`, `1e3`. Exact: no floats.

Neighbours: `subset` compares by value, `expansion` and `pressure` count bytes. Not here: bounds.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_FORM: Final = re.compile(
    r"^([+-]?[0-9]+(?:\.[0-9]*)?|[+-]?\.[0-9]+)(?:([eE][+-]?[0-9]{1,3})|([numkMGTPE]|[KMGTPE]i))?$"
)
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def quantity(text: str) -> Decimal:
    """Return the value of an amount. Raises ValueError for what is none."""
    found = _FORM.match(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no amount; write it like 100Gi or 500m")
    number, exponent, unit = found.groups()
    value = Decimal(number + (exponent or ""))
    if unit in _BINARY:
        return value * (1 << _BINARY[unit])
    return value.scaleb(_DECIMAL[unit]) if unit else value
