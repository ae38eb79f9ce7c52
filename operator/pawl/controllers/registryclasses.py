"""Whether claims of a StorageClass can grow, read by name and kept for minutes.

Neighbours: `registryfacts` asks. Not here: when a claim grows (`decide.expansion`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from pawl.api.errors import Forbidden, NotFound
from pawl.cluster.client import Cluster
from pawl.cluster.resources import STORAGE_CLASSES

KEPT: Final = 300.0
"""Seconds for which an answer is used again."""


class _Class(msgspec.Struct, rename="camel"):
    allow_volume_expansion: bool = False


_CLASS: Final = msgspec.json.Decoder(_Class)


class Classes:
    """Reads StorageClasses. `clock` gives monotonic seconds."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._clock = clock
        self._known: dict[str, tuple[float, bool | None]] = {}

    async def grows(self, name: str) -> bool | None:
        """Tell whether claims of a class can grow; None where the class may not be read or is not there."""
        at, found = self._known.get(name, (-KEPT, None))
        if self._clock() - at >= KEPT:
            try:
                raw = await self._cluster.get(STORAGE_CLASSES, None, name)
                found = _CLASS.decode(raw).allow_volume_expansion
            except (Forbidden, NotFound):
                found = None
            self._known[name] = (self._clock(), found)
        return found
