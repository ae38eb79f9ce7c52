"""Kubernetes Events for people who run `kubectl describe`: one a transition, never one a look.

Telling never blocks and never fails: Events are best effort, so a full queue drops the oldest, a repetition is told
once in ten minutes, and a refusal is logged once. Neighbours: controllers call `Recorder.event`. Not here: conditions.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

import structlog

from pawl.api.errors import ClusterError
from pawl.cluster.client import Cluster
from pawl.cluster.lease import utc_now
from pawl.cluster.refusals import one_line
from pawl.cluster.resources import EVENTS

NAME_PART: Final = 230
"""Characters of the object's name in the Event's: the whole has at most 253."""

log = structlog.get_logger(__name__)

EventType = Literal["Normal", "Warning"]


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """The object an Event is about. `namespace` is "" for kinds without one; their Events live in `default`."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str = ""


@dataclass(frozen=True, slots=True)
class RecorderSettings:
    """Settings of a recorder; times in seconds."""

    component: str = "pawl"
    instance: str = ""
    """The replica that tells; its identity."""
    capacity: int = 512
    """Events that wait to be sent."""
    quiet: float = 600.0
    """An Event equal in object, reason and message is told once in this time."""
    memory: int = 4096
    """Events remembered for that."""
    rate: float = 10.0
    """Events a second in the long run."""
    burst: int = 50
    wall: Callable[[], datetime] = utc_now


@dataclass(frozen=True, slots=True)
class _Event:
    ref: ObjectRef
    type: EventType
    reason: str
    message: str
    at: datetime


class Recorder:
    """Tells Events in the background. Made inside a running loop; ended by `close`."""

    def __init__(self, cluster: Cluster, settings: RecorderSettings | None = None) -> None:
        self._cluster = cluster
        self._settings = settings or RecorderSettings()
        self._queue: deque[_Event] = deque()
        self._told: OrderedDict[tuple[ObjectRef, str, str], float] = OrderedDict()
        self._more = asyncio.Event()
        self._closing = False
        self._refused: set[str] = set()
        self._dropped = 0
        self._sender = asyncio.create_task(self._send_all())

    @property
    def dropped(self) -> int:
        """Events that were dropped because the queue was full or the API server refused them."""
        return self._dropped

    def event(self, ref: ObjectRef, type_: EventType, reason: str, message: str) -> None:
        """Tell a transition. Returns at once and raises nothing."""
        text = one_line(message)
        if self._closing or self._just_told((ref, reason, text)):
            return
        if len(self._queue) >= self._settings.capacity:
            self._queue.popleft()
            self._dropped += 1
        self._queue.append(_Event(ref, type_, reason, text, self._settings.wall()))
        self._more.set()

    async def close(self, deadline: float = 3.0) -> None:
        """Send what waits, for at most `deadline` seconds, and stop."""
        self._closing = True
        self._more.set()
        _, left = await asyncio.wait({self._sender}, timeout=deadline)
        for task in left:
            task.cancel()
            await asyncio.wait({task})
        self._dropped += len(self._queue)
        self._queue.clear()

    def _just_told(self, what: tuple[ObjectRef, str, str]) -> bool:
        """Remember an Event and tell whether it is a repetition."""
        now = asyncio.get_running_loop().time()
        last = self._told.get(what)
        if last is not None and now - last < self._settings.quiet:
            return True
        self._told[what] = now
        self._told.move_to_end(what)
        if len(self._told) > self._settings.memory:
            self._told.popitem(last=False)
        return False

    async def _send_all(self) -> None:
        loop = asyncio.get_running_loop()
        tokens, filled = float(self._settings.burst), loop.time()
        while True:
            while not self._queue:
                if self._closing:
                    return
                self._more.clear()
                await self._more.wait()
            now = loop.time()
            tokens, filled = min(self._settings.burst, tokens + (now - filled) * self._settings.rate), now
            if tokens < 1:
                await asyncio.sleep((1 - tokens) / self._settings.rate)
                continue
            tokens -= 1
            await self._send(self._queue.popleft())

    async def _send(self, event: _Event) -> None:
        namespace = event.ref.namespace or "default"
        try:
            await self._cluster.create(EVENTS, namespace, _body(event, namespace, self._settings))
        except ClusterError as error:
            self._complain(namespace, error)

    def _complain(self, namespace: str, error: ClusterError) -> None:
        """Log by kind of error and namespace: a missing right is said once, not for every transition."""
        self._dropped += 1
        what = f"{type(error).__name__} {namespace}"
        if what not in self._refused and len(self._refused) < self._settings.capacity:
            self._refused.add(what)
            log.warning("event could not be sent", namespace=namespace, error=str(error))


def _body(event: _Event, namespace: str, settings: RecorderSettings) -> dict[str, object]:
    at = event.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ref = event.ref
    involved = {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "uid": ref.uid,
    }
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{ref.name[:NAME_PART]}.{secrets.token_hex(8)}", "namespace": namespace},
        "involvedObject": {key: value for key, value in involved.items() if value},
        "type": event.type,
        "reason": event.reason,
        "message": event.message,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
        "source": {"component": settings.component},
        "reportingComponent": settings.component,
        "reportingInstance": settings.instance[:128],
    }
