"""Jobs of a registry: those that are wanted exist, all others go first, and no store ever has two writers.

A Job is made once for an order and never changed; its ConfigMap is what it was told. One that somebody edited, or that
is no longer wanted, is deleted, and the next is made only when every Pod of the last is gone.
Neighbours: `decide.workobjects` makes manifests, `registryapply` deletes. Not here: proofs (`registryproofs`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog

from pawl.api.errors import ClusterError, Conflict, Invalid
from pawl.api.reasons import Reason
from pawl.api.registrywork import Order, Task, Use
from pawl.cluster.client import Cluster
from pawl.cluster.registryobjects import Live
from pawl.cluster.resources import CONFIG_MAPS, JOBS
from pawl.controllers.registryapply import APPLIED, Applier, Done, Guard, Refusal, controller, marked, notes
from pawl.controllers.registryfacts import Gathered, is_proof
from pawl.decide.registrynames import PORT, SERVER, WORK, Names
from pawl.decide.registryview import address, ending, node, nodes_of, ready, store_of
from pawl.decide.registryworkview import order_of, pods_of
from pawl.decide.serverobjects_server import shared
from pawl.decide.storagefacts import WorkWant
from pawl.decide.workobjects import WorkAbout, too_heavy, work_objects
from pawl.decide.workplaces import endpoint_of, place_of

Json = Mapping[str, Any]
ReadUses = Callable[[], Awaitable[tuple[Use, ...]]]

log = structlog.get_logger(__name__)


class Jobs:
    """Makes and deletes Jobs. One for a term. `image` is Pawl's own."""

    def __init__(
        self, cluster: Cluster, applier: Applier, guard: Guard, image: str, pull_secrets: tuple[str, ...] = ()
    ) -> None:
        self._cluster = cluster
        self._applier = applier
        self._guard = guard
        self._image = image
        self._pull_secrets = pull_secrets

    async def keep(self, gathered: Gathered, works: tuple[WorkWant, ...], uses: ReadUses, done: Done) -> None:
        """Make it so that these Jobs exist and no others. Raises Conflict and ApiUnavailable."""
        await self._clear(gathered, works, done)
        there = {order_of(job) for job in gathered.live.of("Job", WORK) if not is_proof(job)}
        missing = [work for work in works if work.order not in there]
        if not missing:
            return
        if not self._image:
            done.refused.append(Refusal(Reason.REFUSED, NO_IMAGE))
        elif gathered.facts.stray or done.waiting:
            done.waiting = done.waiting or f"Pod {gathered.facts.stray[0]} of an earlier Job must end first"
        else:
            for work in missing:
                await self._make(gathered, work, uses, done)

    async def _clear(self, gathered: Gathered, works: tuple[WorkWant, ...], done: Done) -> None:
        """Delete Jobs that are not wanted, or are no longer what was made; with the last Pod a Job is gone."""
        live, wanted = gathered.live, {work.order for work in works}
        for job in live.of("Job", WORK):
            if is_proof(job) or controller(job) not in {"", gathered.facts.identity.uid}:
                continue
            if ending(job):
                done.waiting = f"Job {job['metadata']['name']} must go first"
            elif order_of(job) not in wanted or self._edited(job, gathered) or stranded(job, gathered):
                await self._applier.delete("Job", job, done, "Foreground")
                done.waiting = f"Job {job['metadata']['name']} must go first"
        names = {job["metadata"]["name"] for job in live.of("Job", WORK)}
        for orphan in live.of("ConfigMap", WORK):
            if orphan["metadata"]["name"] not in names and order_of(orphan) not in wanted:
                await self._applier.delete("ConfigMap", orphan, done)

    def _edited(self, job: Json, gathered: Gathered) -> bool:
        """Whether somebody changed a Job, or what it was told."""
        spec, told = job["spec"], gathered.live.get("ConfigMap", job["metadata"]["name"])
        if spec.get("suspend") or spec.get("parallelism") != 1 or (spec.get("completions") or 1) != 1:
            return True
        if told is None:
            return not _is_over(job)
        return notes(told).get(APPLIED) != _digest(told)

    async def _make(self, gathered: Gathered, work: WorkWant, uses: ReadUses, done: Done) -> None:
        facts, live = gathered.facts, gathered.live
        try:
            seen = await uses() if work.task is Task.PREPARE else ()
        except ClusterError as error:
            done.refuse(error, f"work {work.task} of order {work.order}")
            return
        order = order_for(gathered, work, seen)
        about = WorkAbout(self._image, order, gathered.access, self._pull_secrets, _server_node(live, work))
        config, job = work_objects(facts.spec, facts.identity, work, about)
        try:
            await self._create(facts.identity.namespace, config, job)
        except ClusterError as error:
            done.refuse(error, f"Job {job['metadata']['name']}")
            return
        done.written += 1
        log.info("job made", job=f"{facts.identity.namespace}/{job['metadata']['name']}", order=work.order)

    async def _create(self, namespace: str, config: Json, job: Json) -> None:
        if heavy := too_heavy(config["data"].values()):
            raise Invalid(heavy)
        self._guard()
        name = config["metadata"]["name"]
        await self._cluster.apply(CONFIG_MAPS, namespace, name, _sealed(config))
        try:
            await self._cluster.create(JOBS, namespace, marked(job))
        except Conflict:  # made by a life of ours before this one: the next look finds it
            log.info("job is there already", job=f"{namespace}/{name}")


