"""The main job on a real API server: a policy selects, advances, and says so in status, ledger and Events."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Iterator

import httpx
import pytest
from tests.cluster.api import Api, Json
from tests.cluster.coherence import condition, says, true_types
from tests.cluster.operators import Operator, Shop, eventually, good, operator_of, selected, spec, tell
from tests.support.registry import FakeRegistry

from pawl.sandbox import Cluster
from pawl.sandbox.images import Image, Pusher

pytestmark = pytest.mark.cluster

SOON = 3.0
"""Seconds for what acts "within a second", on a machine shared with others."""


@pytest.fixture(scope="module")
def operator(cluster: Cluster, installed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    assert installed
    with operator_of(cluster.kubeconfig, tmp_path_factory.mktemp("selection")) as running:
        yield running


@pytest.fixture
def shop(api: Api, namespace: str, operator: Operator) -> Shop:
    return Shop(api, namespace, operator)


@pytest.fixture
def registry(cluster: Cluster) -> str:
    if cluster.registry is None:
        pytest.skip("this cluster comes without a registry")
    return cluster.registry


def served(registry: str, repository: str, tag: str) -> bytes:
    """The bytes of a manifest."""
    headers = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    return httpx.get(f"http://{registry}/v2/{repository}/manifests/{tag}", headers=headers, trust_env=False).content


async def test_from_a_real_registry(shop: Shop, registry: str, namespace: str) -> None:
    """Selection, advance, and a digest that is the hash of the bytes served."""
    repository = f"{namespace}/web"
    with Pusher(registry) as pusher:
        first = pusher.push(Image(repository, "v1.0.0"))
        pusher.push(Image(repository, "v0.9.0"))
        pusher.push(Image(repository, "not-a-version"))
        shop.create(spec(registry, repository))
        held = await shop.tag("v1.0.0")
        body = served(registry, repository, "v1.0.0")
        assert held["digest"] == first == "sha256:" + hashlib.sha256(body).hexdigest()
        assert held["reference"] == f"{registry}/{repository}:v1.0.0@{first}"
        assert (held["epoch"], held["sequence"], held["cause"]) == (1, 1, "Bootstrap")
        second = pusher.push(Image(repository, "v1.1.0", platforms=("linux/amd64", "linux/arm64")))
    held = selected(await shop.ask())
    assert (held["tag"], held["digest"], held["epoch"], held["sequence"]) == ("v1.1.0", second, 1, 2)
    assert held["cause"] == "Newer"


async def test_all_pages_of_a_real_registry(shop: Shop, registry: str, namespace: str) -> None:
    """The greatest version stands on the second page, and in byte order it is not the last."""
    repository = f"{namespace}/many"
    image = Image(repository, "v0.0.0")
    with Pusher(registry) as pusher:
        pusher.push(image)
        pusher.tag(image, *(f"v0.0.{n}" for n in range(1, 1100)), "v0.9.0", "v0.10.0")
    shop.create(spec(registry, repository))
    await shop.tag("v0.10.0")
    assert shop.read()["status"]["scan"]["tags"] == 1102


async def test_a_status_in_full(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        digest = registry.push("shop/web", "v1.0.0")
        shop.create(spec(registry.host))
        policy = await shop.until(selected)
        status = policy["status"]
        assert status["observedGeneration"] == policy["metadata"]["generation"] == 1
        assert {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]} == {
            "Ready": ("True", "Selected"),
            "ScanComplete": ("True", "Scanned"),
            "Bootstrapped": ("True", "FirstSelection"),
        }
        assert status["scan"] == {"revision": hashlib.sha256(b"v1.0.0").hexdigest(), "tags": 1, "complete": True}
        (entry,) = status["history"]
        assert (entry["cause"], entry["to"], "from" in entry) == ("Bootstrap", f"v1.0.0@{digest}", False)
        assert entry["who"].startswith(f"{shop.operator.identity}#")
        assert "annotations" not in policy["metadata"], "a watcher writes no annotations"
        assert "finalizers" not in policy["metadata"]


async def test_the_ledger_is_the_same_memory_and_belongs_to_nobody(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        shop.create(spec(registry.host))
        await shop.tag("v1.0.0")
        registry.push("shop/web", "v1.1.0")
        status = (await shop.ask())["status"]
        found = shop.ledger()
    assert found is not None
    assert "ownerReferences" not in found["metadata"]
    assert found["metadata"]["labels"] == {"pawl.dev/ledger": "imagepolicy"}
    content = json.loads(found["data"]["ledger"])
    assert content["image"] == f"{registry.host}/shop/web"
    assert content["selection"] == status["selection"]
    assert content["history"] == status["history"]
    assert [seen["tag"] for seen in content["digests"]] == ["v1.0.0", "v1.1.0"]


async def test_events_tell_transitions_only(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        shop.create(spec(registry.host))
        await shop.tag("v1.0.0")
        for _ in range(3):
            await shop.ask()
        await shop.until_events(["Bootstrap"])
        registry.behave(fail=403, only="tags/list")
        for _ in range(3):
            await shop.ask()
        registry.behave()
        registry.push("shop/web", "v1.1.0")
        await shop.ask()
        await shop.until_events(["Bootstrap", "Denied", "Newer"])
        told = {event["reason"]: event for event in shop.events()}
    assert (told["Newer"]["type"], told["Denied"]["type"]) == ("Normal", "Warning")
    assert "v1.0.0@sha256:" in told["Newer"]["message"]
    assert "v1.1.0@sha256:" in told["Newer"]["message"]
    assert told["Newer"]["involvedObject"]["uid"] == shop.read()["metadata"]["uid"]
    assert told["Newer"]["reportingComponent"] == "pawl"


async def test_nothing_new_is_nothing_written(shop: Shop) -> None:
    """Two more scans at the interval, and the object is byte for byte what it was."""
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        shop.create(spec(registry.host))
        await shop.tag("v1.0.0")
        before, ledger = await shop.ask(), shop.ledger()
        asked = len(registry.asked("tags/list"))
        await eventually(lambda: len(registry.asked("tags/list")) >= asked + 2, 30, "two scans")
        assert (shop.read(), shop.ledger()) == (before, ledger)


async def test_a_failed_scan_holds_and_is_told_once(shop: Shop) -> None:
    """Ready stays True; the same failure again writes nothing; the end of the failure takes its words away."""
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        shop.create(spec(registry.host))
        held = await shop.tag("v1.0.0")
        registry.behave(fail=500)
        failed = await shop.ask()
        assert says(failed, "Ready") == ("True", "Selected")
        assert says(failed, "ScanComplete") == ("False", "Unreachable")
        requests = len(registry.requests)
        await eventually(lambda: len(registry.requests) >= requests + 3, 30, "three more tries")
        assert shop.read()["metadata"]["resourceVersion"] == failed["metadata"]["resourceVersion"]
        registry.behave()
        mended = await shop.ask()
        assert says(mended, "ScanComplete") == ("True", "Scanned")
        assert selected(mended) == held


SHRUNKEN = [{"half": True}, {"empty": True}, {"truncate": 20}, {"html": True}, {"fail": 404}]


@pytest.mark.parametrize("behaviour", SHRUNKEN, ids=lambda each: next(iter(each)))
async def test_no_answer_takes_a_selection_back(shop: Shop, behaviour: Json) -> None:
    async with FakeRegistry() as registry:
        for minor in range(9):
            registry.push("shop/web", f"v1.{minor}.0")
        shop.create(spec(registry.host))
        held = await shop.tag("v1.8.0")
        registry.behave(only="tags/list", **behaviour)
        for _ in range(3):
            told = await shop.ask()
            assert selected(told) == held
            assert says(told, "Ready") == ("True", "Selected")
        assert true_types(told) & {"SelectedTagMissing", "Stalled"} or says(told, "ScanComplete") != ("True", "Scanned")
        registry.behave()
        whole = await shop.ask()
        assert (selected(whole), true_types(whole)) == (held, {"Ready", "ScanComplete", "Bootstrapped"})


async def test_spec_changes_and_wishes_act_at_once(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """A new policy, an edit, our annotation and Flux's: each within a second or so, measured from the write."""
    took: dict[str, float] = {}
    async with FakeRegistry() as registry:
        for tag in ("v1.0.0", "v2.0.0"):
            registry.push("shop/web", tag)
        begin = time.monotonic()
        shop.create(spec(registry.host, interval="1h", select={"semver": {"range": "1.x"}}))
        await shop.tag("v1.0.0")
        took["create"] = time.monotonic() - begin
        begin = time.monotonic()
        shop.edit(select={"semver": {"range": "*"}})
        await shop.tag("v2.0.0")
        took["edit"] = time.monotonic() - begin
        registry.push("shop/web", "v2.1.0")
        begin = time.monotonic()
        await shop.ask()
        took["annotation"] = time.monotonic() - begin
        assert selected(shop.read())["tag"] == "v2.1.0", "a wish sees what was pushed before it"
        registry.push("shop/web", "v2.2.0")
        begin = time.monotonic()
        notes = {"reconcile.pawl.dev/requestedAt": None, "reconcile.fluxcd.io/requestedAt": "flux-1"}
        good(shop.api.merge(shop.path(), {"metadata": {"annotations": notes}}))
        await shop.tag("v2.2.0")
        took["flux"] = time.monotonic() - begin
        assert shop.read()["status"]["lastHandledReconcileAt"] == "flux-1"
    tell(capsys, "acted after " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in took.items()))
    assert max(took.values()) < SOON


