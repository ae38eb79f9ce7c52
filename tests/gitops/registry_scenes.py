"""Every state of a registry that a health check tells apart, as the machine judges it, without a cluster.

A `World` does what the machine asks for at once: Pods serve the store that it names, Jobs say what a scene wants them
to say. Neighbours: `policy_scenes` and `override_scenes` ask the running operator, `fixtures` writes down what comes
out. Not here: whether the operator carries it out (tests/cluster).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pawl.api.catalog import REGISTRY_STORAGE
from pawl.api.crd import structural_schema
from pawl.api.meta import Condition
from pawl.api.reasons import ConditionType, Reason
from pawl.api.registrystorage import RegistryStorage, RegistryStorageStatus
from pawl.api.registrystorage_status import CollectionPhase, MigrationPhase
from pawl.api.registrywork import Meter, Plan, Progress, Report, RepositorySize, TagVerdict, Task
from pawl.controllers.registrymemory import memory_of, onto
from pawl.decide.pressure import usage
from pawl.decide.storagefacts import Claim, Facts, Identity, Server, ServerPod, Step, Want, Work
from pawl.decide.storagemachine import step

Json = dict[str, Any]

START: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GIB: Final = 1 << 30
NAME: Final = "main"
HOST: Final = "registry.example.com:5000"

MINIO: Final[Json] = {
    "s3": {
        "endpoint": "http://minio:9000",
        "bucket": "images",
        "credentialsSecretRef": {"name": "minio"},
        "quota": "500Gi",
    }
}
CLAIM: Final[Json] = {"filesystem": {"size": "200Gi"}}
RULES: Final[Json] = {"retention": [{"repositories": ["**"], "keepLast": 10}]}
SPEC: Final[Json] = structural_schema(REGISTRY_STORAGE)["properties"]["spec"]
PROOFS: Final = (
    ConditionType.NAME_RESOLVED,
    ConditionType.REACHABLE,
    ConditionType.TRUSTED,
    ConditionType.API_ANSWERS,
    ConditionType.AUTHENTICATED,
    ConditionType.PUSH_PROVED,
    ConditionType.PULL_PROVED,
)

Says = Callable[[Work], Work]
"""What becomes of a Job."""


def busy(report: Report) -> Says:
    return lambda work: replace(work, report=report)


def done(report: Report) -> Says:
    return lambda work: replace(work, active=False, succeeded=True, report=report)


def failed(report: Report) -> Says:
    return lambda work: replace(work, active=False, failed=True, report=report)


@dataclass
class World:
    """One registry and what is around it. `jobs` says what becomes of a Job; one that is not named goes on."""

    spec: Json
    jobs: Mapping[Task, Says] = field(default_factory=dict)
    used: int = 61
    grows: bool = True
    trouble: str = ""
    plan: Plan | None = None
    proofs: Mapping[ConditionType, tuple[str, str, str]] = field(default_factory=dict)
    comes_up: bool = True
    asks_collection: bool = False
    now: datetime = START
    generation: int = 1
    status: RegistryStorageStatus = field(default_factory=RegistryStorageStatus)
    want: Want | None = None
    lost: bool = False

    def look(self) -> Step:
        """Judge once, and make it so."""
        self.now += timedelta(seconds=30)
        facts = self._facts()
        found = step(facts)
        self.want = found.want
        self.status = onto(self.status, found.memory).model_copy(
            update={
                "observed_generation": self.generation,
                "phase": found.phase,
                "address": HOST,
                "usage": usage(facts),
                "conditions": list(found.conditions),
            }
        )
        return found

    def until(self, holds: Callable[[RegistryStorageStatus], bool]) -> World:
        """Look again until the status says so, and once more, so that what is said is of that state."""
        for _ in range(40):
            if holds(self.status):
                self.look()
                return self
            self.look()
        message = f"never came about: {self.status.wire()}"
        raise AssertionError(message)

    def edit(self, spec: Json, **changes: Any) -> World:
        """Change the spec, as a user does, and what is around it."""
        self.spec, self.generation = spec, self.generation + 1
        for name, value in changes.items():
            setattr(self, name, value)
        return self

    def obj(self) -> Json:
        """The object as the API server has it."""
        return manifest(self.spec, self.generation, self.status.wire())

    def _facts(self) -> Facts:
        found = RegistryStorage.model_validate(manifest(self.spec, self.generation, {}))
        server = self._server()
        return Facts(
            now=self.now,
            identity=Identity("shop", NAME, "uid-1", self.generation),
            spec=found.spec,
            status=self.status,
            memory=memory_of(self.status),
            server=server,
            works=self._works(),
            claims={} if self.lost else self._claims(),
            meter=self._meter() if server.pods else None,
            plan=self.plan,
            collect_requested=self.asks_collection and self.status.collection is None,
            conditions=tuple(self._proofs()) if server.pods else (),
        )

    def _server(self) -> Server:
        if self.want is None:
            return Server()
        if not self.comes_up:
            return Server(exists=True, scale=1, trouble=self.trouble)
        rests = self.want.read_only
        pod = ServerPod(
            name="main-registry-0",
            address="10.0.0.7",
            node="node-a",
            ready=True,
            ending=False,
            store=self.want.store.id,
            read_only=rests,
            config="c",
            takes_pushes=False if rests else None,
        )
        return Server(exists=True, rolled=True, scale=1, pods=(pod,))

    def _works(self) -> dict[Task, Work]:
        wanted = self.want.works if self.want is not None else ()
        works = {
            each.task: Work(
                each.task, each.order, f"main-registry-{each.task}", active=True, succeeded=False, failed=False
            )
            for each in wanted
        }
        return {task: self.jobs.get(task, lambda same: same)(work) for task, work in works.items()}

    def _claims(self) -> dict[str, Claim]:
        stores = self.want.claims if self.want is not None else ()
        return {
            each.claim: Claim(
                each.claim,
                bound=True,
                requested=200 * GIB,
                capacity=200 * GIB,
                grows=self.grows,
                resizing=False,
                own=True,
            )
            for each in stores
        }

    def _meter(self) -> Meter:
        return Meter(
            bytes=self.used * 5 * GIB,
            used=self.used * 2 * GIB,
            capacity=200 * GIB,
            inodes=1_000_000,
            inodes_used=20_000,
            blobs=412,
            tags=57,
            repositories=[RepositorySize(name="shop/web", bytes=80 * GIB, tags=40)],
        )

    def _proofs(self) -> Iterable[Condition]:
        for kind in PROOFS:
            status, reason, message = self.proofs.get(kind, ("True", Reason.PROVED.value, "it works"))
            yield Condition.model_validate(
                {
                    "type": kind.value,
                    "status": status,
                    "reason": reason,
                    "message": message,
                    "lastTransitionTime": START,
                    "observedGeneration": self.generation,
                }
            )


def manifest(spec: Json, generation: int, status: Json) -> Json:
    """A RegistryStorage as the API server stores it, defaults filled in."""
    return {
        "apiVersion": "pawl.dev/v1alpha1",
        "kind": "RegistryStorage",
        "metadata": {
            "name": NAME,
            "namespace": "shop",
            "uid": "1",
            "resourceVersion": "1",
            "generation": generation,
            "creationTimestamp": "2026-01-02T03:04:05Z",
        },
        "spec": _defaulted(spec, SPEC),
        "status": status,
    }


def _defaulted(value: Json, schema: Json) -> Json:
    known = schema.get("properties", {})
    filled = {name: each["default"] for name, each in known.items() if "default" in each} | value
    return {
        name: _defaulted(each, known[name]) if name in known and isinstance(each, dict) else each
        for name, each in filled.items()
    }


def _ready(status: RegistryStorageStatus) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in status.conditions)


def _moves(phase: MigrationPhase) -> Callable[[RegistryStorageStatus], bool]:
    return lambda status: status.migration is not None and status.migration.phase is phase


def _collects(phase: CollectionPhase) -> Callable[[RegistryStorageStatus], bool]:
    return lambda status: status.collection is not None and status.collection.phase is phase


def _served(storage: Json, **changes: Any) -> World:
    return World({"storage": storage}, **changes).until(_ready)


def _figures(share: int) -> Progress:
    whole = 160 * GIB
    return Progress(
        objects=3_100,
        objects_done=31 * share,
        bytes=whole,
        bytes_done=whole * share // 100,
        bytes_per_second=180 << 20,
        eta_seconds=540,
        rounds=1,
    )


_COPIED: Final = {
    Task.BULK: done(Report(task=Task.BULK, done=True, ok=True, progress=_figures(100))),
    Task.FINAL: done(Report(task=Task.FINAL, done=True, ok=True, progress=_figures(100))),
    Task.SMOKE: done(Report(task=Task.SMOKE, done=True, ok=True)),
}


def _moving(jobs: Mapping[Task, Says], phase: MigrationPhase) -> World:
    return _served(MINIO).edit({"storage": CLAIM}, jobs=jobs).until(_moves(phase))


def _serving() -> World:
    return _served(CLAIM)


def _starting() -> World:
    return World({"storage": CLAIM}, comes_up=False).until(lambda status: bool(status.conditions))


def _failing() -> World:
    why = "Pod main-registry-0: ImagePullBackOff: the image of spec.server.image cannot be pulled"
    return World({"storage": CLAIM}, comes_up=False, trouble=why).until(lambda status: bool(status.conditions))


def _unproved() -> World:
    told = ("False", Reason.NOT_PROVED.value, "node-b: x509: unknown authority; set access.nodeTrust, or trust ca.crt")
    return _served(CLAIM, proofs={ConditionType.PULL_PROVED: told})


def _migrating() -> World:
    half = Report(task=Task.BULK, phase="Bulk", progress=_figures(50))
    return _moving({Task.BULK: busy(half)}, MigrationPhase.BULK)


def _final() -> World:
    last = busy(Report(task=Task.FINAL, phase="Final", progress=_figures(99)))
    return _moving(_COPIED | {Task.FINAL: last}, MigrationPhase.FINAL)


def _holding() -> World:
    return _moving(_COPIED, MigrationPhase.HOLD)


def _no_space() -> World:
    text = "claim main-registry has 120 GiB free, and 160 GiB are to come; raise storage.filesystem.size"
    gone = failed(Report(task=Task.BULK, done=True, reason=Reason.NO_SPACE, message=text))
    return _moving({Task.BULK: gone}, MigrationPhase.FAILED)


def _corrupt() -> World:
    bad = "sha256:" + "0" * 64 + " of shop/web"
    text = "1 object of the source is not what its name says; push it again, or delete the tags that need it"
    found = Report(task=Task.BULK, done=True, reason=Reason.SOURCE_CORRUPT, message=text, quarantine=[bad])
    return _moving({Task.BULK: failed(found)}, MigrationPhase.FAILED)


def _plan(**changes: Any) -> Plan:
    gone = TagVerdict(repository="shop/web", tag="v1.0.0", keep=False, reason="Expired")
    kept = TagVerdict(repository="shop/web", tag="v2.0.0", keep=True, reason="InUse", by="Pod shop/web-0")
    figures = {"tags": 57, "delete_tags": 17, "total_bytes": 300 * GIB, "delete_bytes": 90 * GIB}
    made: Json = {"reasons": {"Expired": 17, "InUse": 40}, "verdicts": [gone, kept], **figures}
    return Plan(**{**made, **changes})


def _collection(phase: CollectionPhase, plan: Plan, **changes: Any) -> World:
    world = World({"storage": CLAIM, **RULES, **changes.pop("spec", {})}, **changes).until(_ready)
    world.plan, world.asks_collection = plan, True
    return world.until(_collects(phase))


def _collecting() -> World:
    return _collection(CollectionPhase.COLLECT, _plan())


def _collected() -> World:
    report = Report(task=Task.PREPARE, done=True, ok=True, freed_bytes=90 * GIB, message="17 tags and 90 GiB went")
    return _collection(CollectionPhase.DONE, _plan(), jobs={Task.PREPARE: done(report)})


def _dry_run() -> World:
    return _collection(CollectionPhase.DONE, _plan(), spec={"collection": {"dryRun": True}})


def _capped() -> World:
    text = "50 percent of the tags would go, and collection.maxDeletePercent is 30"
    return _collection(CollectionPhase.REFUSED, _plan(refused=text))


def _full() -> World:
    """Nothing could be freed, and the claim cannot grow."""
    report = Report(task=Task.PREPARE, done=True, ok=True, message="every tag is kept, and every blob is needed")
    jobs = {Task.PREPARE: done(report)}
    nothing = _plan(delete_tags=0, delete_bytes=0, reasons={"InUse": 57}, verdicts=[])
    world = _served(CLAIM, grows=False, jobs=jobs).edit({"storage": CLAIM}, used=97, plan=nothing)
    return world.until(_collects(CollectionPhase.DONE))


def _cramped() -> World:
    return _served(CLAIM, grows=False, used=82)


def _gone() -> World:
    world = _served(CLAIM)
    world.lost, world.comes_up = True, False
    return world.until(lambda status: status.phase == "Stalled")


def _suspended() -> World:
    return (
        _served(CLAIM).edit({"storage": CLAIM, "suspend": True}).until(lambda status: status.observed_generation == 2)
    )


def untouched() -> Json:
    """A registry that nobody looked at yet."""
    return manifest({"storage": CLAIM}, 1, {"observedGeneration": -1})


PLAYS: Final[Mapping[str, Callable[[], World]]] = {
    "registrystorage-serving": _serving,
    "registrystorage-starting": _starting,
    "registrystorage-pod-failing": _failing,
    "registrystorage-not-proved": _unproved,
    "registrystorage-migrating": _migrating,
    "registrystorage-migrating-final": _final,
    "registrystorage-holding": _holding,
    "registrystorage-no-space": _no_space,
    "registrystorage-source-corrupt": _corrupt,
    "registrystorage-collecting": _collecting,
    "registrystorage-collected": _collected,
    "registrystorage-dry-run": _dry_run,
    "registrystorage-cap-exceeded": _capped,
    "registrystorage-full": _full,
    "registrystorage-cannot-expand": _cramped,
    "registrystorage-claim-missing": _gone,
    "registrystorage-suspended": _suspended,
}


def played(stem: str) -> Json:
    """The object of one scene."""
    return untouched() if stem == "registrystorage-new" else PLAYS[stem]().obj()
