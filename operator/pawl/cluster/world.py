"""The cluster as Pawl sees it: nine narrow watches that keep the rows of workloads, Pods, Nodes and Namespaces.

The queries are those of `index.Index`: `workloads`, `workload`, `pods`, `pod`, `pods_of`, `root_of`, `parents_of`,
`jobs_of`, `nodes`, `node`, `namespaces`, `namespace`, `with_repository_below`, `repositories`, `unparsable`, `stamp`.
Neighbours: `watch` follows one kind, `rows` makes rows of bytes. Not here: our own kinds, judgement, writes.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Final

from pawl.cluster.client import Cluster
from pawl.cluster.index import Change, Index, Row
from pawl.cluster.resources import (
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
)
from pawl.cluster.rows_workloads import decoders
from pawl.cluster.watch import Scope, WatchSettings
from pawl.cluster.world_feed import POLL, Feed, NamespaceFeed, OptionalFeed, WatchFeed
from pawl.decide.objects import NamespaceRow, NodeRow

__all__ = ["Change", "World"]

# ReplicaSets and workloads first: a Pod that comes after its owner is told with the right root at once.
WATCHED: Final = (
    ("Namespace", NAMESPACES),
    ("Node", NODES),
    ("Deployment", DEPLOYMENTS),
    ("StatefulSet", STATEFUL_SETS),
    ("DaemonSet", DAEMON_SETS),
    ("CronJob", CRON_JOBS),
    ("Job", JOBS),
    ("ReplicaSet", REPLICA_SETS),
    ("Pod", PODS),
)


class World(Index):
    """Keeps rows of the whole cluster, or of `namespaces` only, and calls `on_change` with every change.

    With `namespaces` nothing is needed that only a ClusterRole can grant: each Namespace is read by its name, and where
    Nodes may not be listed there are none (`sees_nodes`).
    `on_change` is called in the event loop and must be quick and raise nothing. Rows of objects that went while a watch
    was away are told as deleted after its next listing; a listing that finds nothing new is silent.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespaces: Sequence[str] = (),
        on_change: Callable[[Change], None] | None = None,
        settings: WatchSettings | None = None,
        *,
        period: float = POLL,
    ) -> None:
        super().__init__()
        self._period = period
        self._cluster = cluster
        self._scopes = tuple(dict.fromkeys(namespaces))
        self._on_change = on_change or unheard
        self._settings = settings
        self._feeds: tuple[Feed, ...] = ()
        self._synced = asyncio.Event()

    async def run(self) -> None:
        """Watch until cancelled. What ends a watch is mended inside; a missing right is tried again every 30 s."""
        self._feeds = tuple(self._open())
        async with asyncio.TaskGroup() as group:
            for feed in self._feeds:
                group.create_task(self._follow(feed), name=f"world {feed.title}")

    @property
    def synced(self) -> bool:
        """Whether every watch has listed once, or may not (see `trouble`)."""
        return self._synced.is_set()

    async def until_synced(self) -> None:
        """Wait until `synced`; `run` must be under way."""
        await self._synced.wait()

    @property
    def age(self) -> float:
        """Seconds since the last sign of life of the watch that has been silent longest; infinite before `run`.

        Watches that the API server refuses do not count: `trouble` names them.
        """
        return max((feed.age for feed in self._feeds if not feed.refused), default=math.inf)

    def trouble(self) -> Mapping[str, str]:
        """Return what is not watched now, as `pods in namespace shop` -> a sentence with cause and way out."""
        return {feed.title: feed.trouble for feed in self._feeds if feed.trouble}

    def missing_rights(
        self, namespaces: Collection[str] | None = None, kinds: Collection[str] | None = None
    ) -> tuple[str, ...]:
        """Return a sentence for each watch that the API server refuses; one that is merely cut off mends itself.

        Only what concerns these namespaces and kinds, if they are given.
        """
        refused = [feed for feed in self._feeds if feed.refused and feed.trouble and not feed.optional]
        found = [feed for feed in refused if kinds is None or feed.kind in kinds]
        return tuple(feed.trouble for feed in found if namespaces is None or feed.namespace in {None, *namespaces})

    @property
    def sees_nodes(self) -> bool:
        """Whether Nodes may be listed: where they may not, that there are none says nothing."""
        return not any(feed.kind == "Node" and feed.refused for feed in self._feeds)

    def _open(self) -> Iterator[Feed]:
        readers = decoders()
        for kind, resource in WATCHED:
            if self._scopes and resource is NAMESPACES:
                for name in self._scopes:
                    yield NamespaceFeed(self._cluster, name, readers[kind], self._check, self._period)
                continue
            made = OptionalFeed if self._scopes and resource is NODES else WatchFeed
            for namespace in self._scopes if resource.namespaced and self._scopes else (None,):
                scope = Scope(resource, namespace)
                yield made(self._cluster, scope, kind, readers[kind], self._settings, self._check)

    async def _follow(self, feed: Feed) -> None:
        listing: set[str] | None = None
        async with aclosing(feed.events()) as events:
            async for event in events:
                if event.type == "LISTING":
                    listing = set()
                elif event.type == "LISTED":
                    self._sweep(feed, listing or set())
                    listing = None
                elif event.object is not None:
                    self._take(event.object, deleted=event.type == "DELETED")
                    if listing is not None:
                        listing.add(key_of(event.object))

    def _take(self, row: Row, *, deleted: bool) -> None:
        change = self.remove(row) if deleted else self.put(row)
        if change is not None:
            self._on_change(change)

    def _sweep(self, feed: Feed, listed: set[str]) -> None:
        """Forget what the listing no longer named."""
        for row in tuple(self.rows_of(feed.kind, feed.namespace)):
            if key_of(row) not in listed:
                self._take(row, deleted=True)
        feed.listed = True
        self._check()

    def _check(self) -> None:
        if all(feed.listed or feed.refused for feed in self._feeds):
            self._synced.set()


def unheard(change: Change) -> None:
    """Ignore a change: for users of the world who only ask."""


def key_of(row: Row) -> str:
    """Return what a row is kept under: the uid, or the name of a Node or Namespace."""
    return row.name if isinstance(row, (NodeRow, NamespaceRow)) else row.uid
