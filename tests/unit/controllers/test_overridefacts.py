"""Facts for one decision: the gate by namespace, plans that wait, explicit parents, since when a rollout runs."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.unit.controllers.override_doubles import FORBIDDEN, PAWL, Gate, Stage, body, pod, replicas, workload
from tests.unit.controllers.override_whole import Whole

from pawl.api.imagerules import Table
from pawl.api.reasons import Reason
from pawl.controllers.assessments import Assessments
from pawl.controllers.customfields import CustomFields
from pawl.controllers.overridefacts import PROBES, FactsGatherer, Gathered, Memory, Sources
from pawl.controllers.prepulls import Prepulls
from pawl.decide.objects import Owner

IMAGE = "docker.io/rook/ceph:1"


class Gathering:
    def __init__(self, *namespaces: str, gate: Gate | None = None, **spec: Any) -> None:
        self.stage = Stage(*namespaces)
        self.whole = Whole(self.stage, gate)
        for name in namespaces:
            self.stage.world.put(workload(f"web-{name}", IMAGE, name))
        self.override = self.stage.put(body("wide", "", **spec))
        whole, stage = self.whole, self.stage
        prepulls = Prepulls(stage.cluster, stage.world)
        self.it = FactsGatherer(
            Sources(
                stage.world,
                whole.keeper,
                stage.fights,
                prepulls,
                whole.explanations,
                stage.terms,
                lambda: stage.time,
            )
        )
        self.memory = Memory(Assessments(stage.world), CustomFields(stage.cluster, lambda: stage.time))

    async def gather(self) -> Gathered:
        return await self.it.gather(self.override, await self.stage.look(), self.memory)


async def test_a_namespace_whose_table_could_not_be_written_holds_back_its_own_workloads() -> None:
    own: dict[str, Any] = {"namespaces": {"selector": {"matchExpressions": [EXISTS]}}}
    gathering = Gathering("a", "b", **own)
    gathering.stage.faults[("create", f"{PAWL}/namespaces/b/imagerules")] = FORBIDDEN
    facts = (await gathering.gather()).facts
    assert facts.gate.in_force
    assert {uid: reason for uid, (reason, _) in facts.blocked.items()} == {"uid-web-b": Reason.MISSING_RIGHT}


EXISTS = {"key": "kubernetes.io/metadata.name", "operator": "Exists"}


async def test_a_gate_that_rewrites_nowhere_is_not_in_force() -> None:
    gathering = Gathering("a", "b", gate=Gate(rewrites=""))
    facts = (await gathering.gather()).facts
    assert (facts.gate.in_force, facts.gate.reason, facts.blocked) == (False, Reason.GATE_MISSING, {})


class Slow(Gate):
    """A gate that answers when `PROBES` namespaces, or all, ask at once."""

    def __init__(self, wanted: int) -> None:
        super().__init__(tick=0.0)
        self.at_once, self.most, self.wanted, self.full = 0, 0, wanted, asyncio.Event()

    async def probe(self, namespace: str, table: Table) -> str | None:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        if self.at_once == self.wanted:
            self.full.set()
        await self.full.wait()
        self.at_once -= 1
        return await super().probe(namespace, table)


async def test_namespaces_are_probed_side_by_side_and_not_too_many() -> None:
    gate = Slow(PROBES)
    gathering = Gathering(*(f"n{at}" for at in range(PROBES + 9)), gate=gate)
    async with asyncio.timeout(5):
        facts = (await gathering.gather()).facts
    assert (facts.gate.in_force, gate.most, gate.probes) == (True, PROBES, PROBES + 9)


async def test_a_plan_that_waits_asks_no_gate() -> None:
    gathering = Gathering("a", gate=Gate(rewrites=""), rollout={"mode": "Plan"})
    facts = (await gathering.gather()).facts
    assert facts.gate.in_force
    assert len(facts.assessments) == 1


async def test_parents_are_those_above_and_those_that_are_named() -> None:
    named = {"kind": "Deployment", "name": "operator", "namespace": "b"}
    gathering = Gathering("a", "b", enforcement={"parents": [named]})
    gathering.stage.world.put(workload("operator", "docker.io/x:1", "b"))
    above = Owner("apps/v1", "Deployment", "web-a", "uid-web-a", controller=True)
    gathering.stage.world.put(workload("child", IMAGE, "a", owners=(above,)))
    replica_set, owner = replicas("web-a", "a")
    gathering.stage.world.put(replica_set)
    gathering.stage.world.put(pod("web-a-1", IMAGE, "a", owners=(owner,)))
    facts = (await gathering.gather()).facts
    assert [row.name for row in facts.explicit] == ["operator"]
    assert {uid: [row.name for row in rows] for uid, rows in facts.parents.items()} == {"uid-child": ["web-a"]}
    assert {uid: [each.name for each in pods] for uid, pods in facts.parent_pods.items()} == {
        "uid-operator": [],
        "uid-web-a": ["web-a-1"],
    }


async def test_a_rollout_began_when_its_hash_was_first_seen() -> None:
    gathering = Gathering("a")
    gathering.stage.world.put(workload("web-a", IMAGE, "a", "2", rollout="one"))
    first = (await gathering.gather()).facts.begun["uid-web-a"]
    gathering.stage.time += 10
    assert (await gathering.gather()).facts.begun == {"uid-web-a": first}
    gathering.stage.world.put(workload("web-a", IMAGE, "a", "3", rollout="two"))
    assert (await gathering.gather()).facts.begun == {"uid-web-a": first + 10}
    gathering.stage.world.put(workload("web-a", IMAGE, "a", "4"))
    assert (await gathering.gather()).facts.begun == {}


async def test_assessments_are_kept_while_nothing_changed() -> None:
    gathering = Gathering("a", "b")
    first = (await gathering.gather()).facts.assessments
    again = (await gathering.gather()).facts.assessments
    assert [one is two for one, two in zip(first, again, strict=True)] == [True, True]
    gathering.stage.world.put(workload("web-a", IMAGE, "a", "2"))
    third = (await gathering.gather()).facts.assessments
    assert [one is two for one, two in zip(first, third, strict=True)] == [False, True]
