"""Fields of custom resources that hold images: which of them differ from what the tables say.

Custom resources are not watched: they are listed when an override changes, after a write, and once a minute.
Neighbours: `cluster.writers_fields` writes, `decide.tables` says what an image becomes. Not here: when to write.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pawl.api.errors import ClusterError
from pawl.api.imageoverride import FieldPath, Override, WorkloadKind
from pawl.cluster.client import Cluster
from pawl.cluster.discovery import served
from pawl.cluster.resources import Resource
from pawl.cluster.writers_fields import values_at
from pawl.controllers.overridestore import label_of
from pawl.controllers.standing import Standing
from pawl.decide.objects import ORIGINAL, ImageAt
from pawl.decide.rollout_actions import RewriteField
from pawl.decide.tables import CompiledTable, Subject, rewrite_image

PERIOD: Final = 60.0
"""Seconds between two lists of custom resources."""
_NOBODY: Final = Subject(WorkloadKind.POD, {}, frozenset())


class _Meta(msgspec.Struct):
    name: str
    annotations: dict[str, str] | None = None


class _Page(msgspec.Struct):
    items: list[dict[str, Any]] | None = None


_PAGE: Final = msgspec.json.Decoder(_Page)


@dataclass(frozen=True, slots=True)
class Fields:
    """What differs, and what could not be looked at, in sentences."""

    differ: tuple[RewriteField, ...] = ()
    trouble: tuple[str, ...] = ()


class CustomFields:
    """Looks for one override. `clock` gives monotonic seconds."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._clock = clock
        self._basis: object = None
        self._at = float("-inf")
        self._found = Fields()

    def forget(self) -> None:
        """Look again at the next time: something was written."""
        self._basis = None

    async def look(self, override: Override, standing: Standing, namespaces: Sequence[str]) -> Fields:
        """Return what differs. What the API server refuses is told and does not stop the others."""
        paths = override.spec.enforcement.paths
        if not paths:
            return Fields()
        basis = (override.metadata.generation, standing.stamp, tuple(namespaces))
        if basis != self._basis or self._clock() - self._at > PERIOD:
            self._found = await self._read(override, standing, namespaces)
            self._basis, self._at = basis, self._clock()
        return self._found

    async def _read(self, override: Override, standing: Standing, namespaces: Sequence[str]) -> Fields:
        found: list[RewriteField] = []
        trouble: list[str] = []
        for field in override.spec.enforcement.paths:
            try:
                found += await self._path(field, (override, standing), namespaces)
            except ClusterError as error:
                trouble.append(f"{field.kind} ({field.api_version}): {error}")
        return Fields(tuple(found), tuple(trouble))

    async def _path(
        self, field: FieldPath, ground: tuple[Override, Standing], namespaces: Sequence[str]
    ) -> list[RewriteField]:
        resource = (await served(self._cluster, field.api_version)).get(field.kind)
        if resource is None:
            return []
        override, standing = ground
        found = []
        async for place, item in self._objects(resource, namespaces):
            table = standing.table_for(label_of(override), place)
            pairs = tuple(_pairs(item, field.path, table, label_of(override))) if table is not None else ()
            if pairs:
                name = item["metadata"]["name"]
                found.append(RewriteField(field.api_version, field.kind, place, name, field.path, pairs))
        return found

    async def _objects(
        self, resource: Resource, namespaces: Sequence[str]
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        for namespace in namespaces if resource.namespaced else (None,):
            async for page in self._cluster.list_pages(resource, namespace):
                for item in _PAGE.decode(page).items or ():
                    yield namespace or "", item


class _Item(msgspec.Struct):
    metadata: _Meta


class _Items(msgspec.Struct):
    items: list[_Item] | None = None


_ITEMS: Final = msgspec.json.Decoder(_Items)


async def names_with_notes(
    cluster: Cluster, resource: Resource, namespaces: Sequence[str]
) -> AsyncIterator[tuple[str | None, str]]:
    """Yield namespace and name of every object of a kind in which Pawl noted what stood there before."""
    for namespace in namespaces if resource.namespaced else (None,):
        async for page in cluster.list_pages(resource, namespace, metadata_only=True):
            for item in _ITEMS.decode(page).items or ():
                if ORIGINAL in (item.metadata.annotations or {}):
                    yield namespace, item.metadata.name


def _pairs(item: dict[str, Any], path: str, table: CompiledTable, label: str) -> Iterator[tuple[str, str]]:
    for text in _unique(text for _, text in values_at(item, path)):
        ruling = rewrite_image(table, _NOBODY, ImageAt("containers", "", text))
        if ruling.outcome == "Rewritten" and ruling.entry is not None and ruling.entry.override == label:
            yield text, ruling.image


def _unique(texts: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(texts)
