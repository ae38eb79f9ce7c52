"""Plays the provisioner: a directory and a PersistentVolume for each claim, growth, and the end of released ones.

Every class with our provisioner is served; `host` is there from the start. Of several host nodes the first serves, but
for a class whose parameter `node` names another. Binding is done by Kubernetes itself.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pawl.sandbox.hostnode.kube import Kube
from pawl.sandbox.hostnode.mounts import Mounts
from pawl.sandbox.hostnode.objects import PROVISIONER, volume

Json = dict[str, Any]

CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
CLAIMS = "/api/v1/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"


@dataclass(frozen=True)
class Provisioner:
    """Keeps claims of one node below `directory`."""

    kube: Kube
    directory: Path
    node: str
    first: bool = True
    mounts: Mounts | None = None
    """Where claims have the size that they ask for."""

    async def tick(self) -> None:
        """Do what there is to do now."""
        classes = {each["metadata"]["name"]: each for each in await self.kube.items(CLASSES) or ()}
        ours = {name: each for name, each in classes.items() if self._serves(each)}
        for claim in await self.kube.items(CLAIMS) or ():
            if found := ours.get(claim["spec"].get("storageClassName") or ""):
                await self._claim(claim, found.get("reclaimPolicy", "Delete"))
        for held in await self.kube.items(VOLUMES) or ():
            await self._released(held)

    def _serves(self, found: Json) -> bool:
        node = (found.get("parameters") or {}).get("node")
        return bool(found["provisioner"] == PROVISIONER and (node == self.node if node else self.first))

    async def _claim(self, claim: Json, policy: str) -> None:
        phase = claim.get("status", {}).get("phase")
        if phase == "Bound":
            await self._grow(claim)
        elif phase == "Pending" and not claim["spec"].get("volumeName"):
            await self._provision(claim, policy)

    async def _provision(self, claim: Json, policy: str) -> None:
        meta = claim["metadata"]
        path = self.directory / meta["namespace"] / f"{meta['name']}-{meta['uid'][:8]}"
        path.mkdir(parents=True, exist_ok=True)
        if self.mounts:
            await self.mounts.make(path, claim["spec"]["resources"]["requests"]["storage"])
        await self.kube.call("POST", VOLUMES, volume(claim, str(path), self.node, policy))

    async def _grow(self, claim: Json) -> None:
        meta, wanted = claim["metadata"], claim["spec"]["resources"]["requests"]["storage"]
        if claim["status"].get("capacity", {}).get("storage") == wanted:
            return
        capacity = {"capacity": {"storage": wanted}}
        held = await self.kube.get(f"{VOLUMES}/{claim['spec']['volumeName']}")
        if self.mounts and held:
            await self.mounts.make(Path(held["spec"]["hostPath"]["path"]), wanted)
        await self.kube.call("PATCH", f"{VOLUMES}/{claim['spec']['volumeName']}", {"spec": capacity})
        path = f"/api/v1/namespaces/{meta['namespace']}/persistentvolumeclaims/{meta['name']}/status"
        await self.kube.call("PATCH", path, {"status": {**capacity, "conditions": None}})

    async def _released(self, held: Json) -> None:
        meta, spec = held["metadata"], held["spec"]
        made = meta.get("annotations", {}).get("pv.kubernetes.io/provisioned-by") == PROVISIONER
        over = held.get("status", {}).get("phase") == "Released" and spec["persistentVolumeReclaimPolicy"] == "Delete"
        path = Path(spec.get("hostPath", {}).get("path", "/"))
        if made and over and self._holds(path) and "deletionTimestamp" not in meta:
            if self.mounts:
                await self.mounts.drop(path)
            shutil.rmtree(path, ignore_errors=True)
            await self.kube.call("DELETE", f"{VOLUMES}/{meta['name']}")

    def _holds(self, path: Path) -> bool:
        # Only what lies below our own directory is ever removed, whatever an object says.
        return path.resolve().is_relative_to(self.directory.resolve()) and path.resolve() != self.directory.resolve()
