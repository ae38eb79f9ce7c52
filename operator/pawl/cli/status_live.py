"""The live cluster read once: overrides, policies, tables, and the rows of the world, without watches and writes.

A command asks one question and goes, so lists are enough; a right that is missing ends the command, but for what only
adds to the answer (`notes`). Neighbours: `status`, `plan`, `why` and `duplicates` ask. Not here: judgement.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec

from pawl.api.errors import Forbidden, NotFound
from pawl.api.imageoverride import Override
from pawl.api.imagerules import TABLE_NAME
from pawl.cli.table_override import SeenOverride, UnreadableOverride, read_override
from pawl.cli.table_registry import SeenRegistry, read_registry
from pawl.cluster.client import Cluster
from pawl.cluster.resources import (
    CLUSTER_IMAGE_OVERRIDES,
    CLUSTER_IMAGE_RULES,
    IMAGE_OVERRIDES,
    IMAGE_POLICIES,
    IMAGE_RULES,
    NAMESPACES,
    NODES,
    REGISTRY_STORAGES,
    Resource,
)
from pawl.cluster.rows_workloads import decoders
from pawl.cluster.ruletables import StoredTable, decode_table
from pawl.cluster.world import WATCHED, World
from pawl.controllers.store import PolicyStore
from pawl.decide.objects import NamespaceRow

NAME_LABEL: Final = "kubernetes.io/metadata.name"
"""The label that the API server gives to every namespace."""


class _Items(msgspec.Struct):
    items: list[msgspec.Raw] | None = None  # Go writes an empty list as null


_ITEMS: Final = msgspec.json.Decoder(_Items)


class Live:
    """Reads one cluster. `notes` holds a sentence for everything that the user may not see."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.notes: list[str] = []

    async def registries(self, namespace: str | None) -> list[SeenRegistry]:
        """Return the registries of a namespace (None: of all); none where no CRD is there. Raises ClusterError."""
        return [read_registry(each) async for each in self._documents(REGISTRY_STORAGES, namespace)]

    async def overrides(self, namespace: str | None) -> list[SeenOverride]:
        """Return the overrides of a namespace (None: of all) and the cluster-wide ones; none where no CRD is there.

        Raises ClusterError, but a missing right to see cluster-wide ones is only noted.
        """
        found = [read_override(each, "ImageOverride") async for each in self._documents(IMAGE_OVERRIDES, namespace)]
        try:
            wide = [each async for each in self._documents(CLUSTER_IMAGE_OVERRIDES, None)]
        except Forbidden as error:
            self.notes.append(f"ClusterImageOverrides are not shown: {error}")
            return found
        return [*found, *(read_override(each, "ClusterImageOverride") for each in wide)]

    async def policies(self, namespace: str | None) -> PolicyStore:
        """Return the ImagePolicies of a namespace (None: of all), as the controllers keep them."""
        store = PolicyStore(lambda _image: "")
        try:
            async for raw in self._objects(IMAGE_POLICIES, namespace):
                store.offer(raw, asked_at=0.0)
        except Forbidden as error:
            self.notes.append(f"rules with a policyRef are read from the stored tables: {error}")
        return store

    async def tables(self, namespace: str | None) -> dict[str, StoredTable]:
        """Return the stored tables by namespace: that of one (None: of all), and the cluster's under ""."""
        found: dict[str, StoredTable] = {}
        for resource, place in ((IMAGE_RULES, namespace), (CLUSTER_IMAGE_RULES, None)):
            async for raw in self._objects(resource, place):
                table = decode_table(raw)
                if table.name == TABLE_NAME:
                    found[table.namespace] = table
        return found

    async def world(self, namespaces: Sequence[str] = ()) -> World:
        """Return the rows of the cluster, or of these namespaces only. Raises ClusterError."""
        world, readers = World(self.cluster, namespaces), decoders()
        for kind, resource in WATCHED:
            read = readers[kind]
            if resource is NAMESPACES and namespaces:
                for name in namespaces:
                    world.put(await self._namespace(name))
                continue
            for namespace in namespaces if resource.namespaced and namespaces else (None,):
                try:
                    async for raw in self._objects(resource, namespace):
                        world.put(read(raw))
                except Forbidden as error:
                    if resource is not NODES:
                        raise
                    self.notes.append(f"nothing is known of the nodes: {error}")
        return world

    async def _namespace(self, name: str) -> NamespaceRow:
        try:
            row = decoders()["Namespace"](await self.cluster.get(NAMESPACES, None, name))
        except Forbidden as error:
            self.notes.append(f"the labels of namespace {name} are not known: {error}")
            return NamespaceRow(name, ((NAME_LABEL, name),))
        return row if isinstance(row, NamespaceRow) else NamespaceRow(name)

    async def _documents(self, resource: Resource, namespace: str | None) -> AsyncIterator[dict[str, Any]]:
        async for raw in self._objects(resource, namespace):
            yield msgspec.json.decode(raw)

    async def _objects(self, resource: Resource, namespace: str | None) -> AsyncIterator[bytes]:
        """Yield the objects of a kind; none where the API server does not know the kind."""
        try:
            async for page in self.cluster.list_pages(resource, namespace):
                for raw in _ITEMS.decode(page).items or ():
                    yield bytes(raw)
        except NotFound:
            return


def readable(seen: Sequence[SeenOverride]) -> tuple[Override, ...]:
    """Return the overrides that this version of Pawl can read."""
    return tuple(each for each in seen if not isinstance(each, UnreadableOverride))
