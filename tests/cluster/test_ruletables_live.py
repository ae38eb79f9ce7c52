"""Stored tables on a real API server: followed, written once, guarded, the same after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.unit.cluster.waiting import until

from pawl.api.errors import Conflict
from pawl.api.imagerules import ClusterTable, Entry, SecretEntry, Table
from pawl.cluster.client import Cluster
from pawl.cluster.resources import IMAGE_RULES
from pawl.cluster.ruletables import CLUSTER, RuleTables
from pawl.sandbox import Cluster as Sandbox

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("installed")]


@pytest.fixture
async def client(cluster: Sandbox) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(str(cluster.kubeconfig)) as opened:
        yield opened


@asynccontextmanager
async def followed(client: Cluster, namespace: str, *, clustered: bool = False) -> AsyncIterator[RuleTables]:
    tables = RuleTables(client, [namespace], clustered=clustered)
    task = asyncio.create_task(tables.run())
    async with asyncio.timeout(20):
        await tables.until_synced()
    yield tables
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def table(to: str = "r.corp/rook") -> Table:
    entry = Entry(to=to, override="shop/one", rule=0, tag="v1", containers="a|b", pods=True)
    secrets = {"r.corp": [SecretEntry(names=["regcred"])]}
    return Table(rules={"docker.io/rook": [entry]}, secrets=secrets, held={"r.corp/x:1": "ImageMissing: gone"})


async def version(client: Cluster, namespace: str) -> bytes:
    return await client.get(IMAGE_RULES, namespace, "pawl")


async def test_what_is_stored_equals_what_was_written_also_for_who_comes_later(client: Cluster, namespace: str) -> None:
    async with followed(client, namespace) as tables:
        stored = await tables.write(namespace, table())
        assert stored is not None
        assert stored.table == table()
        assert stored.written > 0
        before = await version(client, namespace)
    async with followed(client, namespace) as later:
        assert later.tables[namespace].table == table()
        await later.write(namespace, table())
    assert await version(client, namespace) == before


async def test_two_writers_do_not_overwrite_each_other(client: Cluster, namespace: str) -> None:
    async with followed(client, namespace) as one, followed(client, namespace) as two:
        await one.write(namespace, table())
        await until(lambda: namespace in two.tables)
        mine = one.tables[namespace]
        await two.write(namespace, table("r.corp/two"))
        one._tables[namespace] = mine
        with pytest.raises(Conflict):
            await one.write(namespace, table("r.corp/one"))
        assert two.tables[namespace].table == table("r.corp/two")


async def test_a_table_that_somebody_edits_or_deletes_is_seen_and_may_be_written_again(
    client: Cluster, namespace: str
) -> None:
    async with followed(client, namespace) as tables:
        await tables.write(namespace, table())
        await client.merge_patch(IMAGE_RULES, namespace, "pawl", {"spec": {"held": None}})
        await until(lambda: not (found := tables.tables[namespace].table) or not found.held)
        await tables.write(namespace, table())
        await client.delete(IMAGE_RULES, namespace, "pawl")
        await until(lambda: namespace not in tables.tables)
        await tables.write(namespace, table())
        assert tables.tables[namespace].table == table()


async def test_deleted_and_made_anew_again_and_again_the_last_one_is_known(client: Cluster, namespace: str) -> None:
    async with followed(client, namespace) as tables, followed(client, namespace) as other:
        for at in range(10):
            await tables.write(namespace, table(f"r.corp/n{at}"))
            assert tables.tables[namespace].table == table(f"r.corp/n{at}")
            if at < 9:
                await tables.write(namespace, None)
        wanted = table("r.corp/n9")
        await until(lambda: namespace in other.tables and other.tables[namespace].table == wanted)
        assert tables.tables[namespace].table == wanted


async def test_the_cluster_s_table_is_followed_beside_those_of_namespaces(client: Cluster, namespace: str) -> None:
    async with followed(client, namespace, clustered=True) as tables:
        wanted = ClusterTable(own={namespace: True})
        try:
            await tables.write(CLUSTER, wanted)
            assert tables.tables[CLUSTER].table == wanted
        finally:
            await tables.write(CLUSTER, None)
        assert CLUSTER not in tables.tables