NO_IMAGE: Final = (
    "Jobs of registries need Pawl's own image: give `pawl run` the flag --image (variable PAWL_IMAGE), "
    "which the chart does by itself"
)


def order_for(gathered: Gathered, work: WorkWant, uses: tuple[Use, ...] = ()) -> Order:
    """Return what a Job is told."""
    facts, spec = gathered.facts, gathered.facts.spec
    collects = work.task is Task.PREPARE
    asks = work.task in {Task.SMOKE, Task.PROBE}
    return Order(
        task=work.task,
        id=work.order.partition("/")[0],
        source=place_of(work.source, "source") if work.source is not None else None,
        target=place_of(work.target, "target") if work.target is not None else None,
        parallel=spec.migration.parallel,
        verify=spec.migration.verify,
        retention=list(spec.retention) if collects else [],
        collection=spec.collection,
        uses=list(uses),
        now=facts.now,
        endpoint=endpoint_of(gathered.access, _server_address(gathered)) if asks else None,
    )


def stranded(job: Json, gathered: Gathered) -> bool:
    """Whether a Job keeps the server's volume on another node than the server's: to serve comes first."""
    store, live = gathered.facts.memory.store, gathered.live
    if store is None or shared(store) or _is_over(job):
        return False
    volumes = job["spec"]["template"]["spec"].get("volumes") or ()
    claims = {(each.get("persistentVolumeClaim") or {}).get("claimName") for each in volumes}
    served = Names(gathered.facts.identity.name).claim(store)
    server, worker = nodes_of(live.of("Pod", SERVER)), nodes_of(pods_of(job, live.of("Pod", WORK)))
    return served in claims and bool(server) and bool(worker - server)


def _server_node(live: Live, work: WorkWant) -> str:
    """Return the node where the server has a volume that the Job needs too; empty where it has none of them."""
    needed = {store.id for store in (work.source, work.target) if store is not None and not shared(store)}
    there = (pod for pod in live.of("Pod", SERVER) if node(pod) and not ending(pod))
    return next((node(pod) for pod in there if store_of(pod) in needed), "")


def _server_address(gathered: Gathered) -> str:
    pod = next((pod for pod in gathered.live.of("Pod", SERVER) if ready(pod) and address(pod)), None)
    if pod is None:
        return ""
    host = address(pod)
    return f"[{host}]:{PORT}" if ":" in host else f"{host}:{PORT}"


def _sealed(config: Json) -> dict[str, Any]:
    """Return a ConfigMap with the hash of its data, by which an edit shows."""
    meta = config["metadata"]
    noted = {**meta, "annotations": {**meta.get("annotations", {}), APPLIED: _digest(config)}}
    return {**config, "metadata": noted}


def _digest(config: Json) -> str:
    data = {"metadata": {"name": config["metadata"]["name"]}, "data": config.get("data") or {}}
    return str(marked(data)["metadata"]["annotations"][APPLIED])


def _is_over(job: Json) -> bool:
    ends = (job.get("status") or {}).get("conditions") or ()
    return any(one["type"] in {"Complete", "Failed"} and one["status"] == "True" for one in ends)
