"""The net under the watch: lists our resources now and then and offers what the watch missed.

A watch can die while the process lives (nolar/kopf#1145, #1276). Whatever a list shows that the store does not know for
longer than events take is a missed event; it is healed, and missed ones in two lists running make `/healthz` fail.
Neighbours: `watch` is what is checked, `store` what is healed. Not here: decisions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from pawl.api.errors import ClusterError, NotFound
from pawl.cluster.client import Cluster
from pawl.controllers.queue import Key
from pawl.controllers.store import ObjectStore

PERIOD: Final = 300.0
"""Seconds between two lists."""
GRACE: Final = 10.0
"""Seconds in which the watch may still bring what a list showed."""

PROBE: Final = 10.0
"""Seconds of silence in a watch that is opened to see whether it may be."""

POLL: Final = 0.2
"""Seconds between two looks whether the first listing is through."""

log = structlog.get_logger(__name__)


class Resync:
    """Compares lists with the store."""

    def __init__(
        self, cluster: Cluster, store: ObjectStore, wake: Callable[[Key], None], namespaces: Sequence[str] = ()
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._wake = wake
        self._namespaces: Sequence[str | None] = tuple(namespaces) or (None,)
        self._bad_rounds = 0

    @property
    def kind(self) -> str:
        """The kind that is compared."""
        return self._store.kind

    @property
    def watch_is_dead(self) -> bool:
        """Whether the watch missed events in two rounds running."""
        return self._bad_rounds > 1

    async def run(self, period: float = PERIOD, grace: float = GRACE) -> None:
        """Compare until cancelled; a list that fails is tried again in the next round."""
        while True:
            await asyncio.sleep(period)
            try:
                missed = await self.compare(grace)
            except ClusterError as error:
                log.warning("resync failed", error=str(error))
                continue
            self._bad_rounds = self._bad_rounds + 1 if missed else 0

    async def probe(self) -> None:
        """Raise the ClusterError that keeps our resources from being listed or watched, if any."""
        for namespace in self._namespaces:
            async for _ in self._cluster.list_pages(self._store.resource, namespace, limit=1):
                break
            async with self._cluster.watch(self._store.resource, namespace, {"timeoutSeconds": "1"}, PROBE):
                pass

    async def until_complete(self, poll: float = POLL) -> None:
        """Return once the store has every resource of a list; one deleted meanwhile is not in the next list."""
        while True:
            listed = await self._list_patiently()
            for _ in range(20):
                if not self._unknown(listed):
                    return
                await asyncio.sleep(poll)

    async def _list_patiently(self) -> Mapping[Key, int]:
        while True:
            try:
                return await self._list()
            except ClusterError as error:
                log.warning("policies could not be listed", error=str(error))
                await asyncio.sleep(GRACE)

    async def compare(self, grace: float = GRACE) -> int:
        """List once, give the watch `grace` seconds, heal what it did not bring; return how many that were."""
        known = {key: self._store.row(key) for key in self._store}
        listed = await self._list()
        await asyncio.sleep(grace)
        missed = self._unknown(listed)
        gone = [key for key in set(known) - set(listed) if self._store.row(key) is known[key]]
        for key in missed:
            await self._heal(key)
        for key in gone:
            self._store.drop(key)
            self._wake(key)
        if missed or gone:
            log.warning("the watch missed events", changed=len(missed), deleted=len(gone))
        return len(missed) + len(gone)

    def _unknown(self, listed: Mapping[Key, int]) -> list[Key]:
        return [key for key, version in listed.items() if self._store.version(key) < version]

    async def _heal(self, key: Key) -> None:
        try:
            raw = await self._cluster.get(self._store.resource, key.namespace, key.name)
        except NotFound:
            self._store.drop(key)
        else:
            self._store.offer(raw, asked_at=asyncio.get_running_loop().time())
        self._wake(key)

    async def _list(self) -> Mapping[Key, int]:
        """List names and versions; whole objects of a thousand policies would stay in memory as fragments."""
        found: dict[Key, int] = {}
        for namespace in self._namespaces:
            async for page in self._cluster.list_pages(self._store.resource, namespace, metadata_only=True):
                found.update(self._store.versions(page))
        return found
