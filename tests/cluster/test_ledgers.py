"""Ledgers in real ConfigMaps."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from pawl.api.errors import Conflict
from pawl.cluster.client import Cluster
from pawl.cluster.ledgers import MAX_BYTES, RETENTION, LedgerStore, Remove, Stored, name_for, sweep
from pawl.cluster.resources import CONFIG_MAPS
from pawl.sandbox import Cluster as Sandbox

pytestmark = pytest.mark.cluster

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
async def client(cluster: Sandbox) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(str(cluster.kubeconfig)) as opened:
        yield opened


async def test_reads_and_writes_are_compare_and_set(client: Cluster, namespace: str) -> None:
    store = LedgerStore(client)
    assert await store.read(namespace, "web") == Stored(None, None)
    version = await store.write(namespace, "web", "one", None)
    newer = await store.write(namespace, "web", "two", version)
    assert await store.read(namespace, "web") == Stored("two", newer)
    for stale in (version, None):
        with pytest.raises(Conflict):
            await store.write(namespace, "web", "three", stale)
    await client.delete(CONFIG_MAPS, namespace, name_for("web"))
    with pytest.raises(Conflict, match="was deleted"):
        await store.write(namespace, "web", "three", newer)


@pytest.mark.parametrize("policy", ["a" * 253, "b" * 120 + "." + "c" * 132, "d" * 175 + "." + "e" * 50])
async def test_every_name_is_accepted(client: Cluster, namespace: str, policy: str) -> None:
    store = LedgerStore(client)
    await store.write(namespace, policy, "text", None)
    assert (await store.read(namespace, policy)).text == "text"
    assert [row.policy async for row in store.rows(namespace)] == [policy]


async def test_the_largest_ledger_is_accepted(client: Cluster, namespace: str) -> None:
    store = LedgerStore(client)
    version = await store.write(namespace, "web", "x" * MAX_BYTES, None)
    await store.write(namespace, "web", "\n" * MAX_BYTES, version)
    assert (await store.read(namespace, "web")).text == "\n" * MAX_BYTES


async def test_a_ledger_outlives_its_policy_by_ninety_days(client: Cluster, namespace: str) -> None:
    store = LedgerStore(client)
    for policy in ("kept", "gone"):
        await store.write(namespace, policy, "text", None)
    alive = {(namespace, "kept")}

    async def turn(now: datetime, existing: set[tuple[str, str]]) -> int:
        return await store.execute(sweep([row async for row in store.rows(namespace)], existing, now))

    assert await turn(NOW, alive) == 1
    assert await turn(NOW + timedelta(days=1), alive) == 0
    assert await turn(NOW + timedelta(days=2), alive | {(namespace, "gone")}) == 1
    raw = json.loads(await client.get(CONFIG_MAPS, namespace, name_for("gone")))
    assert raw["metadata"]["annotations"] == {"pawl.dev/policy": "gone"}
    assert await turn(NOW + timedelta(days=3), alive) == 1
    assert await turn(NOW + RETENTION + timedelta(days=2), alive) == 0
    assert await turn(NOW + RETENTION + timedelta(days=3), alive) == 1
    assert await store.read(namespace, "gone") == Stored(None, None)
    assert (await store.read(namespace, "kept")).text == "text"


async def test_a_policy_that_returns_while_the_sweep_is_under_way_keeps_its_ledger(
    client: Cluster, namespace: str
) -> None:
    store = LedgerStore(client)
    version = await store.write(namespace, "web", "old", None)
    rows = [row async for row in store.rows(namespace)]
    await store.write(namespace, "web", "new", version)
    assert await store.execute([Remove(row) for row in rows]) == 0
    assert (await store.read(namespace, "web")).text == "new"