async def test_deleted_and_made_again_in_one_breath(shop: Shop) -> None:
    """Two objects of one name, one after the other: what happened to the first must not hide the second."""
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        for round_ in range(12):
            shop.create(spec(registry.host))
            if round_ % 3:
                await shop.tag("v1.0.0", seconds=8)
            shop.delete()
        shop.create(spec(registry.host))
        await shop.tag("v1.0.0", seconds=8)


async def test_ready_words_of_a_policy_without_candidates(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        registry.repository("shop/web")
        shop.create(spec(registry.host))
        policy = await shop.until(lambda found: says(found, "Ready") == ("False", "NoTags"))
        assert "has no tags" in condition(policy, "Ready")["message"]
        registry.push("shop/web", "latest")
        assert says(await shop.ask(), "Ready") == ("False", "NoCandidate")
        registry.push("shop/web", "v1.0.0")
        assert says(await shop.ask(), "Ready") == ("True", "Selected")


async def test_many_policies_at_once(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        for number in range(30):
            registry.push(f"shop/r{number}", f"v1.{number}.0")
            shop.create(spec(registry.host, f"shop/r{number}"), f"p{number}")
        await asyncio.gather(*(shop.tag(f"v1.{number}.0", f"p{number}") for number in range(30)))


async def test_a_floor_holds_on_first_sight(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        shop.create(spec(registry.host, floor={"tag": "v1.1.0"}))
        await shop.until(lambda seen: says(seen, "Ready") == ("False", "NoCandidate"))
        registry.push("shop/web", "v1.1.0")
        await shop.ask()
        await shop.tag("v1.1.0")
