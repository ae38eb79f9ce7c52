"""The tables of the gate as they are stored: followed by watches, written only where they differ.

One place for all who read tables: the controller that writes them, and the webhook that interprets them.
Neighbours: `watch` follows, `decide.rulebook` makes tables. Not here: what a table means (`api.imagerules`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import structlog
from pydantic import ValidationError

from pawl.api.errors import Conflict, NotFound
from pawl.api.imagerules import TABLE_NAME, ClusterTable, Table
from pawl.api.meta import API_VERSION
from pawl.cluster.client import Cluster
from pawl.cluster.resources import CLUSTER_IMAGE_RULES, IMAGE_RULES, Resource
from pawl.cluster.watch import Scope, Watch

CLUSTER: Final = ""
"""Stands for the cluster's table where tables are named by namespace."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoredTable:
    """One table as it is stored. `table` is None where it cannot be read by this version of Pawl.

    `written` is when it was last written, in seconds since the epoch by the API server's clock.
    """

    namespace: str
    name: str
    uid: str
    version: str
    table: Table | None
    written: float = 0.0


class _Written(msgspec.Struct):
    time: datetime | None = None


class _Meta(msgspec.Struct, rename="camel"):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    managed_fields: list[_Written] = []

    @property
    def written(self) -> float:
        return max((each.time.timestamp() for each in self.managed_fields if each.time is not None), default=0.0)


class _Object(msgspec.Struct):
    metadata: _Meta
    spec: dict[str, Any] = {}


_DECODER: Final = msgspec.json.Decoder(_Object)


def decode_table(raw: bytes) -> StoredTable:
    """Return a stored table. Raises msgspec.MsgspecError for what is no object."""
    found = _DECODER.decode(raw)
    meta = found.metadata
    model = Table if meta.namespace else ClusterTable
    try:
        table: Table | None = model.model_validate(found.spec)
    except ValidationError as error:
        log.warning("table could not be read", namespace=meta.namespace, error=str(error.errors()[0]["msg"]))
        table = None
    return StoredTable(meta.namespace, meta.name, meta.uid, meta.resource_version, table, meta.written)


def _ignore(_namespace: str) -> None:
    """Nobody listens."""


class RuleTables:
    """Tables by namespace. `clustered` False leaves the cluster's table out."""

    def __init__(
        self,
        cluster: Cluster,
        namespaces: Sequence[str] = (),
        *,
        clustered: bool = True,
        on_change: Callable[[str], None] = _ignore,
    ) -> None:
        self._cluster = cluster
        self._scopes = [Scope(IMAGE_RULES, namespace) for namespace in (namespaces or (None,))]
        if clustered:
            self._scopes.append(Scope(CLUSTER_IMAGE_RULES))
        self._on_change = on_change
        self._tables: dict[str, StoredTable] = {}
        self._listed: set[Scope] = set()
        self._synced = asyncio.Event()
        self._watches: list[Watch[StoredTable]] = []

    @property
    def tables(self) -> Mapping[str, StoredTable]:
        """All tables by namespace; `CLUSTER` names the cluster's."""
        return self._tables

    @property
    def synced(self) -> bool:
        """Whether everything was listed once."""
        return self._synced.is_set()

    def denied(self) -> tuple[str, ...]:
        """Return a sentence for each watch that the API server refuses."""
        return tuple(watch.denied for watch in self._watches if watch.denied)

    async def until_synced(self) -> None:
        """Return once everything was listed."""
        await self._synced.wait()

    async def run(self) -> None:
        """Follow all tables until cancelled."""
        async with asyncio.TaskGroup() as group:
            for scope in self._scopes:
                group.create_task(self._follow(scope))

    async def _follow(self, scope: Scope) -> None:
        seen: set[str] | None = None
        watch = Watch(self._cluster, scope, decode_table)
        self._watches.append(watch)
        async with aclosing(watch.events()) as events:
            async for event in events:
                if event.type == "LISTING":
                    seen = set()
                elif event.type == "LISTED":
                    self._forget_all_but(scope, seen or set())
                    seen = None
                    self._listed_once(scope)
                elif event.object is not None and event.object.name == TABLE_NAME:
                    self._take(event.object, gone=event.type == "DELETED")
                    if seen is not None:
                        seen.add(event.object.namespace)

    def _take(self, found: StoredTable, *, gone: bool) -> None:
        known = self._tables.get(found.namespace)
        if gone:
            if known is None or known.uid != found.uid:
                return
            del self._tables[found.namespace]
        elif known is not None and known.uid == found.uid and int(known.version) >= int(found.version):
            return
        else:
            self._tables[found.namespace] = found
        self._on_change(found.namespace)

    def _forget_all_but(self, scope: Scope, seen: set[str]) -> None:
        clustered = scope.resource is CLUSTER_IMAGE_RULES
        mine = [ns for ns in self._tables if (ns == CLUSTER) is clustered and scope.namespace in (None, ns)]
        for namespace in set(mine) - seen:
            del self._tables[namespace]
            self._on_change(namespace)

    def _listed_once(self, scope: Scope) -> None:
        self._listed.add(scope)
        if len(self._listed) == len(self._scopes):
            self._synced.set()

    async def write(self, namespace: str, table: Table | None) -> StoredTable | None:
        """Make the stored table equal to `table`; None deletes it. Returns what is stored now.

        Raises ClusterError; Conflict means that somebody else wrote, and the watch brings what.
        """
        known = self._tables.get(namespace)
        if table is None:
            await self._delete(known)
            return None
        if known is not None and known.table == table:
            return known
        raw = await self._create(namespace, table) if known is None else await self._replace(known, table)
        stored = decode_table(raw)
        self._tables[namespace] = stored
        return stored

    async def _create(self, namespace: str, table: Table) -> bytes:
        resource, place = _place(namespace)
        return await self._cluster.create(resource, place, _body(resource, namespace, table, None))

    async def _replace(self, known: StoredTable, table: Table) -> bytes:
        resource, place = _place(known.namespace)
        body = _body(resource, known.namespace, table, known)
        try:
            return await self._cluster.replace(resource, place, TABLE_NAME, body)
        except NotFound as error:
            raise Conflict(f"the table of {known.namespace or 'the cluster'} was deleted by somebody else") from error

    async def _delete(self, known: StoredTable | None) -> None:
        if known is None:
            return
        resource, place = _place(known.namespace)
        with suppress(NotFound):
            await self._cluster.delete(resource, place, TABLE_NAME, uid=known.uid)
        self._tables.pop(known.namespace, None)


def _place(namespace: str) -> tuple[Resource, str | None]:
    return (IMAGE_RULES, namespace) if namespace else (CLUSTER_IMAGE_RULES, None)


def _body(resource: Resource, namespace: str, table: Table, known: StoredTable | None) -> dict[str, object]:
    meta: dict[str, object] = {"name": TABLE_NAME, "labels": {"app.kubernetes.io/managed-by": "pawl"}}
    if namespace:
        meta["namespace"] = namespace
    if known is not None:
        meta |= {"uid": known.uid, "resourceVersion": known.version}
    kind = "ImageRules" if resource is IMAGE_RULES else "ClusterImageRules"
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": meta, "spec": table.wire()}
