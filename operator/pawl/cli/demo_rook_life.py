"""One life of the operator that plays Rook, from the start of its Pod to its end: what it writes, and when.

It behaves as Rook and its like do, also where that is a nuisance: it reads its image once, PUTs over what others wrote,
leaves a Job alone whose Pod cannot pull its image (rook/rook#15511; `pkg/operator/k8sutil/job.go: RunReplaceableJob`).
Neighbours: `demo_rook_objects` holds the manifests, `demo_rook` finds the Pod. Not here: anything cleverer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pawl.api.errors import ClusterError
from pawl.cli import demo_rook_objects as objects
from pawl.cli.demo_rook_hands import Hands, Say
from pawl.cli.demo_rook_objects import Json, Modes, Own
from pawl.cluster.resources import CONFIG_MAPS, PODS


class Life:
    """The operator in one Pod. What it remembers ends with the Pod."""

    def __init__(self, own: Own, modes: Modes, hands: Hands, say: Say) -> None:
        self.own = own
        self._modes = modes
        self._hands = hands
        self._say = say
        self._put_at: float | None = None
        self._prepared: set[str] = set()
        self._mon_image = ""

    async def turn(self) -> None:
        """Reconcile everything once. What fails is told and tried again with the next turn."""
        for part in (self._discover, self._prepare, self._mon, self._workers):
            try:
                await part()
            except ClusterError as error:
                self._say("failed", part.__name__.strip("_"), str(error))

    async def _discover(self) -> None:
        if not self._is_due():
            return
        body = objects.discover(self.own)
        created = await self._hands.create(objects.DAEMON_SETS, body)
        if not created and not self._modes.skip_if_exists:
            await self._hands.put(objects.DAEMON_SETS, body)
        self._put_at = asyncio.get_running_loop().time()

    def _is_due(self) -> bool:
        if self._put_at is None:
            return True
        loop = self._modes.put_loop
        return loop > 0 and asyncio.get_running_loop().time() >= self._put_at + loop

    async def _prepare(self) -> None:
        owners = await self._owners()
        if owners is None:
            return
        for node in await self._hands.find(objects.NODES):
            await self._prepare_node(node["metadata"]["name"], owners)

    async def _prepare_node(self, node: str, owners: Sequence[Json]) -> None:
        """Run the Job of a node: where it exists, once a start, and not if it counts as active."""
        name = objects.prepare_name(node)
        found = await self._hands.get(objects.JOBS, name)
        if found is None:
            await self._hands.create(objects.JOBS, objects.prepare(self.own, self._modes, node, owners))
        elif node not in self._prepared and not _is_active(found) and not _is_deleting(found):
            # It is missing, and made anew, as soon as its Pods are gone.
            await self._hands.delete(objects.JOBS, found, "Foreground")
        self._prepared.add(node)

    async def _mon(self) -> None:
        config = await self._hands.get(CONFIG_MAPS, objects.CLUSTER)
        owners = await self._owners()
        image = (config or {}).get("data", {}).get("image")
        if image is None or owners is None:
            return
        found = await self._hands.get(objects.DEPLOYMENTS, objects.MON)
        if found is None:
            await self._hands.create(objects.DEPLOYMENTS, objects.mon(image, owners))
        elif self._is_put(found, image):
            await self._hands.put(objects.DEPLOYMENTS, objects.mon(image, owners))
        self._mon_image = image

    def _is_put(self, found: Json, image: str) -> bool:
        """An edited custom resource is always followed, what others wrote is reverted in that mode only."""
        edited = self._mon_image not in ("", image)
        return edited or (self._modes.revert and objects.image_in(found) != image)

    async def _workers(self) -> None:
        owners = await self._owners() if self._modes.workers else None
        if owners is None:
            return
        for index in range(self._modes.workers):
            await self._worker(objects.worker(self.own, index, owners))

    async def _worker(self, body: Json) -> None:
        found = await self._hands.get(PODS, body["metadata"]["name"])
        if found is None:
            await self._hands.create(PODS, body)
        elif self._modes.pod_compare and not _is_deleting(found) and objects.image_in(found) != self.own.image:
            await self._hands.delete(PODS, found, "Background")

    async def _owners(self) -> Sequence[Json] | None:
        """The owners of what is made; None while there is nothing that could own it."""
        if self._modes.owner == "replicaset":
            return self.own.owners
        if self._modes.owner == "configmap":
            config = await self._hands.get(CONFIG_MAPS, objects.CLUSTER)
            return None if config is None else (objects.owner_of("v1", "ConfigMap", config["metadata"]),)
        parent = await self._hands.get(objects.REPLICA_SETS, self.own.owners[0]["name"])
        return None if parent is None else objects.unblocked(parent["metadata"])


def _is_active(job: Json) -> bool:
    """A Job whose Pod waits for its image counts as active too."""
    return bool(job.get("status", {}).get("active", 0))


def _is_deleting(found: Json) -> bool:
    return "deletionTimestamp" in found["metadata"]
