"""What `pawl uninstall` does about RegistryStorages: they stay and serve, and nothing of Pawl holds their deletion up.

One that hands its credentials out has a finalizer, so that they are taken back with it. Without Pawl nobody would take
it off: so it goes now, with a note that keeps a replica that still runs from setting it again.
Neighbours: `uninstall` calls. Not here: servers, claims and buckets, which stay as they are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from pawl.api.errors import NotFound
from pawl.cluster.client import Cluster
from pawl.cluster.resources import REGISTRY_STORAGES
from pawl.controllers.registrymarks import FINALIZER, LEAVE


class _Meta(msgspec.Struct):
    name: str
    namespace: str
    finalizers: list[str] = []


class _Item(msgspec.Struct):
    metadata: _Meta


class _Page(msgspec.Struct):
    items: list[_Item] | None = None  # Go writes an empty list as null


_PAGE: Final = msgspec.json.Decoder(_Page)


@dataclass(frozen=True, slots=True)
class Held:
    """One RegistryStorage. `others` are the finalizers that are not Pawl's; `held`: Pawl's is among them."""

    namespace: str
    name: str
    held: bool
    others: tuple[str, ...] = ()


async def registries(cluster: Cluster, namespaces: Sequence[str]) -> list[Held]:
    """Read all RegistryStorages; none where the API server does not know them. Raises ClusterError."""
    places: Sequence[str | None] = tuple(namespaces) or (None,)
    return [each for place in places async for each in _read(cluster, place)]


async def _read(cluster: Cluster, place: str | None) -> AsyncIterator[Held]:
    try:
        async for page in cluster.list_pages(REGISTRY_STORAGES, place, metadata_only=True):
            for item in _PAGE.decode(page).items or ():
                meta = item.metadata
                others = tuple(one for one in meta.finalizers if one != FINALIZER)
                yield Held(meta.namespace, meta.name, FINALIZER in meta.finalizers, others)
    except NotFound:
        return


def told(found: Iterable[Held]) -> list[str]:
    """Say what becomes of them. Pure."""
    lines = [f"{f'registrystorage {each.namespace}/{each.name}':<40} stays and serves" for each in found]
    end = "their servers go with the CRDs; claims, buckets and what is in them stay"
    return [*lines, end] if lines else []


async def let_go(cluster: Cluster, found: Iterable[Held]) -> None:
    """Take Pawl's finalizer off; one that is gone is no error. Raises ClusterError."""
    for each in found:
        if each.held:
            metadata = {"finalizers": list(each.others), "annotations": {LEAVE: "true"}}
            with suppress(NotFound):
                await cluster.merge_patch(REGISTRY_STORAGES, each.namespace, each.name, {"metadata": metadata})
