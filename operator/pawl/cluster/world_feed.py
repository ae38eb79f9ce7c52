"""What the world is fed by: watches, with what the world asks of them, and Namespaces that are asked for by name.

Neighbours: `watch` does the work, `world` reads the events. Not here: rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Final, Protocol

import structlog

from pawl.api.errors import ClusterError, Forbidden, NotFound
from pawl.cluster.client import Cluster
from pawl.cluster.index import Row
from pawl.cluster.resources import NAMESPACES
from pawl.cluster.watch import Scope, Watch, WatchEvent, WatchSettings

POLL: Final = 30.0
"""Seconds between two reads of a Namespace that may not be watched."""
HOPE: Final = 3600.0
"""Seconds until something that may be missing, and is, is asked for once more."""

log = structlog.get_logger(__name__)


class Feed(Protocol):
    """A source of rows. `listed`: it told all once; `refused`: the API server says 403 or 404 now.

    `optional`: without it something is left out, and nothing is wrong.
    """

    kind: str
    namespace: str | None
    title: str
    listed: bool
    refused: bool
    optional: bool

    @property
    def trouble(self) -> str:
        """Why it does not run now, in a sentence, or ""."""
        ...

    @property
    def age(self) -> float:
        """Seconds since the last sign of life."""
        ...

    def events(self) -> AsyncGenerator[WatchEvent[Row], None]:
        """Yield events for ever."""
        ...


class WatchFeed(Watch[Row]):
    """A watch of one kind."""

    def __init__(
        self,
        cluster: Cluster,
        scope: Scope,
        kind: str,
        decode: Callable[[bytes], Row],
        settings: WatchSettings | None,
        settled: Callable[[], None],
    ) -> None:
        super().__init__(cluster, scope, decode, settings)
        self.kind = kind
        self.namespace = scope.namespace
        self.title = scope.resource.named(scope.namespace, None)
        self.listed = False
        self.refused = False
        self.optional = False
        self._settled = settled

    def _live(self) -> None:
        super()._live()
        self.refused = False

    def _complain(self, error: ClusterError) -> None:
        super()._complain(error)
        self.refused = isinstance(error, (Forbidden, NotFound))
        self._settled()


class OptionalFeed(WatchFeed):
    """A watch of something that an install without a ClusterRole may not see: asked for once, said once."""

    def _complain(self, error: ClusterError) -> None:
        if isinstance(error, Forbidden):
            log.info("left out", resource=self.title, error=str(error))
            self.optional, self._trouble = True, str(error)
        super()._complain(error)

    def _pause(self, error: ClusterError) -> float:
        return HOPE if isinstance(error, Forbidden) else super()._pause(error)


class NamespaceFeed:
    """One Namespace, read by its name: a Role in a namespace may grant that, and no list or watch of Namespaces."""

    kind = "Namespace"
    optional = False

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        decode: Callable[[bytes], Row],
        settled: Callable[[], None],
        period: float = POLL,
    ) -> None:
        self.title = NAMESPACES.named(None, name)
        self.namespace: str | None = name
        self.listed = False
        self.refused = False
        self.trouble = ""
        self._cluster = cluster
        self._name = name
        self._decode = decode
        self._settled = settled
        self._period = period
        self._alive_at = asyncio.get_running_loop().time()

    @property
    def age(self) -> float:
        """Seconds since the last answer."""
        return max(0.0, asyncio.get_running_loop().time() - self._alive_at - self._period)

    async def events(self) -> AsyncGenerator[WatchEvent[Row], None]:
        """Yield what it is, at every read; and that it was deleted."""
        known: Row | None = None
        while True:
            try:
                row = self._decode(await self._cluster.get(NAMESPACES, None, self._name))
            except NotFound:
                self._settle()
                if known is not None:
                    yield WatchEvent("DELETED", known, "")
                known = None
            except ClusterError as error:
                self._complain(error)
            else:
                known = row
                yield WatchEvent("ADDED", row, "")
                self._settle()
            await asyncio.sleep(self._period)

    def _settle(self) -> None:
        self.listed, self.refused, self.trouble = True, False, ""
        self._alive_at = asyncio.get_running_loop().time()
        self._settled()

    def _complain(self, error: ClusterError) -> None:
        if str(error) != self.trouble:
            log.warning("namespace could not be read; trying again", namespace=self._name, error=str(error))
        self.refused, self.trouble = isinstance(error, Forbidden), str(error)
        self._settled()
