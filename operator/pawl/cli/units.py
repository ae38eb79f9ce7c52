"""Bytes, rates and spans as people read them. Pure.

Neighbours: tables of registries use them. Not here: Kubernetes quantities.
"""

from __future__ import annotations

from typing import Final

_STEPS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size(count: float) -> str:
    """Return bytes in the greatest unit that leaves a number of 1 or more: `1.5 GiB`."""
    amount = float(count)
    for unit in _STEPS[:-1]:
        if amount < 1023.95:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} {_STEPS[-1]}"


def rate(per_second: float) -> str:
    """Return bytes a second."""
    return f"{size(per_second)}/s"


def span(seconds: float) -> str:
    """Return a time in its greatest unit and the one after it: `2m10s`."""
    left, parts = max(int(seconds), 0), list[str]()
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        amount, left = divmod(left, length)
        if amount or parts:
            parts.append(f"{amount}{unit}" if amount else "")
        if len(parts) == 2:
            break
    return "".join(parts) or "0s"


def percent(part: float, whole: float) -> int:
    """Return how much of a whole is done, rounded down so that 100 means all of it; all of nothing is 100."""
    return 100 if whole <= 0 else max(min(int(100 * part / whole), 100), 0)
