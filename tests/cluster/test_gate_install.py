"""The gate put into an API server: written once, told from none, gone with its table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal
from uuid import uuid4

import pytest
from tests.cluster.gates import (
    OWN,
    PATIENT,
    absent,
    ask,
    bare,
    in_force,
    make_namespace,
    marked,
    policies,
    set_table,
)

from pawl.admission.install import ClusterGate, apply_gate, probe, see, served_gate
from pawl.admission.webhookconfig import Endpoint
from pawl.api.imagerules import Table
from pawl.cluster.client import Cluster
from pawl.cluster.resources import MUTATING_POLICIES, MUTATING_WEBHOOKS
from pawl.sandbox import Cluster as Sandbox

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

Json = dict[str, Any]
Kind = Literal["policy", "webhook"]
HUB = {"rules": {"docker.io": [{"to": "m.zone/hub", "templates": True, "override": "o", "rule": 0}]}}
SECRET = {"secrets": {"m.zone": [{"names": ["reg"]}]}}
BOTH = pytest.mark.parametrize("kind", ["policy", "webhook"])


@pytest.fixture
async def client(cluster: Sandbox, installed: list[str]) -> AsyncIterator[Cluster]:
    del installed
    async with await Cluster.connect(str(cluster.kubeconfig), PATIENT) as opened:
        yield opened


async def table_in(client: Cluster, namespace: str, spec: Json) -> None:
    await set_table(client, namespace, marked(Table.model_validate(spec), 1))
    await in_force(client, namespace, 1)


async def test_the_gate_is_written_once(client: Cluster, namespace: str) -> None:
    del namespace
    assert await served_gate(client) == "policy-v1"
    async with policies(client):  # another test of this API server may have left its gate
        pass
    gate = ClusterGate(client, OWN, lambda: None, settle=0.0)
    assert (await gate.keep(manage=False)).kind == ""
    async with policies(client, "Ignore"):
        assert (await gate.keep(manage=False)).kind == "MutatingAdmissionPolicy"
        assert await apply_gate(client, OWN, "policy-v1") == 0
        await client.merge_patch(MUTATING_POLICIES, None, "pawl-cluster", {"spec": {"failurePolicy": "Fail"}})
        assert await apply_gate(client, OWN, "policy-v1") == 1
        await apply_gate(client, OWN, "webhook", Endpoint("https://127.0.0.1:1"))
        assert await apply_gate(client, OWN, "webhook", Endpoint("https://127.0.0.1:1")) == 0
        assert (await see(client)).webhook.url == "https://127.0.0.1:1/mutate"
        await gate.keep(manage=True)
        assert (await see(client)).webhook.state == "absent"
        assert await apply_gate(client, OWN, "policy-v1") == 0


async def test_a_webhook_is_left_until_the_policies_have_stood_for_a_while(client: Cluster, namespace: str) -> None:
    del namespace
    clock = Clock()
    gate = ClusterGate(client, OWN, lambda: None, settle=60.0, clock=clock)
    async with policies(client, "Ignore"):
        await apply_gate(client, OWN, "webhook", Endpoint("https://127.0.0.1:1"))
        try:
            for clock.time, state in ((0.0, "filled"), (59.0, "filled"), (60.0, "empty")):
                await gate.keep(manage=False)
                assert (await see(client)).webhook.state == state
        finally:
            await client.delete(MUTATING_WEBHOOKS, None, "pawl")


class Clock:
    """Seconds as the test says."""

    time = 0.0

    def __call__(self) -> float:
        return self.time


async def test_the_probe_tells_a_gate_from_none(client: Cluster, namespace: str) -> None:
    table = marked(Table.model_validate(HUB | SECRET), 7)
    said = await probe(client, namespace, table)
    assert said is not None
    assert "a trial Pod" in said
    async with policies(client):
        await set_table(client, namespace, table)
        await in_force(client, namespace, 7)
        assert await probe(client, namespace, table) is None
        other = marked(Table.model_validate(HUB | SECRET), 8)
        assert "m7" in str(await probe(client, namespace, other))
    assert await probe(client, namespace, Table()) is None


async def test_a_table_that_is_gone_rewrites_nothing(client: Cluster) -> None:
    name = f"t-{uuid4().hex[:8]}"
    await make_namespace(client, name)
    async with policies(client):
        await table_in(client, name, HUB)
        assert (await ask(client, name, bare("nginx")))[0] == ["m.zone/hub/library/nginx"]
        from pawl.cluster.resources import IMAGE_RULES

        await client.delete(IMAGE_RULES, name, "pawl")
        await absent(client, name)
