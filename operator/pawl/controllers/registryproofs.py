"""Runs the proofs of connectivity: a probe that pushes, then a pull of the same image on another node.

Proofs are begun only while the server serves and takes pushes, and whatever they find never stops it.
Neighbours: `decide.proofs` says when and what it means, `decide.workobjects` makes the Jobs. Not here: work on stores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog

from pawl.api.errors import ClusterError, Conflict, Forbidden
from pawl.api.meta import Condition
from pawl.api.registrystorage_status import MigrationPhase
from pawl.api.registrywork import Order, Report, Task
from pawl.cluster.client import Cluster
from pawl.cluster.resources import CONFIG_MAPS, JOBS, NODES
from pawl.controllers.queue import Key
from pawl.controllers.registryapply import Applier, Done, Guard, controller
from pawl.controllers.registryfacts import Gathered, is_proof
from pawl.decide.proofs import PROOFS, Said, fingerprint, of_probe, of_pull, passed, probe_order, written
from pawl.decide.registrynames import SERVER, WORK, Names
from pawl.decide.registryview import ending, node
from pawl.decide.registryworkview import order_of, pods_of, works_of
from pawl.decide.storagefacts import WorkWant
from pawl.decide.workobjects import WorkAbout, pull_job, work_objects
from pawl.decide.workplaces import endpoint_of
from pawl.registry.servercheck import CANARY

Json = Mapping[str, Any]

BUSY: Final = frozenset(
    set(MigrationPhase) - {MigrationPhase.HOLD, MigrationPhase.DONE, MigrationPhase.CANCELLED, MigrationPhase.FAILED}
)
"""Phases of a migration in which nothing is proved: the server may be restarted at any time."""

LONG_AGO: Final = datetime.fromtimestamp(0, UTC)

log = structlog.get_logger(__name__)


class _Condition(msgspec.Struct):
    type: str
    status: str


class _Status(msgspec.Struct):
    conditions: list[_Condition] | None = None


class _Node(msgspec.Struct):
    status: _Status = msgspec.field(default_factory=_Status)


class _Nodes(msgspec.Struct):
    items: list[_Node] | None = None


_NODES: Final = msgspec.json.Decoder(_Nodes)


@dataclass(slots=True)
class _Known:
    """What a term knows of one registry. `pulled`: the image whose pull was judged."""

    conditions: list[Condition] = field(default_factory=list)
    pulled: str = ""
    pull_failed: datetime | None = None


class Proofs:
    """Runs proofs. One for a term. `image` is Pawl's own: without it nothing is proved."""

    def __init__(
        self, cluster: Cluster, applier: Applier, guard: Guard, image: str, pull_secrets: tuple[str, ...] = ()
    ) -> None:
        self._cluster = cluster
        self._applier = applier
        self._guard = guard
        self._image = image
        self._pull_secrets = pull_secrets
        self._known: dict[Key, _Known] = {}

    def conditions(self, key: Key, before: list[Condition]) -> tuple[Condition, ...]:
        """Return what was proved last; at first what the status says of it."""
        if key not in self._known:
            types = {kind.value for kind in PROOFS}
            self._known[key] = _Known([one for one in before if one.type in types])
        return tuple(self._known[key].conditions)

    def forget(self, key: Key) -> None:
        """Forget a registry that is gone."""
        self._known.pop(key, None)

    async def look(self, key: Key, gathered: Gathered, done: Done) -> bool:
        """Go one step on, and return whether a condition changed. Raises Conflict and ApiUnavailable."""
        if not self._image or not gathered.access.address:
            return False
        known = self._known.setdefault(key, _Known())
        newest = max(_probes(gathered), key=_made, default=None)
        report = _report(newest, gathered) if newest is not None else None
        if _calm(gathered):
            await self._begin(gathered, known, newest, report, done)
        told = report is not None and report.done and (passed(report) or not _was_cut(newest, gathered))
        said = of_probe(report) if report is not None and told else []
        if report is not None and report.done and passed(report) and report.reference not in ("", known.pulled):
            said += await self._pull(gathered, known, report.reference, done)
        return self._keep(known, said, gathered)

    def _keep(self, known: _Known, said: list[Said], gathered: Gathered) -> bool:
        facts = gathered.facts
        now = written(said, known.conditions, facts.identity.generation, facts.now)
        changed = [_words(one) for one in now] != [_words(one) for one in known.conditions]
        known.conditions = now if changed else known.conditions
        return changed

    async def _begin(
        self, gathered: Gathered, known: _Known, newest: Json | None, report: Report | None, done: Done
    ) -> None:
        """Make the probe that is due, and take older ones away."""
        facts, last, failed_since = gathered.facts, "", known.pull_failed
        if newest is not None:
            if report is None and _is_fresh(newest, facts.now):
                return
            last = order_of(newest)
            failed_since = failed_since if report is not None and passed(report) else _made(newest)
            if facts.retry_requested or (failed_since is not None and _was_cut(newest, gathered)):
                failed_since = LONG_AGO
        seen = fingerprint(gathered.storage, gathered.access)
        due = probe_order(seen, facts.identity.uid, facts.now, last, failed_since=failed_since)
        if due == last:
            return
        for job in gathered.live.of("Job", WORK):
            if is_proof(job) and not ending(job):
                await self._applier.delete("Job", job, done)
        known.pull_failed = None
        await self._make(gathered, due, done)

    async def _make(self, gathered: Gathered, due: str, done: Done) -> None:
        facts, access = gathered.facts, gathered.access
        order = Order(task=Task.PROBE, id=due, endpoint=endpoint_of(access), canary=CANARY, now=facts.now)
        about = WorkAbout(self._image, order, access, self._pull_secrets)
        config, job = work_objects(facts.spec, facts.identity, WorkWant(Task.PROBE, due), about)
        namespace, name = facts.identity.namespace, job["metadata"]["name"]
        self._guard()
        try:
            await self._cluster.apply(CONFIG_MAPS, namespace, name, config)
            await self._cluster.create(JOBS, namespace, job)
        except Conflict:
            return
        except ClusterError as error:
            done.refuse(error, f"Job {name}")
            return
        done.written += 1
        log.info("probe begun", job=f"{namespace}/{name}", order=due)

    async def _pull(self, gathered: Gathered, known: _Known, reference: str, done: Done) -> list[Said]:
        """Begin the pull of an image, or judge it; what is judged goes."""
        facts, live = gathered.facts, gathered.live
        about = WorkAbout(self._image, Order(task=Task.PROBE, id=""), gathered.access, self._pull_secrets)
        servers = (node(pod) for pod in live.of("Pod", SERVER))
        wanted = pull_job(facts.spec, facts.identity, reference, about, filter(None, servers))
        job = live.get("Job", wanted["metadata"]["name"])
        if job is None:
            job = _anywhere(wanted) if await self._single() else wanted
            await self._start_pull(facts.identity.namespace, job, done)
            return []
        said = of_pull(pods_of(job, live.of("Pod", WORK)), facts.now, _made(job), alone=_is_anywhere(job))
        if said is None or ending(job):
            return []
        if said.status != "True" and _was_cut(job, gathered):
            await self._applier.delete("Job", job, done)
            return []
        known.pulled = reference
        known.pull_failed = facts.now if said.status != "True" else None
        await self._applier.delete("Job", job, done)
        return [said]

    async def _start_pull(self, namespace: str, job: Json, done: Done) -> None:
        self._guard()
        try:
            await self._cluster.create(JOBS, namespace, job)
        except Conflict:
            return
        except ClusterError as error:
            done.refuse(error, f"Job {job['metadata']['name']}")
            return
        done.written += 1

    async def _single(self) -> bool:
        """Whether there is one node at most on which a Pod could run, or that cannot be seen."""
        ready = 0
        try:
            async for page in self._cluster.list_pages(NODES, None):
                for each in _NODES.decode(page).items or ():
                    found = each.status.conditions or ()
                    ready += any(one.type == "Ready" and one.status == "True" for one in found)
        except Forbidden:
            return True
        return ready < 2


