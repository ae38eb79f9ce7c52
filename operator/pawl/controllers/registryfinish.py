"""The end of a RegistryStorage: pull Secrets in other namespaces go with it, its bytes stay.

What is in its own namespace goes by ownerReference; claims, buckets and the ledger have none. Only one that hands its
credentials out has a finalizer, and it holds nothing up for long. Neighbours: `registryaccess` knows where Secrets are.
Not here: stores, which nothing deletes but `spec.migration.deleteOldStore`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

import structlog

from pawl.api.registrystorage import RegistryStorage
from pawl.cluster.client import Cluster
from pawl.cluster.resources import REGISTRY_STORAGES
from pawl.controllers.registryapply import Guard
from pawl.controllers.registrymarks import FINALIZER, LEAVE
from pawl.controllers.registrystore import RegistryStore

PATIENCE: Final = 120.0
"""Seconds for which a deletion waits for Secrets that cannot be taken back: after that it goes without."""
AGAIN: Final = 5.0

Release = Callable[[RegistryStorage], Awaitable[tuple[str, ...]]]

log = structlog.get_logger(__name__)


class RegistryFinisher:
    """Sets finalizers and lets go of them. One for a term."""

    def __init__(self, cluster: Cluster, store: RegistryStore, release: Release, guard: Guard) -> None:
        self._cluster = cluster
        self._store = store
        self._release = release
        self._guard = guard

    async def mark(self, storage: RegistryStorage) -> bool:
        """Set the finalizer before the first Secret is handed out; return whether it was set now."""
        names, left = storage.metadata.finalizers, storage.metadata.annotations.get(LEAVE) == "true"
        if left or storage.spec.access.pull_secrets is None or FINALIZER in names:
            return False
        await self._write(storage, (*names, FINALIZER))
        return True

    async def finish(self, storage: RegistryStorage, now: datetime) -> float | None:
        """Take back what was handed out and let go; return seconds until the next try, None where all is done."""
        names = storage.metadata.finalizers
        if FINALIZER not in names:
            return None
        self._guard()
        failed = await self._release(storage)
        begun = storage.metadata.deletion_timestamp
        place = f"{storage.metadata.namespace}/{storage.metadata.name}"
        if failed and begun and (now - datetime.fromisoformat(begun)).total_seconds() < PATIENCE:
            log.warning("pull Secrets could not be taken back yet", registry=place, error=failed[0])
            return AGAIN
        if failed:
            log.warning("pull Secrets stay behind", registry=place, error=failed[0], failed=len(failed))
        await self._write(storage, [name for name in names if name != FINALIZER])
        return None

    async def _write(self, storage: RegistryStorage, names: Sequence[str]) -> None:
        meta = storage.metadata
        self._guard()
        body = {"metadata": {"resourceVersion": meta.resource_version, "finalizers": list(names)}}
        self._store.keep(await self._cluster.merge_patch(REGISTRY_STORAGES, meta.namespace, meta.name, body))
