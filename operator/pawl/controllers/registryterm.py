"""The part of a term that is about RegistryStorages: it sleeps until there is one, then keeps each as its spec says.

A cluster without one pays for none of it. Neighbours: `term` starts it, `registrystorage` is what runs. Not here: what
the controller does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from pawl.controllers.registrywakes import RegistryWakes
from pawl.controllers.replica import Replica

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
        log.info("registries are worked on", registries=len(replica.registries))
        await RegistryWakes(replica.cluster, replica.registry_queue, replica.settings.watch_namespaces).run()

    async def _until_needed(self) -> None:
        """Return once there is a RegistryStorage."""
        needed, registries = asyncio.Event(), self._replica.registries
        registries.listen(lambda _: needed.set())
        if not len(registries):
            await needed.wait()
