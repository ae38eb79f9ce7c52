"""Everything in a namespace that belongs to one RegistryStorage, as it is now: one list a kind, by label.

Objects stay whole JSON here: what is wanted is compared with them field by field (`decide.subset`).
Neighbours: `controllers.registryfacts` reads facts out of them, `controllers.registryacts` writes. Not here: Secrets,
which are read by name only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import msgspec

from pawl.api.errors import NotFound
from pawl.cluster.client import Cluster
from pawl.cluster.resources import (
    BUDGETS,
    CERTIFICATES,
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
from pawl.decide.registrynames import PART, REGISTRY

Json = dict[str, Any]

KINDS: Final = MappingProxyType(
    {
        "ConfigMap": CONFIG_MAPS,
        "Service": SERVICES,
        "Deployment": DEPLOYMENTS,
        "DaemonSet": DAEMON_SETS,
        "Job": JOBS,
        "Ingress": INGRESSES,
        "PodDisruptionBudget": BUDGETS,
        "PersistentVolumeClaim": CLAIMS,
        "Pod": PODS,
        "Certificate": CERTIFICATES,
    }
)
OPTIONAL: Final = frozenset({"Certificate"})
"""Kinds that a cluster need not have."""


class _Page(msgspec.Struct):
    items: list[Json] | None = None


_PAGE: Final = msgspec.json.Decoder(_Page)
_OBJECT: Final = msgspec.json.Decoder(Json)


@dataclass(frozen=True, slots=True)
class Live:
    """The objects of one RegistryStorage by kind."""

    objects: Mapping[str, Sequence[Json]] = field(default_factory=dict)

    def of(self, kind: str, part: str = "") -> Sequence[Json]:
        """Return all of a kind; those of one part, if it is named."""
        found = self.objects.get(kind, ())
        return [each for each in found if each["metadata"]["labels"].get(PART) == part] if part else found

    def get(self, kind: str, name: str) -> Json | None:
        """Return one object."""
        return next((each for each in self.objects.get(kind, ()) if each["metadata"]["name"] == name), None)


class RegistryObjects:
    """Lists and reads. Every method may raise a ClusterError."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def live(self, namespace: str, name: str, kinds: Iterable[str]) -> Live:
        """Return what carries the label of a RegistryStorage."""
        wanted = tuple(kinds)
        found = await asyncio.gather(*(self._list(kind, namespace, name) for kind in wanted))
        return Live(dict(zip(wanted, found, strict=True)))

    async def read(self, kind: str, namespace: str, name: str) -> Json | None:
        """Return one object, None where there is none."""
        try:
            return _OBJECT.decode(await self._cluster.get(KINDS[kind], namespace, name))
        except NotFound:
            return None

    async def _list(self, kind: str, namespace: str, name: str) -> list[Json]:
        resource: Resource = KINDS[kind]
        found: list[Json] = []
        try:
            async for page in self._cluster.list_pages(resource, namespace, label_selector=f"{REGISTRY}={name}"):
                found += _PAGE.decode(page).items or ()
        except NotFound:
            if kind not in OPTIONAL:
                raise
        return found
