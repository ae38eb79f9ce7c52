"""Gathers what is known of one registry: the only reads of its controller.

One list a kind in its own namespace, its ledger, its Secrets by name, and the answers of its own Pods, all side by
side. Neighbours: `decide.registryview` and `.registryworkview` read the objects, `decide.storagemachine` judges.
Not here: writes, except those by which access is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from pawl.api.meta import Condition
from pawl.api.registrystorage import RegistryStorage
from pawl.api.registrystorage_status import StoreRef
from pawl.api.registrywork import Meter, Plan, Report
from pawl.cluster.registryobjects import Live, RegistryObjects
from pawl.controllers.queue import Key
from pawl.controllers.registryclasses import Classes
from pawl.controllers.registrymemory import MemoryBook
from pawl.controllers.registryworkers import Asked, WorkerClient
from pawl.controllers.store import collection_requested_at, requested_at
from pawl.decide.access import AccessFacts
from pawl.decide.registrynames import METER, PORT, SERVER, WORK, Names
from pawl.decide.registryview import address, askable, ending, finished, ready, server_of, store_of
from pawl.decide.registryworkview import claim_of, order_of, stray, works_of
from pawl.decide.storagefacts import Claim, Facts, Identity, Memory, Server
from pawl.decide.stores import wanted_store
from pawl.decide.wishes import Wish, dropped
from pawl.registry.credentials import ANONYMOUS, Credentials
from pawl.registry.servercheck import takes_pushes
from pawl.registry.servers import Target

Json = Mapping[str, Any]

KINDS: Final = (
    "ConfigMap",
    "Service",
    "Deployment",
    "DaemonSet",
    "Job",
    "Ingress",
    "PodDisruptionBudget",
    "PersistentVolumeClaim",
    "Pod",
)
CERTIFICATE: Final = "Certificate"
CHECK: Final = 5.0
"""Seconds for a Pod of the server to say whether it takes pushes."""
PROOFS: Final = ("probe/", "pull/")
"""How orders of proofs begin: they write to no store."""


class Access(Protocol):
    """Keeps certificates, users and pull Secrets."""

    def keep(self, storage: RegistryStorage, now: datetime) -> Awaitable[AccessFacts]:
        """Make access as the spec says, and return what is known of it."""
        ...


Pushes = Callable[[Target], Awaitable[bool | None]]


@dataclass(frozen=True, slots=True)
class Sources:
    """What is asked. `now` gives seconds since the epoch."""

    objects: RegistryObjects
    access: Access
    book: MemoryBook
    workers: WorkerClient
    classes: Classes
    now: Callable[[], float]
    pushes: Pushes = takes_pushes


@dataclass(frozen=True, slots=True)
class Extra:
    """What the controller knows besides: the plan that the meter made, how proofs stand, whether all is seen."""

    plan: Plan | None = None
    partial: bool = False
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Gathered:
    """The facts, and what they were read from."""

    storage: RegistryStorage
    facts: Facts
    live: Live
    access: AccessFacts
    meter: Asked | None = None


class FactsGatherer:
    """Gathers. One for a term."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._certified: dict[Key, bool] = {}

    async def gather(self, key: Key, storage: RegistryStorage, extra: Extra) -> Gathered:
        """Return everything that is known. Raises ClusterError, and Stalled where a copy cannot be read."""
        sources, now = self._sources, datetime.fromtimestamp(self._sources.now(), UTC)
        memory = await sources.book.read(key, storage)
        access = await sources.access.keep(storage, now)
        live = await sources.objects.live(key.namespace, key.name, self._kinds(key, storage))
        # One that is wanted may be made in the act that follows, and be wanted no longer at the next look.
        self._certified[key] = storage.spec.access.tls.issuer_ref is not None or bool(live.of(CERTIFICATE))
        await sources.book.check(key, there=live.get("ConfigMap", Names(key.name).ledger) is not None)
        answers, meter, progress, claims = await asyncio.gather(
            self._pushes(live, access),
            self._usage(live, access, memory),
            self._progress(live, access),
            self._claims(storage, live, memory),
        )
        facts = replace(
            _facts(storage, memory, now),
            server=_server(storage, live, answers),
            works=works_of(_work_jobs(live), live.of("Pod", WORK), progress, Names(key.name)),
            stray=tuple(stray(_work_pods(live), _work_jobs(live))),
            claims=claims,
            meter=meter,
            plan=extra.plan,
            partial_view=extra.partial,
            conditions=(*access.conditions, *extra.conditions),
            blocked=access.blocked,
            target_missing=access.missing_of(wanted_store(storage.spec, identity_of(storage))),
        )
        return Gathered(storage, facts, live, access, _meter(live, access, memory))

    def _kinds(self, key: Key, storage: RegistryStorage) -> tuple[str, ...]:
        """Certificates are looked for where one is wanted, was seen, or may be from before this term."""
        wanted = storage.spec.access.tls.issuer_ref is not None or self._certified.get(key, True)
        return (*KINDS, CERTIFICATE) if wanted else KINDS

    async def _pushes(self, live: Live, access: AccessFacts) -> dict[str, bool | None]:
        """Ask each Pod that must refuse pushes whether it does."""
        pods = askable(live.of("Pod", SERVER))
        found = await asyncio.gather(*(self._sources.pushes(_target(pod, access)) for pod in pods))
        return {pod["metadata"]["name"]: answer for pod, answer in zip(pods, found, strict=True)}

    async def _usage(self, live: Live, access: AccessFacts, memory: Memory) -> Meter | None:
        asked = _meter(live, access, memory)
        return await self._sources.workers.usage(asked) if asked is not None else None

    async def _progress(self, live: Live, access: AccessFacts) -> dict[str, Report]:
        pods = [pod for pod in _work_pods(live) if address(pod) and not finished(pod)]
        asked = [Asked(address(pod), access.token) for pod in pods]
        found = await asyncio.gather(*(self._sources.workers.progress(each) for each in asked))
        told = zip(pods, found, strict=True)
        return {pod["metadata"]["name"]: report for pod, report in told if report is not None}

    async def _claims(self, storage: RegistryStorage, live: Live, memory: Memory) -> dict[str, Claim]:
        """Return the claims of all stores that matter; one that is not Pawl's carries no label and is read by name."""
        found = {each["metadata"]["name"]: each for each in live.of("PersistentVolumeClaim")}
        for name in _claim_names(storage, memory):
            if name not in found:
                read = await self._sources.objects.read("PersistentVolumeClaim", storage.metadata.namespace, name)
                found |= {name: read} if read is not None else {}
        grows = await asyncio.gather(*(self._grows(each) for each in found.values()))
        return {
            name: claim_of(each, storage.metadata.name, grows=able)
            for (name, each), able in zip(found.items(), grows, strict=True)
        }

    async def _grows(self, claim: Json) -> bool | None:
        name = claim["spec"].get("storageClassName")
        return await self._sources.classes.grows(name) if name else None


