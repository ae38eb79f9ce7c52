"""Carries out what a rollout decided: each action one guarded write, many at a time, none twice.

A write that finds its object gone or changed does nothing: the world is read again and decided anew. A workload that
was written to is not decided about again until the watch has shown the write, or had its time to: a write that changed
nothing is never shown. Neighbours: `cluster.writers`, `.jobs`,
`.eviction` write, `prepulls` pulls. Not here: order, limits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

import structlog

from pawl.api.errors import ApiUnavailable, ClusterError, Conflict, NotFound
from pawl.cluster.client import Cluster
from pawl.cluster.discovery import served
from pawl.cluster.eviction import TOO_MANY, evict
from pawl.cluster.jobs import delete_job
from pawl.cluster.world import World
from pawl.cluster.writers import annotate_template, drop_zombies, rewrite_template
from pawl.cluster.writers_fields import rewrite_field
from pawl.controllers.freshrows import TRIES, renewed
from pawl.controllers.overridemetrics import OverrideMetrics, unmeasured
from pawl.controllers.prepulls import Prepulls
from pawl.controllers.savedjobs import SavedJobs
from pawl.decide.objects import RESTART, ROLLOUT, PodRow, WorkloadRow
from pawl.decide.rollout_actions import (
    Action,
    DeleteJob,
    DropZombies,
    Evict,
    Prepull,
    RecreateJob,
    Restart,
    RewriteField,
    RewriteTemplate,
    Roll,
)

Guard = Callable[[], int]

SHOWN: Final = 10.0
"""Seconds after which a write that the watch did not show is taken for one that changed nothing."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Done:
    """What came of a round of actions. `refused` holds a sentence by key of the object."""

    written: int = 0
    stale: int = 0
    refused: dict[str, str] = field(default_factory=dict)


