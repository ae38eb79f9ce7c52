"""The controller of one override as a whole: tables, gate, one step at a time, one status, silence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.cluster.memory_api import status
from tests.unit.controllers.override_doubles import (
    DOWN,
    FORBIDDEN,
    PAWL,
    WRITES,
    Gate,
    Stage,
    body,
    current,
    pod,
    replicas,
    workload,
)
from tests.unit.controllers.override_whole import Whole

from pawl.api.errors import ApiUnavailable
from pawl.api.imageoverride import Override
from pawl.api.reasons import Reason
from pawl.controllers.imageoverride import SOON
from pawl.controllers.imagerules import RULES
from pawl.controllers.overridestore import key_of
from pawl.decide.objects import FINALIZER

SOURCE, TARGET = "docker.io/rook/ceph:1", "r.corp/rook/ceph:1"
DEPLOYMENT = "/apis/apps/v1/namespaces/shop/deployments/web"


class Shop:
    """One override, and one Deployment with a Pod that runs the old image."""

    def __init__(self, gate: Gate | None = None, **spec: Any) -> None:
        self.stage = Stage("shop")
        self.whole = Whole(self.stage, gate)
        meta = {"name": "web", "uid": "uid-web"}
        self.stage.api.put(DEPLOYMENT, {"metadata": meta, "spec": {"template": {}}})
        self.stage.world.put(workload("web", SOURCE, version=self.version, wanted=1, updated=1, ready=1, total=1))
        replica_set, owner = replicas("web")
        self.stage.world.put(replica_set)
        self.stage.world.put(pod("web-1", SOURCE, owners=(owner,), node="n1", created=1.0))
        self.override = self.stage.put(body(**spec))

    @property
    def version(self) -> str:
        return str(self.stage.api.objects[DEPLOYMENT]["metadata"]["resourceVersion"])

    @property
    def now(self) -> Override:
        return current(self.stage, self.override)

    @property
    def rolled(self) -> bool:
        return bool(self.stage.api.objects[DEPLOYMENT]["spec"]["template"])

    def shown(self) -> None:
        """The watch shows what was written."""
        notes = self.stage.api.objects[DEPLOYMENT]["spec"]["template"]["metadata"]["annotations"]
        row = workload("web", SOURCE, version=self.version, rollout=notes["pawl.dev/rollout"], wanted=1, total=1)
        self.stage.world.put(row)

    async def turn(self) -> float | None:
        return await self.whole.turn(self.override)

    async def settle(self, turns: int = 6) -> None:
        for _ in range(turns):
            await self.turn()

    def condition(self, kind: str) -> tuple[str, str] | None:
        found = [one for one in self.now.status.conditions if one.type == kind]
        return (found[0].status, found[0].reason) if found else None

    def statuses(self) -> int:
        return sum(request.subresource == "status" for request in self.stage.api.requests)


async def test_the_gate_is_proved_before_anything_rolls_and_the_status_says_what_was_done() -> None:
    shop = Shop()
    await shop.turn()
    assert shop.rolled
    assert shop.whole.gate.probes == 1
    assert (shop.now.status.observed_generation, shop.now.status.gate) == (1, "MutatingAdmissionPolicy")
    assert shop.condition("Accepted") == ("True", "Accepted")
    assert shop.condition("Preflight") == ("True", "PreflightPassed")
    assert [found.reference for found in shop.now.status.resolved] == [TARGET]
    assert shop.now.status.workloads.matched == 1


@pytest.mark.parametrize("gate", [Gate(rewrites=""), Gate(answers=["stays as it was"], tick=10.0)])
async def test_behind_a_gate_that_does_not_rewrite_nothing_rolls(gate: Gate) -> None:
    shop = Shop(gate)
    gate.time = shop.stage.time
    shop.whole.keeper._clock = lambda: gate.time
    await shop.settle(3)
    assert not shop.rolled
    assert shop.condition("Ready") in {("False", "GateMissing"), ("False", "GateNotRewriting")}


async def test_a_gate_that_cannot_be_asked_leaves_a_status_that_says_so() -> None:
    gate = Gate(broken=ApiUnavailable("the API of the gate is not there", status=404))
    shop = Shop(gate)
    await shop.settle(2)
    assert not shop.rolled
    assert shop.condition("Ready") == ("False", "GateNotRewriting")


async def test_nothing_is_decided_before_the_tables_know_the_override() -> None:
    shop = Shop()
    assert await shop.whole.controller.reconcile(key_of(shop.override)) == SOON
    assert (RULES, 0.0) not in shop.whole.queue.added
    assert {each.resource.plural for each in shop.stage.api.requests if each.verb in WRITES} == {"configmaps"}
    await shop.stage.look()
    newer = shop.stage.put(body(meta={"generation": 2}))
    writes = shop.stage.writes
    assert await shop.whole.controller.reconcile(key_of(newer)) == SOON
    assert shop.stage.writes == writes


async def test_a_write_is_not_repeated_before_the_watch_has_shown_it() -> None:
    shop = Shop()
    await shop.turn()
    writes = shop.stage.writes
    for _ in range(5):
        assert await shop.whole.controller.reconcile(key_of(shop.override)) == SOON
    assert shop.stage.writes == writes


async def test_equal_facts_patch_no_status() -> None:
    shop = Shop()
    await shop.turn()
    shop.shown()
    await shop.settle()
    shop.stage.time += 15
    writes = shop.stage.writes
    await shop.settle()
    assert shop.stage.writes == writes


async def test_equal_facts_patch_no_status_after_a_restart() -> None:
    shop = Shop(rollout={"mode": "AdmissionOnly"})
    await shop.settle()
    writes, wrote = shop.stage.writes, shop.statuses()
    assert wrote > 0
    after = shop.stage.again()
    after.time = shop.stage.time + 500
    again = Whole(after)
    for _ in range(4):
        await again.turn(shop.override)
    assert after.writes == writes


async def test_a_transient_failure_after_a_restart_moves_nothing_and_rolls_nothing_back() -> None:
    shop = Shop(rollout={"mode": "AdmissionOnly"})
    await shop.settle()
    before = shop.stage.stored()
    after = shop.stage.again()
    after.registry.fails = {("", TARGET): Reason.UNREACHABLE}
    again = Whole(after)
    for _ in range(4):
        await again.turn(shop.override)
    assert after.stored() == before
    resolved = current(after, shop.override).status.resolved
    assert [found.reference for found in resolved] == [TARGET]


async def test_a_status_that_somebody_wrote_first_is_read_again() -> None:
    shop = Shop(rollout={"mode": "AdmissionOnly"})
    path = f"{PAWL}/namespaces/shop/imageoverrides/one"
    shop.stage.api.bump(shop.stage.api.objects[path])
    assert await shop.turn() == SOON
    assert shop.now.metadata.resource_version == shop.stage.api.objects[path]["metadata"]["resourceVersion"]
    await shop.turn()
    assert shop.condition("Accepted") == ("True", "Accepted")


async def test_an_override_that_is_gone_is_dropped_and_the_tables_are_looked_at() -> None:
    shop = Shop()
    await shop.turn()
    del shop.stage.api.objects[f"{PAWL}/namespaces/shop/imageoverrides/one"]
    shop.stage.world.put(workload("late", SOURCE, wanted=1))
    shop.stage.world.put(workload("web", SOURCE, version="999", rollout="other"))
    assert await shop.turn() == SOON
    assert shop.stage.overrides.get(key_of(shop.override)) is None
    assert await shop.whole.controller.reconcile(key_of(shop.override)) is not None
    await shop.stage.look()
    assert await shop.whole.controller.reconcile(key_of(shop.override)) is None
    assert await shop.whole.controller.reconcile(key_of(shop.override)) is None
    assert RULES in shop.whole.queue.taken()
    assert shop.whole.controller._memory == {}


async def test_what_is_not_found_beside_the_override_never_drops_it() -> None:
    """A table must not go because some other object was not there."""
    shop = Shop()
    await shop.stage.look()
    shop.stage.faults[("patch", f"{PAWL}/namespaces/shop/imageoverrides/one/status")] = status(404, "NotFound", "what?")
    assert await shop.turn() == SOON
    assert shop.stage.overrides.get(key_of(shop.override)) is not None


async def test_the_finalizer_comes_before_anything_else() -> None:
    shop = Shop()
    found = body(enforcement={"templates": "Reconcile"}, meta={"finalizers": []})
    override = shop.stage.put(found)
    await shop.stage.look()
    assert await shop.whole.controller.reconcile(key_of(override)) == 0.0
    assert not shop.rolled
    assert shop.now.metadata.finalizers == [FINALIZER]


async def test_what_the_api_server_refuses_is_told_and_tried_again() -> None:
    shop = Shop()
    shop.stage.faults[("patch", DEPLOYMENT)] = FORBIDDEN
    assert await shop.turn() == 5.0
    assert shop.condition("Ready") == ("False", "Refused")
    shop.stage.faults.clear()
    await shop.turn()
    assert shop.rolled
    assert shop.stage.fights.contests(shop.override) == []


async def test_an_outage_comes_out_for_the_queue_to_try_again() -> None:
    shop = Shop()
    shop.stage.faults[("patch", DEPLOYMENT)] = DOWN
    with pytest.raises(ApiUnavailable):
        await shop.turn()


async def test_a_plan_waits_and_shows_what_would_be_done() -> None:
    shop = Shop(rollout={"mode": "Plan"})
    await shop.settle()
    assert (shop.stage.stored(), shop.rolled) == ({}, False)
    plan = shop.now.status.plan
    assert plan is not None
    assert plan.counts.rollouts == 1
    found = json.loads(json.dumps(shop.stage.api.objects[f"{PAWL}/namespaces/shop/imageoverrides/one"]))
    found["spec"]["rollout"]["approvedPlan"] = plan.hash
    found["metadata"]["generation"] = 2
    shop.stage.put(found)
    await shop.settle()
    assert shop.rolled
    assert shop.stage.images() == {"r.corp/rook"}


async def test_secrets_appear_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    secret = "c3VwZXItc2VjcmV0"
    shop = Shop(
        caSecretRef={"name": "ca"},
        pullSecrets=[{"name": "copy", "copyFrom": {"namespace": "vault", "name": "source"}}],
    )
    for name in ("shop/secrets/ca", "vault/secrets/source"):
        namespace, _, at = name.split("/")
        meta = {"name": at, "namespace": namespace, "annotations": {"pawl.dev/allow-copy-to": "other"}}
        raw = {"metadata": meta, "type": "Opaque", "data": {"ca.crt": secret, "x": secret, ".dockerconfigjson": secret}}
        shop.stage.api.put(f"/api/v1/namespaces/{name}", raw)
    shop.stage.registry.fails = {("", TARGET): Reason.UNAUTHORIZED}
    await shop.settle()
    standing = shop.stage.board.standing
    terms = await shop.stage.terms.read(shop.now)
    assert terms.ca == "super-secret"
    texts = [repr(standing), repr(terms), repr(shop.stage.registry.asked), capsys.readouterr().out]
    texts += [repr(shop.now), repr(shop.stage.stored()), repr(shop.whole.told.events)]
    for text in texts:
        assert secret not in text
        assert "super-secret" not in text
    assert shop.condition("Preflight") is not None


ROWS = st.lists(
    st.tuples(st.sampled_from(["web", "db"]), st.sampled_from([SOURCE, TARGET, "docker.io/x:1"]), st.integers(0, 2)),
    max_size=6,
)


@settings(max_examples=15, deadline=None)
@given(ROWS, st.sampled_from(["Enforce", "AdmissionOnly", "Plan"]))
async def test_whatever_runs_a_second_look_at_it_writes_nothing(rows: list[tuple[str, str, int]], mode: str) -> None:
    stage = Stage("shop")
    whole = Whole(stage)
    override = stage.put(body(rollout={"mode": mode}))
    for at, (name, image, ready) in enumerate(rows):
        kind = {"web": "Deployment", "db": "StatefulSet"}[name]
        path = f"/apis/apps/v1/namespaces/shop/{kind.lower()}s/{name}{at}"
        stage.api.put(path, {"metadata": {"name": f"{name}{at}", "uid": f"uid-{name}{at}"}, "spec": {"template": {}}})
        version = stage.api.objects[path]["metadata"]["resourceVersion"]
        stage.world.put(
            workload(f"{name}{at}", image, kind=kind, version=version, wanted=ready, updated=ready, ready=ready)
        )
    for _ in range(4):
        await whole.turn(override)
    writes = stage.writes
    for _ in range(3):
        await whole.turn(override)
    assert stage.writes == writes