def identity_of(storage: RegistryStorage) -> Identity:
    """Return which RegistryStorage it is."""
    meta = storage.metadata
    return Identity(meta.namespace, meta.name, meta.uid, meta.generation)


def _facts(storage: RegistryStorage, memory: Memory, now: datetime) -> Facts:
    asked, wish = requested_at(storage), wish_of(storage)
    return Facts(
        now=now,
        identity=identity_of(storage),
        spec=storage.spec,
        status=storage.status,
        memory=memory,
        collect_requested=wish.open and dropped(wish, now, suspended=storage.spec.suspend) is None,
        retry_requested=asked is not None and asked != storage.status.last_handled_reconcile_at,
    )


def wish_of(storage: RegistryStorage) -> Wish:
    """Return who asks for a collection, and what was answered last."""
    return Wish(collection_requested_at(storage), storage.status.last_handled_collect_at)


def _server(storage: RegistryStorage, live: Live, answers: Mapping[str, bool | None]) -> Server:
    deployment = live.get("Deployment", Names(storage.metadata.name).server)
    return server_of(deployment, live.of("Pod", SERVER), answers)


def _work_jobs(live: Live) -> list[Json]:
    """Jobs that write to stores and are not going."""
    return [job for job in live.of("Job", WORK) if not ending(job) and not is_proof(job)]


def _work_pods(live: Live) -> list[Json]:
    return [pod for pod in live.of("Pod", WORK) if not is_proof(pod)]


def _meter(live: Live, access: AccessFacts, memory: Memory) -> Asked | None:
    """Return the meter of the store that is served: what one of another store says would fill, grow or empty it."""
    store = memory.store.id if memory.store is not None else ""
    able = (pod for pod in live.of("Pod", METER) if ready(pod) and address(pod))
    pod = next((pod for pod in able if store_of(pod) == store), None)
    return Asked(address(pod), access.token) if pod is not None else None


def _target(pod: Json, access: AccessFacts) -> Target:
    scheme = "https" if access.secure else "http"
    who = Credentials(access.username, access.password) if access.username else ANONYMOUS
    host = address(pod)
    dialled = f"[{host}]:{PORT}" if ":" in host else f"{host}:{PORT}"
    return Target(f"{scheme}://{access.server_name}:{PORT}", dialled, access.ca, who, CHECK)


def _claim_names(storage: RegistryStorage, memory: Memory) -> Iterable[str]:
    names, migration = Names(storage.metadata.name), memory.migration
    stores: tuple[StoreRef | None, ...] = (memory.store, memory.held, wanted_store(storage.spec, identity_of(storage)))
    if migration is not None:
        stores += (migration.source, migration.target)
    found = (names.claim(store) for store in stores if store is not None and store.kind == "Filesystem")
    return dict.fromkeys(found)


def is_proof(found: Json) -> bool:
    """Whether a Job or its Pod is a proof of connectivity."""
    return order_of(found).startswith(PROOFS)
