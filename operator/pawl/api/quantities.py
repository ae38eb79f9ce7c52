"""Amounts as Kubernetes writes them: `100Gi`, `500m`, `1e3`. Exact: no floats.

Neighbours: `decide.subset` compares by value, `decide.expansion` and `decide.pressure` count bytes. Not here: bounds.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
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


def amount_of(text: str) -> int:
    """Return an amount as a whole number, rounded up. Raises ValueError for what is none."""
    return int(quantity(text).to_integral_value(ROUND_CEILING))


def amount_or(text: object, default: int = 0) -> int:
    """Return an amount that somebody wrote, `default` where there is none."""
    try:
        return amount_of(text) if isinstance(text, str) else int(text) if isinstance(text, int) else default
    except ValueError:
        return default


def in_gibibytes(count: int) -> str:
    """Return bytes as people read them: `1.5 GiB`, `300 MiB`."""
    for unit, power in (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << power:
            return f"{count / (1 << power):.3g} {unit}"
    return f"{count} B"
