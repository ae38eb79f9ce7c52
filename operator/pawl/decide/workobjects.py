"""Jobs of a registry: copy, verify, collect, delete, probe. One order, one ConfigMap, one Job, one Pod.

A Job is never tried again by Kubernetes and never swept by it: the controller reads its report, then decides.
Neighbours: `workplaces` says where a Pod finds its stores, `jobs` carries orders out. Not here: what to do (`decide`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from pawl.api.registrystorage_spec import RegistryStorageSpec
from pawl.api.registrystorage_status import StoreRef
from pawl.api.registrywork import ORDER_DIRECTORY, ORDER_FILE, TOKEN_VARIABLE, WORK_PORT, Order, Task
from pawl.decide.access import AccessFacts
from pawl.decide.durations import parse_duration
from pawl.decide.registrynames import ORDER, WORK, Names, labels, metadata
from pawl.decide.serverobjects_pod import (
    OUT,
    WORKER_RESOURCES,
    Container,
    Mount,
    Shape,
    claim,
    config_map,
    from_secret,
    pod_spec,
    resources,
    scratch,
    secret,
    store_secrets,
)
from pawl.decide.serverobjects_server import CONFIG_DIRECTORY, MAIN, shared, store_env, store_mounts
from pawl.decide.storagefacts import Identity, WorkWant
from pawl.decide.workplaces import CA_DIRECTORY, REPORT, USER_DIRECTORY, Role, worker_args

Json = dict[str, Any]

ACCOUNT_FILE: Final = "account.json"
HOUR: Final = 3600
DEADLINES: Final[dict[Task, int]] = {
    Task.BULK: 7 * 24 * HOUR,
    Task.FINAL: 12 * HOUR,
    Task.VERIFY: 24 * HOUR,
    Task.DELETE: 24 * HOUR,
    Task.SMOKE: HOUR,
    Task.PROBE: 600,
}
"""Seconds after which a Job is ended: late enough for the largest store, so that only what hangs is hit."""
COLLECTOR_RESOURCES: Final[Json] = {"requests": {"memory": "128Mi"}, "limits": {"memory": "2Gi"}}
"""The server's own collector holds the digest of every blob: some hundred bytes each. It must not take a node down."""
MAX_ORDERS: Final = 900 * 1024
"""Bytes of a ConfigMap that the API server takes."""
COLLECTS: Final = frozenset({Task.PREPARE, Task.ACCOUNT})
_ANSWERING: Final = frozenset({Task.PROBE, Task.SMOKE})
"""Tasks that speak with the server and log in there."""


@dataclass(frozen=True, slots=True)
class WorkAbout:
    """What a Job is made of besides its want. `server_node`: where the server's Pod runs, empty if it does not."""

    image: str
    order: Order
    access: AccessFacts
    pull_secrets: tuple[str, ...] = ()
    server_node: str = ""


@dataclass(frozen=True, slots=True)
class _Job:
    spec: RegistryStorageSpec
    identity: Identity
    work: WorkWant
    about: WorkAbout

    @property
    def names(self) -> Names:
        return Names(self.identity.name)

    @property
    def name(self) -> str:
        return self.names.job(self.work.task, self.work.order)

    @property
    def stores(self) -> tuple[tuple[Role, StoreRef], ...]:
        found: tuple[tuple[Role, StoreRef | None], ...] = (("source", self.work.source), ("target", self.work.target))
        return tuple((role, store) for role, store in found if store is not None)


def work_objects(spec: RegistryStorageSpec, identity: Identity, work: WorkWant, about: WorkAbout) -> tuple[Json, Json]:
    """Return the ConfigMap with the order, and the Job."""
    job = _Job(spec, identity, work, about)
    return _config(job), _job(job)


