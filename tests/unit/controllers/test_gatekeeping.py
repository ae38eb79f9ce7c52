"""Whether the gate is asked, believed, and asked again."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.unit.controllers.override_doubles import Gate

from pawl.api.errors import ApiUnavailable, Forbidden
from pawl.api.imagerules import Table
from pawl.api.reasons import Reason
from pawl.cluster.ruletables import StoredTable
from pawl.controllers.gatekeeping import PATIENCE, RECHECK, GateKeeper, NoGate
from pawl.decide.gatechoice import POLICY, UNKNOWN, WEBHOOK

STORED = StoredTable("shop", "pawl", "uid", "7", Table())


async def test_a_table_is_proved_once_and_a_new_one_anew() -> None:
    gate = Gate()
    keeper = gate.keeper()
    for _ in range(3):
        assert await keeper.fault("shop", STORED) is None
    assert gate.probes == 1
    assert await keeper.fault("other", STORED) is None
    assert await keeper.fault("shop", replace(STORED, version="8")) is None
    assert await keeper.fault("shop", replace(STORED, uid="new", version="8")) is None
    assert gate.probes == 4
    assert keeper.back_since("shop") == 0.0


async def test_a_cache_that_catches_up_is_waited_for() -> None:
    gate = Gate(answers=["stays docker.io/x", ApiUnavailable("busy"), None], tick=0.5)
    assert await gate.keeper().fault("shop", STORED) is None
    assert gate.probes == 3


async def test_a_gate_that_does_not_rewrite_is_waited_for_once_a_table() -> None:
    gate = Gate(answers=["stays docker.io/x"])
    keeper = gate.keeper()
    fault = await keeper.fault("shop", STORED)
    assert fault is not None
    assert (fault.reason, fault.message) == (Reason.GATE_NOT_REWRITING, "namespace shop: stays docker.io/x")
    assert gate.probes == PATIENCE
    await keeper.fault("shop", STORED)
    assert gate.probes == PATIENCE + 1
    gate.answers = [None]
    assert await keeper.fault("shop", STORED) is None
    assert keeper.back_since("shop") == 1000.0 + gate.time


async def test_a_missing_right_is_told_at_once() -> None:
    gate = Gate(answers=[Forbidden("you may not create pods")])
    fault = await gate.keeper().fault("shop", STORED)
    assert fault is not None
    assert (fault.reason, gate.probes) == (Reason.MISSING_RIGHT, 1)


@pytest.mark.parametrize("gate", [Gate(rewrites=""), NoGate()])
async def test_nothing_that_rewrites_is_a_fault(gate: Gate | NoGate) -> None:
    keeper = GateKeeper(gate, manage=False, clock=lambda: 0.0)
    fault = await keeper.fault("shop", STORED)
    assert fault is not None
    assert fault.reason is Reason.GATE_MISSING


async def test_a_gate_that_went_is_noticed_where_tables_were_proved_and_proved_anew_when_it_is_back() -> None:
    gate = Gate()
    keeper = gate.keeper()
    await keeper.fault("shop", STORED)
    await keeper.fault("other", STORED)
    gate.rewrites, gate.time = "", gate.time + RECHECK + 1
    fault = await keeper.fault("shop", STORED)
    assert fault is not None
    assert fault.reason is Reason.GATE_MISSING
    gate.rewrites, probes = "Webhook", gate.probes
    for namespace in ("shop", "other"):
        assert await keeper.fault(namespace, STORED) is None
        assert keeper.back_since(namespace) > 0
    assert gate.probes == probes + 2


async def test_an_answer_about_the_gate_is_believed_for_a_while() -> None:
    gate = Gate()
    keeper = gate.keeper(manage=True)
    for _ in range(5):
        await keeper.kind()
    assert (gate.asked, gate.applied) == (1, 1)
    gate.time += RECHECK
    await keeper.kind()
    assert (gate.asked, gate.applied) == (2, 2)


async def test_a_gate_that_is_not_there_is_asked_for_at_every_look_and_its_way_out_is_told() -> None:
    gate = Gate(rewrites="")
    keeper = gate.keeper()
    for _ in range(3):
        fault = await keeper.fault("shop", STORED)
        assert fault is not None
        assert fault.message == "nothing rewrites Pods in this cluster: apply it"
    assert (gate.asked, gate.applied) == (3, 0)


@pytest.mark.parametrize(
    ("before", "after", "back"),
    [(WEBHOOK, POLICY, False), (POLICY, WEBHOOK, True), (UNKNOWN, POLICY, True)],
)
async def test_another_gate_is_proved_anew_and_only_one_change_leaves_no_gap(
    before: str,
    after: str,
    back: bool,  # noqa: FBT001
) -> None:
    gate = Gate(rewrites=before)
    keeper = gate.keeper()
    await keeper.fault("shop", STORED)
    gate.rewrites, gate.time = after, gate.time + RECHECK
    await keeper.fault("shop", STORED)
    assert gate.probes == 2
    assert bool(keeper.back_since("shop")) is back


async def test_where_the_gate_may_not_be_seen_a_trial_pod_decides() -> None:
    gate = Gate(rewrites=UNKNOWN)
    assert await gate.keeper().fault("shop", STORED) is None
    gate = Gate(rewrites=UNKNOWN, answers=["stays docker.io/x"])
    fault = await gate.keeper().fault("shop", STORED)
    assert fault is not None
    assert fault.reason is Reason.GATE_NOT_REWRITING


async def test_a_change_of_the_gate_is_told_while_nothing_else_happens() -> None:
    gate, changes = Gate(), asyncio.Event()
    keeper = GateKeeper(gate, manage=False, clock=asyncio.get_running_loop().time, recheck=0.01)
    task = asyncio.create_task(keeper.run(changes.set))
    try:
        async with asyncio.timeout(5):
            while gate.asked < 3:  # noqa: ASYNC110 - the double has no event
                await asyncio.sleep(0.005)
            assert not changes.is_set()
            gate.rewrites = WEBHOOK
            await changes.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_gate_that_cannot_be_asked_about_leaves_what_was_proved() -> None:
    gate = Gate()
    keeper = gate.keeper()
    await keeper.fault("shop", STORED)
    gate.broken, gate.time = ApiUnavailable("down"), gate.time + RECHECK + 1
    assert await keeper.fault("shop", STORED) is None
    with pytest.raises(ApiUnavailable):
        await keeper.fault("other", STORED)


async def test_a_table_that_cannot_be_read_is_not_probed() -> None:
    gate = Gate(rewrites="")
    assert await gate.keeper().fault("shop", replace(STORED, table=None)) is None
    assert gate.probes == 0
