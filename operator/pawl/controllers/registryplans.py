"""Plans of collections: what is used is listed, and the meter beside the store says what would go.

A plan may take minutes, so it is made beside the looks: the one that wants it goes on without, and is woken by it.
Neighbours: `registryuses` lists, `registryworkers` asks. Not here: whether a plan is carried out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from pawl.api.errors import ClusterError
from pawl.api.registrystorage import RegistryStorage
from pawl.api.registrywork import Order, Plan, Task
from pawl.controllers.queue import Key
from pawl.controllers.registrystore import key_of
from pawl.controllers.registryuses import UsesReader
from pawl.controllers.registryworkers import Asked, WorkerClient
from pawl.decide.workobjects import text_of, too_heavy

_MORE: Final = " " * 16384
"""What a Job is told besides, and what may come into use before it is made."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Made:
    """A plan. `partial`: why some uses may be missing, or empty. `seconds`: how long it took."""

    collection: str
    plan: Plan
    partial: str = ""
    seconds: float = 0.0


class PlanDesk:
    """Makes plans, one at a time for a registry. One for a term; `close` it."""

    def __init__(self, uses: UsesReader, workers: WorkerClient, wake: Callable[[Key], None]) -> None:
        self._uses = uses
        self._workers = workers
        self._wake = wake
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._made: dict[Key, Made] = {}

    def made(self, key: Key, collection: str) -> Made | None:
        """Return the plan of a collection, None while there is none."""
        found = self._made.get(key)
        return found if found is not None and found.collection == collection else None

    def ask(self, storage: RegistryStorage, collection: str, meter: Asked) -> None:
        """Begin a plan, unless it is being made or there."""
        key = key_of(storage)
        if key not in self._running and self.made(key, collection) is None:
            task = asyncio.create_task(self._make(key, storage, collection, meter))
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))

    def forget(self, key: Key) -> None:
        """Forget the plan of a registry."""
        self._made.pop(key, None)

    async def close(self) -> None:
        """End what is under way."""
        running = tuple(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _make(self, key: Key, storage: RegistryStorage, collection: str, meter: Asked) -> None:
        clock = asyncio.get_running_loop().time
        begin = clock()
        try:
            seen = await self._uses.read(storage)
        except ClusterError as error:
            log.warning("uses of images could not be listed", registry=str(key), error=str(error))
            return
        order = Order(
            task=Task.METER,
            id=collection,
            retention=list(storage.spec.retention),
            collection=storage.spec.collection,
            uses=list(seen.uses),
            now=self._uses.now(),
        )
        # A Job that cannot be told must be known before pushes stop for it.
        heavy = too_heavy([text_of(order), _MORE])
        plan = Plan(refused=heavy) if heavy else await self._workers.plan(meter, order)
        if plan is not None:
            self._made[key] = Made(collection, plan, seen.partial, clock() - begin)
            log.info("collection planned", registry=str(key), tags=plan.tags, delete_tags=plan.delete_tags)
            self._wake(key)
