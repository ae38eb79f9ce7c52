"""The second copy of what must survive about a registry: a ConfigMap per RegistryStorage, written before its status.

It has no ownerReference: a status is lost with its object and in most backups, while the bytes stay. Who makes a
RegistryStorage of that name again goes on with the store that was served last, and never with an empty one by mistake.
Neighbours: `controllers.registrymemory` says what stands in it. Not here: which copy counts (`decide.storagemachine`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from pawl.api.errors import Conflict, Invalid, NotFound
from pawl.cluster.client import Cluster
from pawl.cluster.resources import CONFIG_MAPS
from pawl.decide.objects import MANAGER
from pawl.decide.registrynames import MANAGED_BY, PART, REGISTRY, Names

DATA_KEY: Final = "memory"
MAX_BYTES: Final = 256 * 1024
LEDGER: Final = "ledger"


@dataclass(frozen=True, slots=True)
class Stored:
    """A ledger as it is stored; both None where there is none. `text` alone None: it was emptied by hand."""

    text: str | None = None
    resource_version: str | None = None


class _Meta(msgspec.Struct, rename="camel"):
    resource_version: str


class _ConfigMap(msgspec.Struct):
    metadata: _Meta
    data: dict[str, str] | None = None


_CONFIG_MAP: Final = msgspec.json.Decoder(_ConfigMap)


class RegistryLedger:
    """Reads and writes ledgers. Every method may raise a ClusterError."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def read(self, namespace: str, name: str) -> Stored:
        """Return the ledger of a RegistryStorage; an absent one is no error."""
        try:
            raw = await self._cluster.get(CONFIG_MAPS, namespace, Names(name).ledger)
        except NotFound:
            return Stored()
        return _stored(raw)

    async def write(self, namespace: str, name: str, text: str, resource_version: str | None) -> Stored:
        """Store a ledger over what `read` returned; None creates. Raises Conflict where somebody else was first."""
        if len(text.encode()) > MAX_BYTES:
            raise Invalid(f"the ledger of registrystorage {namespace}/{name} is larger than {MAX_BYTES} bytes")
        ledger, labels = Names(name).ledger, {MANAGED_BY: MANAGER, REGISTRY: name, PART: LEDGER}
        metadata = {"name": ledger, "namespace": namespace, "labels": labels}
        if resource_version is None:
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {DATA_KEY: text}}
            return _stored(await self._cluster.create(CONFIG_MAPS, namespace, body))
        patch = {"metadata": {"resourceVersion": resource_version, "labels": labels}, "data": {DATA_KEY: text}}
        try:
            return _stored(await self._cluster.merge_patch(CONFIG_MAPS, namespace, ledger, patch))
        except NotFound:
            raise Conflict(f"configmaps {namespace}/{ledger} was deleted; read again", status=404) from None


def _stored(raw: bytes) -> Stored:
    found = _CONFIG_MAP.decode(raw)
    return Stored((found.data or {}).get(DATA_KEY), found.metadata.resource_version)