class Actor:
    """Writes. One for a term. `clock` gives monotonic seconds."""

    def __init__(
        self,
        cluster: Cluster,
        world: World,
        hands: tuple[Prepulls, SavedJobs],
        guard: Guard,
        clock: Callable[[], float] = time.monotonic,
        metrics: OverrideMetrics | None = None,
    ) -> None:
        self._cluster = cluster
        self._world = world
        self._prepulls, self._saved = hands
        self._guard = guard
        self._clock = clock
        self._metrics = metrics or unmeasured()
        self._acted: dict[str, tuple[frozenset[str], float]] = {}

    def unmade(self, namespaces: Iterable[str]) -> tuple[str, ...]:
        """Return a sentence for each Job in these namespaces that Pawl deleted and did not make again yet."""
        return self._saved.unmade(namespaces)

    def under_way(self, uids: Sequence[str]) -> bool:
        """Whether the watch has yet to show a write of ours to one of these workloads or Pods."""
        return any(self._unseen(uid) for uid in uids if uid in self._acted)

    def _unseen(self, uid: str) -> bool:
        row = self._world.workload(uid) or self._world.pod(uid)
        versions, at = self._acted[uid]
        if row is not None and row.version in versions and not row.deleting and self._clock() - at < SHOWN:
            return True
        del self._acted[uid]
        return False

    async def act(self, actions: Sequence[Action]) -> Done:
        """Carry out all actions side by side. Raises LeaseLost; what the API server refuses is in the answer."""
        done, now = Done(), self._clock()
        self._acted = {uid: known for uid, known in self._acted.items() if now - known[1] < SHOWN}
        ended = await asyncio.gather(*(self._one(action, done) for action in actions), return_exceptions=True)
        for error in ended:  # raised only now: a write that goes on unseen could be decided a second time
            if error is not None:
                raise error
        return done

    async def _one(self, action: Action, done: Done) -> None:
        self._guard()
        try:
            await self._write_on(action)
        except (Conflict, NotFound):
            done.stale += 1
            self._wait_for(action)  # what was written meanwhile must show itself, or this is tried again and again
            self._metrics.acted(type(action).__name__, "stale")
            return
        except ApiUnavailable as error:
            if not (isinstance(action, Evict) and error.status == TOO_MANY):
                raise
            self._refused(action, error, done)
            return
        except ClusterError as error:
            self._refused(action, error, done)
            log.warning("refused", action=type(action).__name__, object=key_of(action), error=str(error))
            return
        done.written += 1
        self._metrics.acted(type(action).__name__, "written")
        log.info("acted", action=type(action).__name__, object=key_of(action))

    async def _write_on(self, action: Action) -> None:
        """Write, and write again where only the status of the workload was newer. Raises ClusterError."""
        current, versions = action, set[str]()
        for left in reversed(range(TRIES)):
            row = row_of(current)
            versions |= {row.version} if row is not None else set()
            try:
                await self._write(current)
                break
            except Conflict:
                fresh = await renewed(self._cluster, current) if left else None
                if fresh is None:
                    raise
                current = fresh
                self._guard()
        self._wait_for(action, versions)

    def _wait_for(self, action: Action, versions: AbstractSet[str] = frozenset()) -> None:
        """Decide nothing more about a row until the watch shows one that is newer than all that was written on."""
        row = row_of(action)
        if row is not None:
            self._acted[row.uid] = (frozenset(versions) | {row.version}, self._clock())

    def _refused(self, action: Action, error: ClusterError, done: Done) -> None:
        done.refused[key_of(action)] = str(error)
        self._metrics.acted(type(action).__name__, "refused")

    def _write(self, action: Action) -> Awaitable[None]:
        writers: Mapping[type, Callable[..., Awaitable[None]]] = {
            Restart: self._restart,
            Roll: self._roll,
            RewriteTemplate: self._rewrite,
            DropZombies: self._drop,
            DeleteJob: self._delete_job,
            RecreateJob: self._recreate_job,
            Evict: self._evict,
            RewriteField: self._field,
            Prepull: self._prepulls.start,
        }
        return writers[type(action)](action)

    async def _restart(self, action: Restart) -> None:
        await annotate_template(self._cluster, action.workload, {RESTART: action.value})

    async def _roll(self, action: Roll) -> None:
        await annotate_template(self._cluster, action.workload, _notes(action.hash, action.restart))

    async def _rewrite(self, action: RewriteTemplate) -> None:
        notes = _notes(action.hash, action.restart)
        await rewrite_template(self._cluster, action.workload, action.images, notes)

    async def _drop(self, action: DropZombies) -> None:
        await drop_zombies(self._cluster, action.workload)

    async def _delete_job(self, action: DeleteJob) -> None:
        await delete_job(self._cluster, action.job)

    async def _recreate_job(self, action: RecreateJob) -> None:
        await self._saved.save(action.job)

    async def _evict(self, action: Evict) -> None:
        await evict(self._cluster, action.pod)

    async def _field(self, action: RewriteField) -> None:
        resource = (await served(self._cluster, action.api_version)).get(action.kind)
        if resource is None:
            raise NotFound(f"{action.kind} of {action.api_version} is not served here")
        namespace = action.namespace or None
        await rewrite_field(self._cluster, resource, namespace, action.name, action.path, dict(action.images))


def _notes(rollout: str, restart: str) -> dict[str, str]:
    return {name: value for name, value in ((ROLLOUT, rollout), (RESTART, restart)) if value}


def row_of(action: Action) -> WorkloadRow | PodRow | None:
    """Return the row that an action writes to."""
    if isinstance(action, (Restart, Roll, RewriteTemplate, DropZombies)):
        return action.workload
    if isinstance(action, (DeleteJob, RecreateJob)):
        return action.job
    return action.pod if isinstance(action, Evict) else None


def key_of(action: Action) -> str:
    """Return how the object of an action is written in messages."""
    row = row_of(action)
    if isinstance(row, WorkloadRow):
        return row.key
    if row is not None:
        return f"Pod {row.namespace}/{row.name}"
    return (
        action.key if isinstance(action, RewriteField) else f"Node {action.node}" if isinstance(action, Prepull) else ""
    )
