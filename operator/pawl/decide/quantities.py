"""Amounts as Kubernetes writes them (`100Gi`, `1.5G`, `500m`) as whole numbers, and bytes as such an amount.

Neighbours: `api.registrystorage_spec` bounds what users may write. Not here: what is enough.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal, InvalidOperation
from types import MappingProxyType
from typing import Final

UNITS: Final = MappingProxyType(
    {"m": Decimal("0.001"), "k": Decimal(1000)}
    | {unit: Decimal(1000) ** power for power, unit in enumerate("MGTPE", 2)}
    | {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)}
)


def amount_of(text: str) -> int:
    """Return an amount, rounded up. Raises ValueError for what is none."""
    tail = next((unit for unit in sorted(UNITS, key=len, reverse=True) if text.endswith(unit)), "")
    try:
        number = Decimal(text.removesuffix(tail)) * UNITS.get(tail, Decimal(1))
        return int(number.to_integral_value(ROUND_CEILING))
    except (InvalidOperation, ValueError, OverflowError):
        raise ValueError(f"{text[:32]!r} is no amount; write it like 100Gi") from None


def amount_or(text: object, default: int = 0) -> int:
    """Return an amount that the API server wrote, `default` where there is none."""
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
