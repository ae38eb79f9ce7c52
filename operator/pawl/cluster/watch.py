"""One narrow list+watch: a kind is listed in chunks, then followed for ever; the caller keeps rows, never bodies.

What ends a watch is mended here: a closed or silent connection is opened again where it was, an expired one is listed
anew. Every listing stands between LISTING and LISTED; rows not named in between are gone.
Neighbours: `client.watch` opens the stream, callers decode with msgspec. Not here: caches, our own kinds (kopf's part).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

import msgspec
import structlog

from pawl.api.errors import ApiUnavailable, ClusterError, Expired, Forbidden
from pawl.cluster.client import Cluster
from pawl.cluster.resources import Resource
from pawl.cluster.watchlines import parse_line, parse_page

T = TypeVar("T")
EventKind = Literal["LISTING", "ADDED", "MODIFIED", "DELETED", "LISTED"]
KINDS: Final[dict[str, EventKind]] = {"ADDED": "ADDED", "MODIFIED": "MODIFIED", "DELETED": "DELETED"}

BRIEF: Final = 0.5
"""Seconds: a connection that ended sooner and without a word was refused rather than ended."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Scope:
    """What is watched. `namespace` None means all."""

    resource: Resource
    namespace: str | None = None
    label_selector: str = ""
    field_selector: str = ""

    def query(self, resource_version: str, lifetime: float) -> dict[str, str]:
        """The query of a watch that begins at `resource_version`."""
        wanted = {
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(int(lifetime)),
            "labelSelector": self.label_selector,
            "fieldSelector": self.field_selector,
        }
        return {key: value for key, value in wanted.items() if value}


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """Settings of a watch; times in seconds."""

    chunk: int = 500
    """Objects a page: 500 Pods are decoded in a few milliseconds."""
    silence: float = 70.0
    """Without a line for so long, a connection counts as dead; bookmarks come every 60 or so."""
    lifetime: float = 300.0
    """For which one connection is asked for, so that replicas of the API server share the load again."""
    base: float = 0.5
    cap: float = 30.0
    """The longest pause after a first and after any failure."""
    jitter: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class WatchEvent(Generic[T]):
    """One event. `object` is None for LISTING and LISTED."""

    type: EventKind
    object: T | None
    resource_version: str


class Watch(Generic[T]):
    """A list+watch. `decode` makes one row of the bytes of one object; a row that it cannot make is left out."""

    def __init__(
        self, cluster: Cluster, scope: Scope, decode: Callable[[bytes], T], settings: WatchSettings | None = None
    ) -> None:
        self._cluster = cluster
        self._scope = scope
        self._decode = decode
        self._settings = settings or WatchSettings()
        self._version = ""
        self._failures = 0
        self._alive_at = asyncio.get_running_loop().time()
        self._trouble = ""
        self._denied = False

    @property
    def age(self) -> float:
        """Seconds since the last sign of life: a page, a line or a bookmark."""
        return asyncio.get_running_loop().time() - self._alive_at

    @property
    def trouble(self) -> str:
        """Why the watch does not run now, in a sentence, or ""."""
        return self._trouble

    @property
    def denied(self) -> str:
        """Why it may not run, in a sentence, or "" where it may or was merely cut off."""
        return self._trouble if self._denied else ""

    async def events(self) -> AsyncGenerator[WatchEvent[T], None]:
        """Yield events for ever; raises nothing of its own. Close it (`contextlib.aclosing`) or cancel its task."""
        while True:
            try:
                async with aclosing(self._follow() if self._version else self._list()) as events:
                    async for event in events:
                        yield event
            except Expired:
                self._version = ""
                await asyncio.sleep(self._settings.base * self._settings.jitter())
            except ClusterError as error:
                self._complain(error)
                await asyncio.sleep(self._pause(error))

    async def _list(self) -> AsyncGenerator[WatchEvent[T], None]:
        yield WatchEvent("LISTING", None, "")
        version, scope = "", self._scope
        async for raw in self._cluster.list_pages(
            scope.resource, scope.namespace, scope.label_selector, scope.field_selector, limit=self._settings.chunk
        ):
            self._live()
            version, items = parse_page(raw)
            for item in items:
                row = self._row(item)
                if row is not None:
                    yield WatchEvent("ADDED", row, version)
        self._version = version
        yield WatchEvent("LISTED", None, version)

    async def _follow(self) -> AsyncGenerator[WatchEvent[T], None]:
        """Follow one connection to its end, which is no failure if it said anything or lived for a while."""
        query = self._scope.query(self._version, self._settings.lifetime * (1 + self._settings.jitter()))
        opened, said = asyncio.get_running_loop().time(), False
        try:
            async with self._cluster.watch(
                self._scope.resource, self._scope.namespace, query, self._settings.silence
            ) as lines:
                async for text in lines:
                    said = True
                    self._live()
                    event = self._event(text)
                    if event is not None:
                        yield event
        except ApiUnavailable as error:
            # Of a kind that nobody writes an API server sends no bookmarks either: silence is looked into, not told.
            if (
                error.status is not None
                or asyncio.get_running_loop().time() - self._heard(opened) < self._settings.silence
            ):
                raise
            return
        if not said and asyncio.get_running_loop().time() - opened < BRIEF:
            raise ApiUnavailable(f"the watch of {self._scope.resource.qualified} was closed without a word")

    def _event(self, text: bytes) -> WatchEvent[T] | None:
        try:
            line = parse_line(text)
        except ClusterError:
            self._version = ""  # whatever ended the watch, the next thing is a new listing
            raise
        self._version = line.resource_version or self._version
        kind = KINDS.get(line.type)  # bookmarks only move the version
        row = None if kind is None else self._row(line.object)
        return None if kind is None or row is None else WatchEvent(kind, row, self._version)

    def _row(self, raw: msgspec.Raw) -> T | None:
        try:
            return self._decode(bytes(raw))
        except msgspec.MsgspecError as error:
            log.warning("object could not be read", resource=self._scope.resource.qualified, error=str(error))
            return None

    def _heard(self, opened: float) -> float:
        """When the connection last said something, or was opened."""
        return max(opened, self._alive_at)

    def _live(self) -> None:
        self._alive_at = asyncio.get_running_loop().time()
        self._failures, self._trouble, self._denied = 0, "", False

    def _complain(self, error: ClusterError) -> None:
        if str(error) != self._trouble:
            log.warning("watch failed; trying again", resource=self._scope.resource.qualified, error=str(error))
        self._trouble, self._denied = str(error), isinstance(error, Forbidden)

    def _pause(self, error: ClusterError) -> float:
        """Seconds until the next try: full jitter up to a bound that doubles, and never less than was asked for."""
        bound = min(self._settings.cap, self._settings.base * (1 << min(self._failures, 16)))
        self._failures += 1
        asked = error.retry_after if isinstance(error, ApiUnavailable) else None
        return max(bound * self._settings.jitter(), asked or 0.0)
