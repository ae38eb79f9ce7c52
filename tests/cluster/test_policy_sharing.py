"""Fifty policies on one repository cost one request an interval; with two credentials two, and never one across."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator

import pytest
from tests.cluster.api import Api
from tests.cluster.operators import Operator, Shop, eventually, operator_of, spec, tell
from tests.support.registry import Auth, FakeRegistry

from pawl.sandbox import Cluster

pytestmark = pytest.mark.cluster

MANY = 50
USERS = {"ana": "pass-of-ana", "bob": "pass-of-bob"}


@pytest.fixture(scope="module")
def operator(cluster: Cluster, installed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    assert installed
    with operator_of(cluster.kubeconfig, tmp_path_factory.mktemp("sharing")) as running:
        yield running


@pytest.fixture
def shop(api: Api, namespace: str, operator: Operator) -> Shop:
    return Shop(api, namespace, operator)


def lists_of(registry: FakeRegistry, user: str = "") -> int:
    """How often the list was asked for, by this user."""
    shown = "Basic " + base64.b64encode(f"{user}:{USERS.get(user, '')}".encode()).decode() if user else ""
    asked = registry.asked("tags/list")
    return len([request for request in asked if request.headers.get("authorization", "") == shown])


async def rounds(registry: FakeRegistry, user: str, wanted: int) -> None:
    begin = lists_of(registry, user)
    await eventually(lambda: lists_of(registry, user) >= begin + wanted, 15 * wanted, "lists at the interval")


async def test_one_list_an_interval_for_all(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        names = [f"p{number}" for number in range(MANY)]
        for name in names:
            shop.create(spec(registry.host), name)
        await asyncio.gather(*(shop.tag("v1.0.0", name) for name in names))
        await rounds(registry, "", 1)
        loop = asyncio.get_running_loop()
        registry.requests.clear()
        begin = loop.time()
        await rounds(registry, "", 3)
        took, lists = loop.time() - begin, lists_of(registry)
        tell(capsys, f"{MANY} policies, {took:.0f} s: {lists} lists, {len(registry.requests)} requests in all")
        assert lists <= took / 10 * 1.5 + 1, "about one an interval, whatever the number of policies"
        assert len(registry.requests) - lists <= lists + 1, "an audit of the tag now and then, shared too"
        registry.push("shop/web", "v1.1.0")
        await asyncio.gather(*(shop.tag("v1.1.0", name) for name in names))


async def test_credentials_do_not_share(shop: Shop) -> None:
    """Each user's lists are asked for with the user's own password; who has none sees nothing of theirs."""
    async with FakeRegistry(auth=Auth("basic", USERS)) as registry:
        registry.push("shop/web", "v1.0.0")
        for user, password in USERS.items():
            shop.pull_secret(user, registry.host, user, password)
        names = [f"{user}{number}" for user in USERS for number in range(MANY // 5)]
        for name in names:
            shop.create(spec(registry.host, access={"pullSecretRef": {"name": name[:3]}}), name)
        await asyncio.gather(*(shop.tag("v1.0.0", name) for name in names))
        shop.create(spec(registry.host), "nobody")
        await shop.until(lambda seen: seen["status"]["observedGeneration"] == 1, "nobody")
        assert "selection" not in shop.read("nobody")["status"]
        await rounds(registry, "ana", 1)
        registry.requests.clear()
        await asyncio.gather(*(rounds(registry, user, 2) for user in USERS))
        assert 2 <= lists_of(registry, "ana") <= 4
        assert 2 <= lists_of(registry, "bob") <= 4
        assert not {"pass-of-ana", "pass-of-bob"} & set(shop.operator.text.split('"'))
