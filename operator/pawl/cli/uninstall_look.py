"""What there is of overrides in a cluster, and whether a replica of Pawl lives: read, not judged.

Neighbours: `uninstall` shows and deletes. Not here: what an override does (`status`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pawl.api.errors import Forbidden, NotFound
from pawl.cluster.client import Cluster
from pawl.cluster.debts import DebtStore
from pawl.cluster.leaserecord import Record, decode
from pawl.cluster.resources import (
    CLUSTER_IMAGE_OVERRIDES,
    CLUSTER_IMAGE_RULES,
    IMAGE_OVERRIDES,
    IMAGE_POLICIES,
    IMAGE_RULES,
    LEASES,
    NAMESPACES,
    Resource,
)
from pawl.controllers.replica import LEASE

ALIVE: Final = 7.0
"""Seconds in which a living leader renews its Lease, with one renewal lost."""
POLL: Final = 0.5


class _Items(msgspec.Struct):
    items: list[dict[str, Any]] | None = None  # Go writes an empty list as null


_ITEMS: Final = msgspec.json.Decoder(_Items)


@dataclass(frozen=True, slots=True)
class Seen:
    """One override: its name in words, and what becomes of what it changed."""

    resource: Resource
    namespace: str | None
    key: str
    becomes: str

    @property
    def name(self) -> str:
        """Kind and name."""
        kind = "imageoverride" if self.resource is IMAGE_OVERRIDES else "clusterimageoverride"
        return f"{kind} {self.namespace}/{self.key}" if self.namespace else f"{kind} {self.key}"

    async def delete(self, cluster: Cluster) -> None:
        """Delete it; one that is gone is no error."""
        with suppress(NotFound):
            await cluster.delete(self.resource, self.namespace, self.key)


@dataclass(frozen=True, slots=True)
class Signs:
    """What is left of overrides: themselves, debts of those that are gone, tables."""

    overrides: tuple[Seen, ...]
    owed: tuple[str, ...]
    tables: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.overrides or self.owed or self.tables)

    @property
    def names(self) -> list[str]:
        """Everything that is left, in words."""
        return [*(each.name for each in self.overrides), *self.owed, *self.tables]


@dataclass(frozen=True, slots=True)
class Found:
    """The whole. `leader` is who leads, "" for nobody; `namespace_stands`: Pawl's namespace is there and stays."""

    signs: Signs
    leader: str
    namespace_stands: bool

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to give back."""
        return not self.signs


async def look(cluster: Cluster, namespace: str, namespaces: Sequence[str]) -> Found:
    """Read everything. Raises ClusterError."""
    signs = await look_again(cluster, namespaces)
    stands = await _stands(cluster, namespace)
    leader = await _leader(cluster, namespace) if signs and stands else ""
    return Found(signs, leader, stands)


async def look_again(cluster: Cluster, namespaces: Sequence[str]) -> Signs:
    """Read what is left. Raises ClusterError."""
    places: Sequence[str | None] = tuple(namespaces) or (None,)
    overrides = [each for place in places async for each in _overrides(cluster, IMAGE_OVERRIDES, place)]
    tables = [name for place in places async for name in _tables(cluster, IMAGE_RULES, place)]
    if not namespaces:
        overrides += [each async for each in _overrides(cluster, CLUSTER_IMAGE_OVERRIDES, None)]
        tables += [name async for name in _tables(cluster, CLUSTER_IMAGE_RULES, None)]
    living = {(each.namespace, each.key) for each in overrides}
    debts = [each for place in places async for each in DebtStore(cluster).all(place)]
    owed = [f"imageoverride {place}/{name}" for place, name, _ in debts if (place, name) not in living]
    return Signs(tuple(overrides), tuple(owed), tuple(tables))


async def _overrides(cluster: Cluster, resource: Resource, place: str | None) -> AsyncIterator[Seen]:
    async for found in _objects(cluster, resource, place):
        meta, spec = found["metadata"], found.get("spec") or {}
        yield Seen(resource, meta.get("namespace"), meta["name"], _becomes(spec, found.get("status") or {}))


async def _tables(cluster: Cluster, resource: Resource, place: str | None) -> AsyncIterator[str]:
    async for found in _objects(cluster, resource, place):
        meta = found["metadata"]
        yield f"table of {meta['namespace']}" if "namespace" in meta else "table of the cluster"


async def _objects(cluster: Cluster, resource: Resource, place: str | None) -> AsyncIterator[dict[str, Any]]:
    """Yield the objects of a kind; none where the API server does not know the kind."""
    try:
        async for page in cluster.list_pages(resource, place):
            for found in _ITEMS.decode(page).items or ():
                yield found
    except NotFound:
        return


def _becomes(spec: dict[str, Any], status: dict[str, Any]) -> str:
    """Say what becomes of what an override changed."""
    if spec.get("deletionPolicy") == "Leave":
        return "goes; deletionPolicy Leave: what it changed stays"
    matched = (status.get("workloads") or {}).get("matched", 0)
    enforcement = spec.get("enforcement") or {}
    if enforcement.get("templates", "Off") != "Off" or enforcement.get("paths"):
        return f"goes; the templates of {matched} workloads get their own images back, their Pods roll"
    return f"goes; {matched} workloads roll back to their own images"


async def kinds_stand(cluster: Cluster) -> bool:
    """Whether the API server serves Pawl's kinds: without them nothing can be watched."""
    for resource in (IMAGE_POLICIES, IMAGE_OVERRIDES, IMAGE_RULES):
        try:
            async for _ in cluster.list_pages(resource, None, limit=1, metadata_only=True):
                break
        except NotFound:
            return False
        except Forbidden:
            continue  # it is there
    return True


async def _stands(cluster: Cluster, namespace: str) -> bool:
    try:
        found = msgspec.json.decode(await cluster.get(NAMESPACES, None, namespace))
    except NotFound:
        return False
    return "deletionTimestamp" not in found["metadata"]


async def _leader(cluster: Cluster, namespace: str) -> str:
    """Return who leads, "" for nobody: a Lease that does not change within a few seconds is held by the dead."""
    before = await _lease(cluster, namespace)
    if before is None:
        return ""
    for _ in range(int(ALIVE / POLL)):
        await asyncio.sleep(POLL)
        now = await _lease(cluster, namespace)
        if now is not None and now.holder and now.signature != before.signature:
            return now.holder
    return ""


async def _lease(cluster: Cluster, namespace: str) -> Record | None:
    try:
        return decode(await cluster.get(LEASES, namespace, LEASE))
    except NotFound:
        return None
