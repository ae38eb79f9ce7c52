"""Saves Jobs, and makes them again: those whose old one is gone now, also those that a crash left on the way.

Neighbours: `cluster.jobs` saves and makes, `overrideacts` says when. Not here: which Job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from pawl.api.errors import ApiUnavailable, ClusterError, Conflict
from pawl.cluster.client import Cluster
from pawl.cluster.jobs import SavedJob, drop_empty, is_kept, read_saved, recreate_job, save_job
from pawl.decide.objects import WorkloadRow

SOON: Final = 0.5
"""Seconds between two tries to make a Job whose old one is still going."""
AGAIN: Final = 5.0
"""Seconds after which it is tried again where the API server did not answer."""
GRACE: Final = 10.0
"""Seconds in which a Job that was saved and not deleted may be judged anew before its note goes: a life that ends
right after the save would otherwise be followed by one that takes the note away and saves again."""
REFUSED: Final = 60.0
"""Seconds after which a Job that was refused is tried again: quotas and rights are not watched."""

log = structlog.get_logger(__name__)


class SavedJobs:
    """Makes Jobs in the namespaces that it was told. `guard` raises LeaseLost where nothing may be written.

    One Secret a namespace is read, by its name: no Secrets are listed.
    """

    def __init__(
        self,
        cluster: Cluster,
        guard: Callable[[], int],
        again: float = AGAIN,
        refused: float = REFUSED,
        grace: float = GRACE,
    ) -> None:
        self._again = again
        self._refused = refused
        self._grace = grace
        self._kept: dict[str, float] = {}
        self._cluster = cluster
        self._guard = guard
        self._due: set[str] = set()
        self._unmade: dict[tuple[str, str], str] = {}
        self._busy: set[str] = set()
        self._told = asyncio.Event()

    def look(self, namespaces: Iterable[str]) -> None:
        """Look in these namespaces: a Job was saved there, or may have been before a crash."""
        self._due.update(namespaces)
        self._told.set()

    async def save(self, row: WorkloadRow) -> None:
        """Save and delete a Job; it is made again when the old one is gone. Raises as `save_job`, and LeaseLost."""
        if row.uid in self._busy:
            raise Conflict(f"{row.key} is being made again; judge it again")
        try:
            with self._alone(row.uid):
                await save_job(self._cluster, row, self._guard)
        finally:
            self.look((row.namespace,))

    @contextmanager
    def _alone(self, uid: str) -> Iterator[None]:
        """Keep the two ways apart: between save and delete a Job looks like one that was never deleted."""
        self._busy.add(uid)
        try:
            yield
        finally:
            self._busy.discard(uid)

    def unmade(self, namespaces: Iterable[str]) -> tuple[str, ...]:
        """Return a sentence for each Job in these namespaces that is deleted and not there anew."""
        places = frozenset(namespaces)
        return tuple(text for (namespace, _), text in sorted(self._unmade.items()) if namespace in places)

    async def run(self) -> None:
        """Make saved Jobs again until cancelled."""
        while True:
            await self._told.wait()
            self._told.clear()
            due, self._due = self._due, set()
            waiting = {namespace for namespace in sorted(due) if await self._round(namespace)}
            if waiting:
                await asyncio.sleep(SOON)
                self.look(waiting)

    async def _round(self, namespace: str) -> bool:
        """Make all that can be made in a namespace; return whether it must be looked at again."""
        waiting = False
        try:
            found = await read_saved(self._cluster, namespace)
            self._forget_all_but(namespace, {saved.name for saved in found})
            if not found:
                self._guard()
                await drop_empty(self._cluster, namespace)
            for saved in found:
                if saved.uid in self._busy or await self._may_be_judged(saved):
                    waiting = True
                    continue
                with self._alone(saved.uid):
                    waiting |= await self._one(saved)
        except ClusterError as error:
            log.warning("saved Jobs could not be read", namespace=namespace, error=str(error))
            self._later(namespace, error)
        return waiting

    async def _may_be_judged(self, saved: SavedJob) -> bool:
        """Whether the Job was never deleted, and seen so for a short time only."""
        if not await is_kept(self._cluster, saved):
            self._kept.pop(saved.uid, None)
            return False
        now = asyncio.get_running_loop().time()
        return now - self._kept.setdefault(saved.uid, now) < self._grace

    def _forget_all_but(self, namespace: str, saved: Collection[str]) -> None:
        """Say nothing more of a Job whose note somebody took away, or that went with its namespace."""
        gone = [each for each in self._unmade if each[0] == namespace and each[1] not in saved]
        for each in gone:
            del self._unmade[each]

    def _later(self, namespace: str, error: ClusterError) -> None:
        """What was not answered is asked again; Secrets that may not be read wait for a person."""
        if isinstance(error, ApiUnavailable):
            asyncio.get_running_loop().call_later(self._again, self.look, (namespace,))

    async def _one(self, saved: SavedJob) -> bool:
        self._guard()
        name = (saved.namespace, saved.name)
        before = self._unmade.setdefault(
            name, f"Job {saved.namespace}/{saved.name} was deleted and is to be made again"
        )
        try:
            outcome = await recreate_job(self._cluster, saved)
        except ClusterError as error:
            self._unmade[name] = f"Job {saved.namespace}/{saved.name} cannot be made again: {error}"
            if self._unmade[name] != before:
                log.warning("saved Job not made again", job=f"{saved.namespace}/{saved.name}", error=str(error))
            pause = self._again if isinstance(error, ApiUnavailable) else self._refused
            asyncio.get_running_loop().call_later(pause, self.look, (saved.namespace,))
            return False
        log.info("saved Job", job=f"{saved.namespace}/{saved.name}", outcome=outcome)
        if outcome != "waiting":
            del self._unmade[name]
            self._kept.pop(saved.uid, None)
        return outcome == "waiting"
