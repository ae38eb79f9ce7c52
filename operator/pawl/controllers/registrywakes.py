"""Watches of what belongs to RegistryStorages, in few words: which one is to be looked at again.

Only what carries the label of a registry is watched, and of each object only whose it is: a look lists what it needs.
Neighbours: `registryterm` runs it, `registryfacts` lists. Not here: facts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from typing import Final

import msgspec

from pawl.cluster.client import Cluster
from pawl.cluster.resources import (
    CLAIMS,
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    INGRESSES,
    JOBS,
    PODS,
    SERVICES,
    Resource,
)
from pawl.cluster.watch import Scope, Watch
from pawl.controllers.queue import Key, WorkQueue
from pawl.controllers.registrystore import KIND

LABEL: Final = "pawl.dev/registry"
"""Names the RegistryStorage that an object is of."""
WATCHED: Final = (DEPLOYMENTS, CONFIG_MAPS, JOBS, PODS, SERVICES, CLAIMS, DAEMON_SETS, INGRESSES)
PAUSE: Final = 0.2
"""Seconds for which a woken key waits for more."""


class _Meta(msgspec.Struct):
    namespace: str = ""
    labels: dict[str, str] = {}


class _Object(msgspec.Struct):
    metadata: _Meta


_OBJECT: Final = msgspec.json.Decoder(_Object)


class RegistryWakes:
    """Turns changes of objects into keys."""

    def __init__(self, cluster: Cluster, queue: WorkQueue, namespaces: Sequence[str]) -> None:
        self._queue = queue
        self._watches = tuple(Watch(cluster, scope, _owner) for scope in _scopes(namespaces))

    async def run(self) -> None:
        """Watch until cancelled. What ends a watch is mended inside."""
        async with asyncio.TaskGroup() as group:
            for watch in self._watches:
                group.create_task(self._follow(watch))

    async def _follow(self, watch: Watch[Key]) -> None:
        async with aclosing(watch.events()) as events:
            async for event in events:
                if event.object is not None:
                    self._queue.add_at(event.object, PAUSE)


def _owner(raw: bytes) -> Key:
    meta = _OBJECT.decode(raw).metadata
    return Key(KIND, meta.namespace, meta.labels.get(LABEL, ""))


def _scopes(namespaces: Sequence[str]) -> Iterator[Scope]:
    for resource in WATCHED:
        for namespace in namespaces or (None,):
            yield _scope(resource, namespace)


def _scope(resource: Resource, namespace: str | None) -> Scope:
    return Scope(resource, namespace, label_selector=LABEL)