def pull_job(
    spec: RegistryStorageSpec, identity: Identity, reference: str, about: WorkAbout, away_from: Iterable[str]
) -> Json:
    """Return a Job whose Pod pulls an image on other nodes than these, the server's. It has no program: it is the pull.

    Not by an anti-affinity to the server's Pod: one that waits would take the node as soon as the server is made anew,
    and the server could not come back to it.
    """
    work = WorkWant(task=Task.PROBE, order=f"pull/{reference}")
    job = _Job(spec, identity, work, about)
    fields = [{"key": "metadata.name", "operator": "NotIn", "values": [each]} for each in sorted(set(away_from))]
    own = (about.access.pull_secret,) if about.access.pull_secret else ()
    container = Container(
        name="pull",
        image=reference,
        args=(),
        command=("/pawl-pull-has-no-program",),
        resources={"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"memory": "16Mi"}},
        more={"imagePullPolicy": "Always"},
    )
    away = _on_nodes(fields) if fields else {}
    shape = Shape(pull_secrets=own, affinity=away, more={"restartPolicy": "Never", "terminationGracePeriodSeconds": 1})
    return _wrapped(job, pod_spec(spec, [container], shape))


def _config(job: _Job) -> Json:
    # One file a task: a worker refuses an order that is not its own.
    files = {ORDER_FILE: text_of(job.about.order)}
    if job.work.task in COLLECTS:
        files = {
            ORDER_FILE: text_of(job.about.order.model_copy(update={"task": Task.PREPARE})),
            # What is used matters to the judgement alone, and a ConfigMap has its bounds.
            ACCOUNT_FILE: text_of(job.about.order.model_copy(update={"task": Task.ACCOUNT, "uses": []})),
        }
    head = metadata(job.identity, job.name, WORK, annotations={ORDER: job.work.order})
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": head, "data": files}


def too_heavy(texts: Iterable[str]) -> str:
    """Return why orders are more than a ConfigMap may hold, "" where they are not."""
    size = sum(len(text.encode()) for text in texts)
    if size <= MAX_ORDERS:
        return ""
    said = f"what is in use takes {size} bytes to tell a Job, which may be told {MAX_ORDERS}"
    return f"{said}; delete workloads and old ReplicaSets that nobody needs"


def text_of(order: Order) -> str:
    """Return an order as its worker reads it."""
    return order.model_dump_json(by_alias=True, exclude_none=True)


def _job(job: _Job) -> Json:
    shape = Shape(
        pull_secrets=job.about.pull_secrets,
        affinity=_affinity(job),
        more={"restartPolicy": "Never", "terminationGracePeriodSeconds": 30},
    )
    if job.work.task not in COLLECTS:
        return _wrapped(job, pod_spec(job.spec, [_worker(job, job.work.task, _stores(job))], shape))
    store = _stores(job)
    before = [_worker(job, Task.PREPARE, store), _collector(job)]
    return _wrapped(job, pod_spec(job.spec, [_worker(job, Task.ACCOUNT, store, ACCOUNT_FILE)], shape, before))


def _wrapped(job: _Job, pod: Json) -> Json:
    note = {ORDER: job.work.order}
    head = metadata(job.identity, job.name, WORK, annotations=note)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": head,
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": _deadline(job),
            "template": {
                "metadata": {"labels": labels(job.identity.name, WORK), "annotations": note},
                "spec": pod,
            },
        },
    }


def _deadline(job: _Job) -> int:
    """A collector must be dead when the server takes pushes again: what it deletes then may be in use."""
    if job.work.task in COLLECTS:
        return max(1, int(parse_duration(job.spec.collection.thaw_after).total_seconds()))
    return DEADLINES.get(job.work.task, HOUR)


def _affinity(job: _Job) -> Json:
    """Run on the server's node where the server's claim may be mounted on one node only."""
    if all(shared(store) for _, store in job.stores):
        return {}
    if not job.about.server_node:
        return {}
    return _on_nodes([{"key": "metadata.name", "operator": "In", "values": [job.about.server_node]}])


def _on_nodes(fields: list[Json]) -> Json:
    terms = {"nodeSelectorTerms": [{"matchFields": fields}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def _worker(job: _Job, task: Task, mounts: tuple[Mount, ...], file: str = ORDER_FILE) -> Container:
    return Container(
        name=task.value,
        image=job.about.image,
        args=worker_args(task, file),
        env=(from_secret(TOKEN_VARIABLE, job.about.access.internal_secret, "token"),),
        mounts=(config_map(ORDER_DIRECTORY, job.name), scratch(OUT), scratch("/tmp"), *mounts),  # noqa: S108
        resources=WORKER_RESOURCES,
        more={
            "ports": [{"name": "work", "containerPort": WORK_PORT}],
            "terminationMessagePath": REPORT,
            "terminationMessagePolicy": "File",
        },
    )


def _collector(job: _Job) -> Container:
    """The server's own collector, from the server's own image and configuration: it knows its layout best."""
    store, spec = job.work.source or job.work.target, job.spec
    if store is None:
        raise ValueError("a collection without a store")
    return Container(
        name="collect",
        image=spec.server.image,
        command=("registry",),
        args=("garbage-collect", f"{CONFIG_DIRECTORY}/{MAIN}"),
        env=store_env(store, job.about.access.internal_secret),
        mounts=(config_map(CONFIG_DIRECTORY, job.names.server), *store_mounts(job.names, store, writable=True)),
        resources=resources(spec.server.resources) or COLLECTOR_RESOURCES,
    )


def _stores(job: _Job) -> tuple[Mount, ...]:
    found: list[Mount] = []
    for role, store in job.stores:
        if store.kind == "S3":
            found.extend(store_secrets(store, role))
        else:
            found.append(claim(f"/pawl/{role}", job.names.claim(store), writable=_writes(job.work.task, role)))
    return (*found, *(_login(job) if job.work.task in _ANSWERING else ()))


def _writes(task: Task, role: Role) -> bool:
    """A copy never writes where it reads, and what only looks writes nowhere."""
    if task in {Task.VERIFY, Task.SMOKE, Task.PROBE, Task.METER}:
        return False
    return role == "target" or task in COLLECTS or task is Task.DELETE


def _login(job: _Job) -> tuple[Mount, ...]:
    access = job.about.access
    user = (secret(USER_DIRECTORY, access.users_secret, "username", "password"),) if access.users_secret else ()
    return (*user, *((config_map(CA_DIRECTORY, job.names.ca),) if access.ca else ()))