def _probes(gathered: Gathered) -> list[Json]:
    jobs = [job for job in gathered.live.of("Job", WORK) if order_of(job).startswith("probe/") and not ending(job)]
    return [job for job in jobs if controller(job) == gathered.facts.identity.uid]


def _calm(gathered: Gathered) -> bool:
    """Whether the server serves, takes pushes and stays."""
    facts, memory = gathered.facts, gathered.facts.memory
    server, migration = facts.server, memory.migration
    busy = migration is not None and migration.phase in BUSY
    serves = server.rolled and bool(server.pods) and all(pod.ready and not pod.read_only for pod in server.pods)
    return serves and not busy and memory.freeze is None and not facts.spec.suspend


def _was_cut(proof: Json | None, gathered: Gathered) -> bool:
    """Whether the server was made anew while this was proved: a failure says nothing of it then."""
    pods = gathered.live.of("Pod", SERVER)
    return proof is not None and (not _calm(gathered) or any(_made(pod) >= _made(proof) for pod in pods))


def _report(job: Json, gathered: Gathered) -> Report | None:
    """Return what a probe said at its end; a Job that ended without a word has failed."""
    names = Names(gathered.facts.identity.name)
    work = works_of([job], gathered.live.of("Pod", WORK), {}, names).get(Task.PROBE)
    if work is None or work.active:
        return None
    return work.report or Report(task=Task.PROBE, done=True, message="it said nothing")


def _made(job: Json) -> datetime:
    text = job["metadata"].get("creationTimestamp")
    return datetime.fromisoformat(text) if text else LONG_AGO


def _is_fresh(job: Json, now: datetime) -> bool:
    """Whether a probe that did not end may still."""
    return (now - _made(job)).total_seconds() < 900  # its Job ends after ten minutes


def _anywhere(job: Json) -> dict[str, Any]:
    spec = job["spec"]
    pod = {key: value for key, value in spec["template"]["spec"].items() if key != "affinity"}
    return {**job, "spec": {**spec, "template": {**spec["template"], "spec": pod}}}


def _is_anywhere(job: Json) -> bool:
    return not job["spec"]["template"]["spec"].get("affinity")


def _words(one: Condition) -> tuple[str, str, str, str]:
    return one.type, one.status, one.reason, one.message
