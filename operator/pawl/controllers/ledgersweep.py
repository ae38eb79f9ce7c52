"""Sweeps ledgers whose policies are gone: marked when first seen alone, deleted after 90 days.

Neighbours: `cluster.ledgers` decides and executes. Not here: the ledgers of living policies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Final

import structlog

from pawl.api.errors import ClusterError
from pawl.cluster.ledgers import LedgerStore, sweep

PERIOD: Final = 3600.0
"""Seconds between two sweeps."""

log = structlog.get_logger(__name__)


class LedgerSweep:
    """Sweeps while this replica leads. `existing` returns (namespace, name) of all policies."""

    def __init__(
        self,
        store: LedgerStore,
        existing: Callable[[], Collection[tuple[str, str]]],
        guard: Callable[[], object],
        namespaces: Sequence[str] = (),
    ) -> None:
        self._store = store
        self._existing = existing
        self._guard = guard
        self._namespaces: Sequence[str | None] = tuple(namespaces) or (None,)

    async def run(self, period: float = PERIOD) -> None:
        """Sweep until cancelled; a sweep that fails is tried again in the next round."""
        while True:
            await asyncio.sleep(period)
            try:
                await self.once(datetime.now(UTC))
            except ClusterError as error:
                log.warning("sweep of ledgers failed", error=str(error))

    async def once(self, now: datetime) -> int:
        """Sweep once and return how many ledgers were marked or deleted."""
        rows = [row for namespace in self._namespaces async for row in self._store.rows(namespace)]
        self._guard()
        return await self._store.execute(sweep(rows, self._existing(), now))
