"""What a look at an override works with, filled by hand: rows, tables, a gate that rewrites, nothing to ask for.

Neighbours: `rollout_idle` measures. Not here: figures.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from pawl.api.imageoverride import ClusterImageOverride
from pawl.api.imagerules import Table
from pawl.cluster.calls import Answer, ConnectionValues, Request
from pawl.cluster.client import Cluster
from pawl.cluster.ruletables import CLUSTER, StoredTable
from pawl.cluster.secrets import SecretReader
from pawl.cluster.world import World
from pawl.controllers.access import AccessReader
from pawl.controllers.assessments import Assessments
from pawl.controllers.compilations import Compilations
from pawl.controllers.customfields import CustomFields
from pawl.controllers.explain import Explainer
from pawl.controllers.explanations import Explanations
from pawl.controllers.fightfeed import Fights
from pawl.controllers.gatekeeping import GateKeeper
from pawl.controllers.overridefacts import FactsGatherer, Memory, Sources
from pawl.controllers.overridestore import OverrideStore, label_of
from pawl.controllers.overrideterms import TermsReader
from pawl.controllers.prepulls import Prepulls
from pawl.controllers.pullkeys import PullKeys
from pawl.controllers.queue import Key
from pawl.controllers.sightings_ask import Manifests
from pawl.controllers.standing import Board, Standing
from pawl.decide.digests import Content
from pawl.decide.objects import ContainerState, ImageAt, NamespaceRow, NodeRow, Owner, PodRow, PodSpec, WorkloadRow
from pawl.decide.rulebook import Stock, compile_rulebook
from pawl.registry.addresses import NetworkPolicy
from pawl.registry.client import RegistryClient
from pawl.registry.wire import Observation

SPACES, WORKLOADS, PODS_EACH, NODES, IMAGES = 50, 2000, 5, 20, 100
SOURCE, TARGET, PLATFORM = "registry.example.com/bench", "registry.corp:5000/bench", "linux/amd64"
NOW = 1_790_000_000.0
_DIGEST = "sha256:" + "a" * 64


class _Nobody:
    """A network on which nothing may be sent: a look at an unchanged world asks nobody."""

    async def send(self, request: Request) -> Answer:
        raise AssertionError(f"asked for {request.verb} {request.target}")

    def stream(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        raise AssertionError(f"watched {request.target}")

    async def connection_info(self) -> ConnectionValues:
        raise AssertionError("asked for the connection")

    async def close(self) -> None:
        """Nothing is open."""


class _Gate:
    """A gate that is there and rewrites."""

    async def kind(self) -> str:
        return "MutatingAdmissionPolicy"

    async def apply(self) -> None:
        """Nothing is to be applied."""

    async def serve(self) -> None:
        """Nothing is to be run."""

    async def probe(self, namespace: str, table: Table) -> str | None:  # noqa: ARG002
        return None


@dataclass(frozen=True)
class Scene:
    """All of it."""

    world: World
    gatherer: FactsGatherer
    override: ClusterImageOverride
    standing: Standing
    memory: Memory

    def now(self) -> float:
        return NOW


def scene() -> Scene:
    """Fill a world whose Pods all run what the override says."""
    cluster, override = Cluster(_Nobody()), _override()
    world = _world(cluster)
    keys = PullKeys(SecretReader(cluster))
    client = RegistryClient(NetworkPolicy(deny_loopback=False), _unobserved)
    explainer = Explainer(keys, Manifests(client, NetworkPolicy(deny_loopback=False)))
    clock = asyncio.get_running_loop().time
    sources = Sources(
        world,
        GateKeeper(_Gate(), manage=False, clock=clock),
        Fights(world, Board(), OverrideStore(), _unwoken, lambda: NOW),
        Prepulls(cluster, world),
        Explanations(explainer, clock),
        TermsReader(AccessReader(SecretReader(cluster)), "pawl-system"),
        lambda: NOW,
    )
    memory = Memory(Assessments(world), CustomFields(cluster, clock))
    return Scene(world, FactsGatherer(sources), override, _standing(world, override), memory)


def _unobserved(_seen: Observation) -> None:
    """Nobody counts."""


def _unwoken(_key: Key) -> None:
    """Nobody is woken."""


def _override() -> ClusterImageOverride:
    rules = [{"source": SOURCE, "target": {"repository": TARGET}}]
    spec = {"rules": rules, "enforcement": {"templates": "Reconcile"}, "rollout": {"maxConcurrent": 50}}
    metadata = {"name": "bench", "uid": "override", "generation": 1}
    return ClusterImageOverride.model_validate({"metadata": metadata, "spec": spec})


def _standing(world: World, override: ClusterImageOverride) -> Standing:
    book = compile_rulebook(Stock((override,), namespaces=world.namespaces()))
    compiled = Compilations().of({CLUSTER: book.cluster, **book.namespaces})
    return Standing(
        stamp=1,
        rulebook=book,
        compiled=compiled,
        drafted=compiled,
        stored={CLUSTER: StoredTable(CLUSTER, "pawl", "table", "1", book.cluster)},
        contents={("", _target(kind)): Content(_target(kind), _DIGEST, {PLATFORM: _DIGEST}) for kind in range(IMAGES)},
        generations={label_of(override): 1},
    )


def _world(cluster: Cluster) -> World:
    world = World(cluster)
    for number in range(SPACES):
        world.put(NamespaceRow(f"s{number:02d}"))
    for number in range(NODES):
        world.put(NodeRow(f"node-{number}", PLATFORM))
    for number in range(WORKLOADS):
        world.put(_workload("Deployment", number, ()))
        world.put(_workload("ReplicaSet", number, (Owner("apps/v1", "Deployment", _name(number), f"d{number}", True),)))
        for each in range(PODS_EACH):
            world.put(pod(number, each))
    return world


def _target(number: int) -> str:
    return f"{TARGET}/r{number % IMAGES:02d}:v1@{_DIGEST}"


def _name(number: int) -> str:
    return f"web-{number:04d}"


def _spec(number: int) -> PodSpec:
    return PodSpec((ImageAt("containers", "main", _target(number)),), labels=(("app", _name(number)),))


def _workload(kind: str, number: int, owners: tuple[Owner, ...]) -> WorkloadRow:
    return WorkloadRow(
        kind=kind,
        namespace=f"s{number % SPACES:02d}",
        name=_name(number),
        uid=f"{kind[0].lower()}{number}",
        version="1",
        spec=_spec(number),
        generation=1,
        observed=1,
        created=NOW - 9000,
        owners=owners,
        wanted=PODS_EACH,
        updated=PODS_EACH,
        ready=PODS_EACH,
        total=PODS_EACH,
    )


def pod(number: int, each: int, version: str = "1") -> PodRow:
    """A Pod that runs the right image."""
    state = ContainerState("main", image_id=f"{TARGET}/r@{_DIGEST}", started=True)
    return PodRow(
        namespace=f"s{number % SPACES:02d}",
        name=f"{_name(number)}-{each}",
        uid=f"p{number}-{each}",
        version=version,
        spec=_spec(number),
        created=NOW - 8000,
        owners=(Owner("apps/v1", "ReplicaSet", _name(number), f"r{number}", True),),
        node=f"node-{each % NODES}",
        phase="Running",
        ready_since=NOW - 7000,
        states=(state,),
    )
