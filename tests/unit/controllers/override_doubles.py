"""The ground of overrides for units: an API server in a dictionary, a world of rows, a registry and a gate by hand.

Stores, tables, copies, terms and fights are the real parts. Neighbours: `memory_api` is the server. Not here: watches.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from tests.unit.cluster.memory_api import MemoryApi, status

from pawl.api.errors import ClusterError, LeaseLost
from pawl.api.imageoverride import Override
from pawl.api.imagerules import ClusterTable, Table
from pawl.api.reasons import Reason
from pawl.cluster.calls import Answer, Request
from pawl.cluster.client import Cluster, Options
from pawl.cluster.ruletables import RuleTables, decode_table
from pawl.cluster.secrets import SecretReader
from pawl.cluster.world import World
from pawl.controllers.access import AccessReader
from pawl.controllers.fightfeed import Fights
from pawl.controllers.gatekeeping import Count, GateKeeper
from pawl.controllers.imagerules import RULES, ImageRulesController, RulesParts
from pawl.controllers.overridecopies import Copies
from pawl.controllers.overridestore import OverrideStore, key_of
from pawl.controllers.overrideterms import TermsReader
from pawl.controllers.queue import Key
from pawl.controllers.secretcopies import SecretCopies
from pawl.controllers.sightings import Sighting, Wish
from pawl.controllers.standing import Board, Standing
from pawl.controllers.store import PolicyStore
from pawl.controllers.targets import Targets
from pawl.decide.gatechoice import GateChoice
from pawl.decide.objects import FINALIZER, ImageAt, NamespaceRow, NodeRow, Owner, PodRow, PodSpec, WorkloadRow

PAWL = "/apis/pawl.dev/v1alpha1"
FORBIDDEN = status(403, "Forbidden", "you may not")
CONFLICT = status(409, "Conflict", "somebody else wrote")
DOWN = Answer(503, b"{}")
WRITES = ("create", "update", "patch", "delete")


def digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def rule(source: str = "docker.io/rook", repository: str = "r.corp/rook", **target: Any) -> dict[str, Any]:
    return {"source": source, "target": {"repository": repository, **target}}


def body(name: str = "one", namespace: str = "shop", **parts: Any) -> dict[str, Any]:
    """An override as stored; namespace "" makes it cluster-wide. `meta` and `status` go there, all else into spec.

    One that writes templates, or is cluster-wide, has the finalizer that Pawl gives it.
    """
    binding = not namespace or "enforcement" in parts
    held = {"finalizers": [FINALIZER] if binding else []}
    meta = {"name": name, "uid": f"uid-{name}", "generation": 1} | held | parts.pop("meta", {})
    meta |= {"namespace": namespace} if namespace else {}
    found = {"metadata": meta, "status": parts.pop("status", {}), "spec": {"rules": [rule()], **parts}}
    kind = "ImageOverride" if namespace else "ClusterImageOverride"
    return {"apiVersion": "pawl.dev/v1alpha1", "kind": kind, **found}


def policy(sequence: int = 0, *, epoch: int = 1, uid: str = "p", image: str = "r.corp/rook", **meta: Any) -> Any:
    """A policy whose selection has this sequence, and the tag `v<sequence>`; 0 for none."""
    tag = f"v{sequence}"
    selection = {
        "epoch": epoch,
        "sequence": sequence,
        "tag": tag,
        "digest": digest(tag),
        "reference": f"{image}:{tag}@{digest(tag)}",
        "sortKey": f"1 {tag}",
        "ordering": "0" * 32,
        "selectedAt": "2026-01-01T00:00:00Z",
        "cause": "Newer",
    }
    metadata = {"name": "web", "namespace": "shop", "uid": uid} | meta
    spec = {"image": image, "select": {"semver": {"range": "*"}}}
    return {"metadata": metadata, "spec": spec, "status": {"selection": selection} if sequence else {}}


def pod_spec(*images: str, **more: Any) -> PodSpec:
    return PodSpec(tuple(ImageAt("containers", f"c{at}", image) for at, image in enumerate(images)), **more)


def workload(name: str, image: str, namespace: str = "shop", version: str = "1", **more: Any) -> WorkloadRow:
    kind, spec = more.pop("kind", "Deployment"), more.pop("spec", pod_spec(image))
    return WorkloadRow(kind, namespace, name, f"uid-{name}", version, spec, **more)


def pod(name: str, image: str, namespace: str = "shop", version: str = "1", **more: Any) -> PodRow:
    return PodRow(namespace, name, f"uid-{name}", version, pod_spec(image), **more)


def replicas(deployment: str, namespace: str = "shop") -> tuple[WorkloadRow, Owner]:
    """The ReplicaSet of a Deployment, and the reference that its Pods carry."""
    above = Owner("apps/v1", "Deployment", deployment, f"uid-{deployment}", controller=True)
    name = f"{deployment}-rs"
    row = workload(name, "", namespace, kind="ReplicaSet", spec=PodSpec(), owners=(above,))
    return row, Owner("apps/v1", "ReplicaSet", name, row.uid, controller=True)


class StillWorld(World):
    """A world whose rows are put in by hand; it counts as listed."""

    listed = True

    @property
    def synced(self) -> bool:
        return self.listed


class StillTables(RuleTables):
    """Tables that nobody watches."""

    @property
    def synced(self) -> bool:
        return True

    def load(self, raws: Iterable[bytes]) -> None:
        """Take what is stored, as a first listing does."""
        for raw in raws:
            self._take(decode_table(raw), gone=False)


@dataclass
class Registry:
    """Answers looks at targets: all are there but those in `fails`, by (namespace, reference); "" for all."""

    fails: dict[tuple[str, str], Reason] = field(default_factory=dict)
    asked: list[Wish] = field(default_factory=list)
    since: list[float] = field(default_factory=list)
    """How old answers to refused targets may be, look by look."""
    meanwhile: Callable[[], None] = lambda: None

    async def see(self, wish: Wish, not_before: float = 0.0) -> Sighting:
        self.asked.append(wish)
        self.since.append(not_before)
        self.meanwhile()
        reason = self.fails.get((wish.namespace, wish.reference)) or self.fails.get(("", wish.reference))
        if reason is not None:
            return Sighting(wish.reference, False, reason, f"{wish.reference}: {reason}", again_in=30.0)
        found = dict.fromkeys(wish.platforms, digest(wish.reference))
        return Sighting(wish.reference, True, Reason.PREFLIGHT_PASSED, "", digest(wish.reference), found, found)


@dataclass
class Gate:
    """A gate that says what it is told to. `answers` are given one by one, the last one for ever."""

    rewrites: str = "MutatingAdmissionPolicy"
    answers: list[str | ClusterError | None] = field(default_factory=lambda: [None])
    broken: ClusterError | None = None
    asked: int = 0
    applied: int = 0
    probes: int = 0
    time: float = 0.0
    tick: float = 1.0

    async def keep(self, *, manage: bool) -> GateChoice:
        if self.broken is not None:
            raise self.broken
        self.asked += 1
        self.applied += manage
        return GateChoice(self.rewrites, way_out="" if self.rewrites else "apply it")

    async def serve(self, _count: Count) -> None:
        return

    def ready(self) -> bool:
        return True

    async def probe(self, _namespace: str, _table: Table) -> str | None:
        self.probes += 1
        self.time += self.tick
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, ClusterError):
            raise answer
        return answer

    def keeper(self, *, manage: bool = False) -> GateKeeper:
        return GateKeeper(self, manage=manage, clock=lambda: self.time, now=lambda: 1000.0 + self.time)


class Stage:
    """One term on an API server that outlives it: `again` begins the next."""

    def __init__(self, *namespaces: str, api: MemoryApi | None = None) -> None:
        self.api = api or MemoryApi(namespaces or ("shop",))
        self.api.hook = self._server
        self.faults: dict[tuple[str, str], Answer] = {}
        self.cluster = Cluster(self.api.view(), Options(tries=1))
        self.world = StillWorld(self.cluster)
        self.overrides, self.policies = OverrideStore(), PolicyStore(lambda _image: "")
        self.tables, self.board, self.registry = StillTables(self.cluster), Board(), Registry()
        self.woken: list[Key] = []
        self.time, self.leading, self.complete = 1_000_000.0, True, True
        self.copies = Copies(SecretCopies(self.cluster, lambda: self.time), lambda: self.time)
        self.terms = TermsReader(AccessReader(SecretReader(self.cluster)), "pawl-system")
        self.fights = Fights(self.world, self.board, self.overrides, self.woken.append, lambda: self.time)
        self.rules = ImageRulesController(self._parts())
        self.world.put(NodeRow("n1", "linux/amd64"))
        for name in namespaces or ("shop",):
            self.world.put(NamespaceRow(name, (("kubernetes.io/metadata.name", name),)))
        self.tables.load(json.dumps(found).encode() for path, found in self.api.objects.items() if "rules/" in path)

    def again(self) -> Stage:
        """Begin a new term: nothing is remembered, rows and overrides are read anew."""
        fresh = Stage(*(row.name for row in self.world.namespaces()), api=self.api)
        for row in (*self.world.workloads(), *self.world.rows_of("ReplicaSet")):
            fresh.world.put(row)
        for made in self.world.pods():
            fresh.world.put(made)
        for path, found in self.api.objects.items():
            if "imageoverrides/" in path:
                fresh.offer(found)
        for key in self.policies:
            known = self.policies.row(key)
            assert known is not None
            fresh.policies.offer(known.raw, asked_at=0.0)
        return fresh

    def _parts(self) -> RulesParts:
        return RulesParts(
            overrides=self.overrides,
            policies=self.policies,
            world=self.world,
            tables=self.tables,
            targets=Targets(self.registry),  # type: ignore[arg-type]
            copies=self.copies,
            terms=self.terms,
            board=self.board,
            guard=self.guard,
            wake=self.woken.append,
            exempt=self.fights.exempt,
            excluded=frozenset({"kube-system"}),
            complete=lambda: self.complete,
        )

    def guard(self) -> int:
        if not self.leading:
            raise LeaseLost("another leads")
        return 1

    async def _server(self, request: Request) -> Answer | None:
        """Give faults their turn, and do what the dictionary does not know: status, JSON patches, evictions."""
        fault = self.faults.get((request.verb, request.path)) or self.faults.get(
            (request.verb, request.resource.plural)
        )
        if fault is not None:
            self.api.requests.append(request)
            return fault
        if request.subresource == "status":
            answer = self.api.answer(msgspec.structs.replace(request, subresource=None))
            self.api.requests[-1] = request
            return answer
        if request.subresource == "eviction" or "json-patch" in request.content_type:
            self.api.requests.append(request)
            return Answer(200, b"{}")
        return None

    def put(self, found: Mapping[str, Any]) -> Override:
        """Store an override and let it be seen."""
        meta = found["metadata"]
        place = f"namespaces/{meta['namespace']}/imageoverrides" if "namespace" in meta else "clusterimageoverrides"
        self.api.put(f"{PAWL}/{place}/{meta['name']}", dict(found))
        return self.offer(found)

    def offer(self, found: Mapping[str, Any]) -> Override:
        key = Key(found["kind"], found["metadata"].get("namespace", ""), found["metadata"]["name"])
        self.overrides.offer(key, json.dumps(found).encode())
        override = self.overrides.get(key)
        assert override is not None
        return override

    def select(self, found: Mapping[str, Any]) -> None:
        """Let a policy be seen."""
        known = self.policies.version(Key("ImagePolicy", "shop", "web"))
        found["metadata"]["resourceVersion"] = str(known + 1)
        self.policies.offer(json.dumps(found).encode(), asked_at=0.0)

    async def look(self) -> Standing:
        await self.rules.reconcile(RULES)
        assert self.board.standing is not None
        return self.board.standing

    def stored(self) -> dict[str, Any]:
        """All tables as stored, by namespace; "" for the cluster's."""
        found = {path: obj for path, obj in self.api.objects.items() if "rules/" in path}
        return {obj["metadata"].get("namespace", ""): json.loads(json.dumps(obj)) for obj in found.values()}

    def images(self, namespace: str = "shop") -> set[str]:
        """The targets that the stored table of a namespace names, with tag and digest."""
        table = ClusterTable.model_validate({**self.stored()[namespace]["spec"]})
        entries = [entry for listed in table.rules.values() for entry in listed]
        return {f"{entry.to}:{entry.tag}" if entry.tag else entry.to for entry in entries}

    def held(self, namespace: str = "shop") -> dict[str, str]:
        return dict(self.stored().get(namespace, {"spec": {}})["spec"].get("held", {}))

    @property
    def writes(self) -> int:
        return sum(self.api.verbs[verb] for verb in WRITES)


def current(stage: Stage, override: Override) -> Override:
    found = stage.overrides.get(key_of(override))
    assert found is not None
    return found
