"""The policy in the API server, the webhook and the pure function say the same of 10,000 random Pods.

Nothing of Pawl runs while the policy is asked but what stores the tables: the rewriting is the API server's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random

import pytest
from tests.cluster.gate_pods import Json, cluster_table, expected, found, pod, table
from tests.cluster.gates import (
    PATIENT,
    ask,
    drop_cluster_table,
    in_force,
    marked,
    policies,
    set_table,
    webhook,
)

from pawl.api.imagerules import Table
from pawl.cluster.client import Cluster
from pawl.decide.tables import CompiledTable
from pawl.sandbox import Cluster as Sandbox

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

PODS = 10_000
PODS_PER_TABLE = 200
CONCURRENCY = 16
MIN_CHANGED = PODS // 5


@pytest.fixture
async def client(cluster: Sandbox, installed: list[str]) -> AsyncIterator[Cluster]:
    del installed
    async with await Cluster.connect(str(cluster.kubeconfig), PATIENT) as opened:
        yield opened


class Round:
    """One table and the Pods that meet it; every second one is asked of the cluster's table."""

    def __init__(self, number: int, namespace: str) -> None:
        random = Random(f"gate-{number}")
        self.number = number
        self.plain = marked(table(random), number)
        self.clustered = number % 4 == 3
        self.compiled = CompiledTable.of(self.plain)
        self.pods = [pod(random, index) for index in range(PODS_PER_TABLE)]
        self.namespace = f"{namespace}-c" if self.clustered else namespace

    async def store(self, client: Cluster, other: str) -> None:
        place = "" if self.clustered else self.namespace
        spec: Table = cluster_table(self.plain, {other: True}) if self.clustered else self.plain
        await set_table(client, place, spec)
        await in_force(client, self.namespace, self.number)


async def differences(client: Cluster, asked: Round) -> tuple[list[str], int]:
    """What the API server made of Pods where it is not what the function says, and how many Pods changed at all."""
    places, wrong, changed = asyncio.Semaphore(CONCURRENCY), [], 0

    async def one(manifest: Json) -> None:
        nonlocal changed
        wanted = expected(asked.compiled, manifest)
        changed += wanted != found(manifest)
        async with places:
            got = await ask(client, asked.namespace, manifest)
        if got != wanted:
            wrong.append(f"table {asked.number}, {manifest}: wanted {wanted}, got {got}")

    await asyncio.gather(*(one(manifest) for manifest in asked.pods))
    return wrong, changed


async def all_equal(client: Cluster, namespace: str, each: Callable[[], Awaitable[None]]) -> None:
    changed = 0
    for number in range(PODS // PODS_PER_TABLE):
        asked = Round(number, namespace)
        await asked.store(client, namespace)
        await each()
        wrong, some = await differences(client, asked)
        changed += some
        assert not wrong, wrong[0]
    assert changed > MIN_CHANGED


@pytest.fixture
async def clustered(client: Cluster, namespace: str) -> AsyncIterator[str]:
    """A namespace beside, without a table of its own."""
    from tests.cluster.gates import make_namespace

    await make_namespace(client, f"{namespace}-c")
    yield f"{namespace}-c"
    await drop_cluster_table(client)


async def nothing() -> None:
    """Between two tables."""


async def test_the_policy_rewrites_as_the_function(client: Cluster, namespace: str, clustered: str) -> None:
    del clustered
    async with policies(client):
        await all_equal(client, namespace, nothing)


async def test_the_webhook_rewrites_as_the_function(client: Cluster, namespace: str, clustered: str) -> None:
    del clustered
    async with webhook(client):
        await all_equal(client, namespace, nothing)


def test_the_tables_are_a_fixed_point() -> None:
    """Otherwise the test above would compare one pass with two: the API server asks again what was changed."""
    for number in range(PODS // PODS_PER_TABLE):
        asked = Round(number, "n")
        for manifest in asked.pods:
            once = expected(asked.compiled, manifest)
            assert expected(asked.compiled, written(manifest, *once)) == once


def written(manifest: Json, images: list[str], secrets: list[str]) -> Json:
    """The Pod with these images and Secrets."""
    spec, rest = dict(manifest["spec"]), iter(images)
    for group in ("containers", "initContainers"):
        spec[group] = [{**each, "image": next(rest)} for each in spec.get(group, [])]
    spec["volumes"] = [
        {**each, "image": {"reference": next(rest)}} if "image" in each else each for each in spec.get("volumes", [])
    ]
    spec["imagePullSecrets"] = [{"name": name} for name in secrets]
    return {**manifest, "spec": spec}
