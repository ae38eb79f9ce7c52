"""All parts of the controller of RegistryStorages, put together once for a term.

Neighbours: `registryterm` runs it. Not here: behaviour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from pawl.cluster.registryledger import RegistryLedger
from pawl.cluster.registryobjects import RegistryObjects
from pawl.controllers.loop import Loop
from pawl.controllers.queue import WorkQueue
from pawl.controllers.registryaccess import AccessKeeper
from pawl.controllers.registryacts import Hands, RegistryActor
from pawl.controllers.registryapply import Applier, Guard
from pawl.controllers.registryclaims import Claims
from pawl.controllers.registryclasses import Classes
from pawl.controllers.registryfacts import FactsGatherer, Sources
from pawl.controllers.registryfinish import RegistryFinisher
from pawl.controllers.registryjobs import Jobs
from pawl.controllers.registrymemory import MemoryBook
from pawl.controllers.registryplans import PlanDesk
from pawl.controllers.registryproofs import Proofs
from pawl.controllers.registryreport import RegistryReporter
from pawl.controllers.registrystorage import RegistryParts, RegistryStorageController
from pawl.controllers.registryuses import UsesReader
from pawl.controllers.registrywakes import RegistryWakes
from pawl.controllers.registryworkers import WorkerClient
from pawl.controllers.replica import Replica


@dataclass(frozen=True, slots=True)
class Whole:
    """What runs in a term, and what is to be closed after it."""

    queue: WorkQueue
    loop: Loop
    wakes: RegistryWakes
    plans: PlanDesk
    workers: WorkerClient

    @classmethod
    def of(cls, replica: Replica, guard: Guard, now: Callable[[], float]) -> Whole:
        """Make all parts; nothing is sent yet."""
        settings, workers = replica.settings, WorkerClient()
        uses = UsesReader(replica.cluster, replica.store, replica.overrides, settings.watch_namespaces, now)
        plans = PlanDesk(uses, workers, replica.registry_queue.add)
        controller = RegistryStorageController(_parts(replica, guard, now, (uses, plans, workers)))
        return cls(
            queue=replica.registry_queue,
            loop=Loop(replica.registry_queue, controller, replica.metrics),
            wakes=RegistryWakes(replica.cluster, replica.registry_queue, settings.watch_namespaces),
            plans=plans,
            workers=workers,
        )

    def works(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """Return what runs until it is cancelled."""
        return self.queue.run(self.loop.work), self.wakes.run()

    async def close(self) -> None:
        """End what is under way."""
        await self.plans.close()
        await self.workers.close()


def _parts(
    replica: Replica, guard: Guard, now: Callable[[], float], made: tuple[UsesReader, PlanDesk, WorkerClient]
) -> RegistryParts:
    cluster, settings, (uses, plans, workers) = replica.cluster, replica.settings, made
    objects, book = RegistryObjects(cluster), MemoryBook(RegistryLedger(cluster))
    applier, access = Applier(cluster, objects, guard), AccessKeeper(cluster)
    jobs = Jobs(cluster, applier, guard, settings.image, settings.pull_secrets)
    hands = Hands(applier, Claims(cluster, applier, guard), jobs, uses, settings.image, settings.pull_secrets)
    classes = Classes(cluster, asyncio.get_running_loop().time)
    return RegistryParts(
        cluster=cluster,
        store=replica.registries,
        gatherer=FactsGatherer(Sources(objects, access, book, workers, classes, now)),
        book=book,
        actor=RegistryActor(hands),
        plans=plans,
        proofs=Proofs(cluster, applier, guard, settings.image, settings.pull_secrets),
        reporter=RegistryReporter(cluster, replica.registries, replica.recorder, guard),
        finisher=RegistryFinisher(cluster, replica.registries, access.release, guard),
        metrics=replica.metrics.registries,
        guard=guard,
        now=now,
        image=settings.image,
        partial=uses.partial,
    )
