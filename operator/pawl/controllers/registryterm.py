"""The part of a term that is about RegistryStorages: it sleeps until there is one, then keeps each as its spec says.

A cluster without one pays for none of it. Neighbours: `term` starts it, `registrystorage` is what runs. Not here: what
the controller does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from pawl.controllers.replica import Replica
from pawl.controllers.tasks import run_until

log = structlog.get_logger(__name__)


class RegistryTerm:
    """All about RegistryStorages that lives as long as a term. `guard` raises LeaseLost where nothing may be done."""

    def __init__(self, replica: Replica, guard: Callable[[], int]) -> None:
        self._replica = replica
        self._guard = guard

    async def run(self) -> None:
        """Work until cancelled."""
        replica = self._replica
        if replica.registries.blind:
            return
        await self._until_needed()
        # Imported by who needs it: most clusters have no registry, and every replica would hold it in memory.
        from pawl.controllers.registrywhole import Whole  # noqa: PLC0415

        log.info("registries are worked on", registries=len(replica.registries), image=replica.settings.image)
        await replica.complete.wait()
        whole = Whole.of(replica, self._guard, time.time)
        for key in replica.registries:
            replica.registry_queue.add(key)
        try:
            with replica.metrics.registries.term():
                await run_until(asyncio.Event(), *whole.works())
        finally:
            await whole.close()

    async def _until_needed(self) -> None:
        """Return once there is a RegistryStorage."""
        needed, registries = asyncio.Event(), self._replica.registries
        registries.listen(lambda _: needed.set())
        if not len(registries):
            await needed.wait()
