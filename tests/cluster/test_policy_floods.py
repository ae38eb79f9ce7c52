"""Answers of any size and kind, and rates: floods are cut off, oddities passed over, a busy host is left alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psutil
import pytest
from tests.cluster import hostile
from tests.cluster.api import Api, Json
from tests.cluster.coherence import says, true_types
from tests.cluster.hostile import HostileRegistry
from tests.cluster.operators import Operator, Shop, manifest, operator_of, spec, tell
from tests.support.registry import Auth

from pawl.sandbox import Cluster

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def operator(cluster: Cluster, installed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    assert installed
    with operator_of(cluster.kubeconfig, tmp_path_factory.mktemp("floods")) as running:
        yield running


@pytest.fixture
def shop(api: Api, namespace: str, operator: Operator) -> Shop:
    return Shop(api, namespace, operator)


USER, PASSWORD = "robot", "S3cr3t-of-the-shop"
INTERVAL = 10.0


async def test_what_heals_is_found_without_being_asked(shop: Shop) -> None:
    """A Secret is not watched: the policy finds it within its interval."""
    async with HostileRegistry(auth=Auth("basic", {USER: PASSWORD})) as registry:
        registry.push("shop/web", "v1.0.0")
        shop.create(spec(registry.host, access={"pullSecretRef": {"name": "late"}}))
        await shop.until(lambda policy: says(policy, "Ready") == ("False", "SecretNotFound"))
        shop.pull_secret("late", registry.host, USER, PASSWORD)
        await shop.tag("v1.0.0", seconds=INTERVAL * 1.2 + 2)


async def test_a_wish_does_not_end_a_retry_after(shop: Shop) -> None:
    """429 slows the host for everybody, says so in a condition, and ends by itself."""
    async with HostileRegistry() as registry:
        for repository in ("shop/web", "shop/api"):
            registry.push(repository, "v1.0.0")
            shop.create(spec(registry.host, repository), repository[5:])
        await asyncio.gather(shop.tag("v1.0.0", "web"), shop.tag("v1.0.0", "api"))
        registry.behave(fail=429, retry_after="6", times=1)
        begin = time.monotonic()
        found = await shop.ask("web")
        assert says(found, "RateLimited") == ("True", "RateLimited")
        assert says(found, "Ready") == ("True", "Selected")
        registry.push("shop/web", "v1.1.0")
        registry.push("shop/api", "v1.1.0")
        asked = len(registry.requests)
        assert says(await shop.ask("web"), "RateLimited") == ("True", "RateLimited")
        assert says(await shop.ask("api"), "RateLimited") == ("True", "RateLimited")
        assert len(registry.requests) == asked, "the host was left alone"
        await asyncio.gather(shop.tag("v1.1.0", "web"), shop.tag("v1.1.0", "api"))
        assert time.monotonic() - begin >= 5.5
        assert "RateLimited" not in true_types(shop.read("web"))


async def test_a_gigabyte_of_tags_is_cut_off(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    process = psutil.Process(shop.operator.process.pid)
    async with HostileRegistry() as registry:
        registry.script = registry.gigabyte
        before = process.memory_info().rss
        shop.create(spec(registry.host))
        most = 0

        def stalled(policy: Json) -> bool:
            nonlocal most
            most = max(most, process.memory_info().rss - before)
            return says(policy, "Ready") == ("False", "TooLarge")

        found = await shop.until(stalled, seconds=60)
        tell(capsys, f"a gigabyte: {registry.sent >> 20} MiB were sent, memory rose by {most >> 20} MiB")
        assert "Stalled" in true_types(found)
        assert registry.sent < 80 << 20
        assert most < 220 << 20
        registry.script = None
        registry.push("shop/web", "v1.0.0")
        await shop.ask()
        await shop.tag("v1.0.0")


async def test_a_hundred_thousand_tags(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    async with HostileRegistry(page_size=100_000) as registry:
        registry.push("shop/web", "v9.0.0")
        tags = registry.repositories["shop/web"].tags
        tags |= dict.fromkeys((f"v1.{n}.0-{n:08x}" for n in range(99_998)), tags["v9.0.0"])
        begin = time.monotonic()
        shop.create(spec(registry.host))
        await shop.tag("v9.0.0", seconds=60)
        tell(capsys, f"a hundred thousand tags: selected after {time.monotonic() - begin:.1f} s")
        assert shop.read()["status"]["scan"]["tags"] == 99_999
        assert shop.operator.get("healthz").status_code == 200


ODD = [
    "v1.0.0",
    "v8.0.0 ",
    "v8.0.0\n",
    "v8.0.1\u0000",
    "\ud83d\ude00v8",
    "v8.0.2;rm -rf /",
    "../v8.0.3",
    "",
    "-v8.0.4",
    "v" * 129,
]


async def test_tags_with_odd_characters_are_passed_over(shop: Shop) -> None:
    async def odd(_request: object) -> Any:
        return hostile.page([*ODD, "v1.0.0"])

    async with HostileRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        registry.script = odd
        shop.create(spec(registry.host))
        await shop.tag("v1.0.0")
        registry.script = None
        registry.push("shop/web", "v1.1.0+build".replace("+", "_"))
        registry.push("shop/web", "v1.1.0")
        await shop.ask()
        await shop.tag("v1.1.0")


REFUSED: Sequence[tuple[str, Json, str]] = [
    ("two strategies", {"select": {"semver": {"range": "*"}, "alphabetical": {}}}, "select has exactly one of"),
    ("no strategy", {"select": {}}, "select has exactly one of"),
    ("scheme", {"image": "https://r.example.com/web"}, "image has no scheme"),
    ("tag", {"image": "r.example.com/web:v1"}, "image has no tag"),
    ("digest", {"image": "r.example.com/web@sha256:" + "0" * 64}, "image has no digest"),
    ("pattern", {"tags": {"include": "(?=x)"}}, "tags.include is a regular expression in RE2 syntax"),
    ("backreference", {"tags": {"exclude": [r"(a)\1"]}}, "tags.exclude lists regular expressions in RE2 syntax"),
    ("interval", {"interval": "1s"}, "interval is a duration"),
    ("unknown field", {"schedule": "daily"}, "schedule"),
]


@pytest.mark.parametrize(("fields", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_the_api_server_refuses_itself(shop: Shop, fields: Json, words: str) -> None:
    answer = shop.api.post(shop.path("").rstrip("/"), manifest("web", spec("r.example.com") | fields))
    assert answer.code in {400, 422}
    assert words in answer.message
