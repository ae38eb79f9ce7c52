"""Rook's namespace as it changes: every stored change is seen, so no state of a workload is missed, however short.

Neighbours: `demo_rook_stage` makes rows of what is held here. Not here: a watch that is opened again (`cluster.watch`):
where one breaks, the check that waits on it fails and tells what was seen last.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from pawl.cli.demo_rook_objects import Json
from pawl.cluster.client import Cluster
from pawl.cluster.resources import Resource

SILENCE: Final = 120.0
"""Seconds without a line: longer than any step lasts."""

Held = Mapping[Resource, list[Json]]
Told = Callable[[Held], None]


class Follower:
    """Holds the objects of some kinds in a namespace. `tell` is called with all of them after each change."""

    def __init__(self, cluster: Cluster, namespace: str, tell: Told) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._tell = tell
        self._held: dict[Resource, dict[str, Json]] = {}

    @asynccontextmanager
    async def following(self, *kinds: Resource) -> AsyncIterator[None]:
        """Follow these kinds for the time of the block. Raises ClusterError where they cannot be read."""
        versions = {kind: await self._list(kind) for kind in kinds}
        self._say()
        # No TaskGroup: it would wrap what the block raises.
        tasks = [asyncio.create_task(self._watch(kind, version)) for kind, version in versions.items()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _list(self, kind: Resource) -> str:
        version = ""
        self._held[kind] = {}
        async for page in self._cluster.list_pages(kind, self._namespace):
            listed = json.loads(page)
            version = listed["metadata"]["resourceVersion"]
            self._held[kind] |= {each["metadata"]["uid"]: each for each in listed["items"]}
        return version

    async def _watch(self, kind: Resource, version: str) -> None:
        async with self._cluster.watch(kind, self._namespace, {"resourceVersion": version}, SILENCE) as lines:
            async for line in lines:
                self._note(kind, json.loads(line))
                self._say()

    def _note(self, kind: Resource, line: Json) -> None:
        uid = line["object"].get("metadata", {}).get("uid", "")
        if line["type"] == "DELETED":
            self._held[kind].pop(uid, None)
        elif uid:
            self._held[kind][uid] = line["object"]

    def _say(self) -> None:
        self._tell({kind: list(found.values()) for kind, found in self._held.items()})
