"""What a policy remembers on a real API server: hands in the status, lost and restored copies, broken ledgers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.coherence import condition, says, true_types
from tests.cluster.operators import Operator, Shop, eventually, good, operator_of, selected, spec
from tests.cluster.ratchet import allowed
from tests.support.registry import FakeRegistry

from pawl.sandbox import Cluster

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def operator(cluster: Cluster, installed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    assert installed
    with operator_of(cluster.kubeconfig, tmp_path_factory.mktemp("memory")) as running:
        yield running


@pytest.fixture
def shop(api: Api, namespace: str, operator: Operator) -> Shop:
    return Shop(api, namespace, operator)


async def grown(shop: Shop, registry: FakeRegistry, *tags: str, **fields: object) -> Json:
    """A policy that went through these tags; its selection."""
    registry.push("shop/web", tags[0])
    shop.create(spec(registry.host, **fields))
    await shop.tag(tags[0])
    for tag in tags[1:]:
        registry.push("shop/web", tag)
        await shop.ask()
    return await shop.tag(tags[-1])


def write_status(shop: Shop, status: Json) -> None:
    good(shop.api.merge(f"{shop.path()}/status", {"status": status}))


async def recreated(shop: Shop, body: Json) -> None:
    """Delete the policy and make it again, as a restore or a GitOps tool does."""
    shop.delete()
    assert shop.api.get(shop.path()).code == 404
    shop.create(body["spec"])


async def test_hands_in_the_status(shop: Shop) -> None:
    """Lowering is refused; words taken away come back; words put in go; a raise is taken for what it is."""
    async with FakeRegistry() as registry:
        held = await grown(shop, registry, "v1.0.0", "v1.1.0")
        policy = shop.read()
        lower = held | {"tag": "v1.0.0", "sortKey": "0011000000~ v1.0.0", "sequence": 3}
        lower["reference"] = lower["reference"].replace("v1.1.0", "v1.0.0")
        answer = shop.api.merge(f"{shop.path()}/status", {"status": {"selection": lower}})
        assert answer.code == 422
        assert "never falls within an epoch" in answer.message
        assert shop.api.merge(f"{shop.path()}/status", {"status": None}).code == 422
        write_status(shop, {"conditions": [], "history": [], "scan": None, "observedGeneration": 0})
        await eventually(
            lambda: _without_times(shop.api.get(shop.path()).body) == _without_times(policy), what="the old words"
        )
        false = [{**one, "status": "False"} for one in policy["status"]["conditions"] if one["type"] == "ScanComplete"]
        write_status(
            shop, {"conditions": [one for one in policy["status"]["conditions"] if one["type"] == "Ready"] + false}
        )
        await eventually(lambda: says(raw(shop), "ScanComplete") == ("True", "Scanned"))
        raised = held | {"sequence": 7, "epoch": 4, "cause": "Newer"}
        write_status(shop, {"selection": raised})
        registry.push("shop/web", "v1.2.0")
        shop.annotate()
        await eventually(lambda: selected(raw(shop))["tag"] == "v1.2.0")
        after = selected(shop.read())
        assert (after["epoch"], after["sequence"]) == (4, 8)


def raw(shop: Shop) -> Json:
    """The policy as it is, in whatever state hands left it."""
    return shop.api.get(shop.path()).body


def _without_times(policy: Json) -> Json:
    """A status without the times of transition, which are those of the mending."""
    said = [{k: v for k, v in one.items() if k != "lastTransitionTime"} for one in policy["status"]["conditions"]]
    return {**policy["status"], "conditions": said}


async def test_hands_in_the_conditions_are_undone(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        await grown(shop, registry, "v1.0.0")
        stray = {
            "type": "SelectedImageGone",
            "status": "True",
            "reason": "ImageGone",
            "message": "no",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        before = shop.read()["status"]["conditions"]
        write_status(shop, {"conditions": [*before, stray]})
        found = await shop.ask()
        assert true_types(found) == {"Ready", "ScanComplete", "Bootstrapped"}


async def test_deleted_and_made_again(shop: Shop) -> None:
    """The registry lost the tag meanwhile; the ledger did not."""
    async with FakeRegistry() as registry:
        held = await grown(shop, registry, "v1.0.0", "v1.1.0")
        registry.delete_tag("shop/web", "v1.1.0")
        body = shop.read()
        await recreated(shop, body)
        again = await shop.tag("v1.1.0")
        assert again == held
        await shop.until_events(["Bootstrap", "Newer", "Recovered", "TagMissing"])
        registry.push("shop/web", "v1.2.0")
        await shop.ask()
        assert (await shop.tag("v1.2.0"))["sequence"] == 3


async def test_an_older_status_restored(shop: Shop) -> None:
    """As a backup tool does it: a new object, then the old status. The newer ledger wins, and it is told."""
    async with FakeRegistry() as registry:
        await grown(shop, registry, "v1.0.0")
        old = shop.read()
        registry.push("shop/web", "v1.1.0")
        held = selected(await shop.ask())
        registry.delete_tag("shop/web", "v1.1.0")
        shop.edit(suspend=True)
        await shop.until(lambda found: says(found, "Ready") == ("True", "Suspended"))
        await recreated(shop, {"spec": {**old["spec"], "suspend": True}})
        restored = shop.api.merge(f"{shop.path()}/status", {"status": old["status"]})
        assert restored.ok or "never falls" in restored.message, "the ledger's selection may be back already"
        found = await shop.until(lambda found: selected(found) == held)
        assert found["status"]["history"][-1]["to"].startswith("v1.1.0@")
        shop.edit(suspend=False)
        assert selected(await shop.ask()) == held
        assert {"RestoredStateOlder", "Recovered"} & set(shop.reasons())


async def test_an_older_ledger_restored(shop: Shop) -> None:
    """The other way round: the status is the later copy, and the ledger is mended from it."""
    async with FakeRegistry() as registry:
        await grown(shop, registry, "v1.0.0")
        old = shop.ledger()
        assert old is not None
        registry.push("shop/web", "v1.1.0")
        held = selected(await shop.ask())
        good(shop.api.merge(shop.core("configmaps", "pawl-ledger-web"), {"data": old["data"]}))
        registry.behave(half=True, only="tags/list")
        assert selected(await shop.ask()) == held
        assert shop.ledger_content()["selection"] == held
        assert {seen["tag"] for seen in shop.ledger_content()["digests"]} == {"v1.0.0", "v1.1.0"}


async def test_a_ledger_deleted_by_hand_comes_back(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        held = await grown(shop, registry, "v1.0.0", "v1.1.0")
        before = shop.ledger_content()
        good(shop.api.delete(shop.core("configmaps", "pawl-ledger-web")))
        await shop.ask()
        after = shop.ledger_content()
        assert after["selection"] == held
        assert after["history"] == before["history"]


GARBAGE = {"no json": "{", "another version": '{"version": 2}', "no ledger": '{"version": 1}', "text": "to be restored"}


@pytest.mark.parametrize("text", GARBAGE.values(), ids=GARBAGE.keys())
async def test_a_garbled_ledger_stalls_and_is_not_touched(shop: Shop, text: str) -> None:
    """Going on without it could use a nonce twice. The user restores or deletes it; then the policy goes on."""
    async with FakeRegistry() as registry:
        held = await grown(shop, registry, "v1.0.0")
        path = shop.core("configmaps", "pawl-ledger-web")
        good(shop.api.merge(path, {"data": {"ledger": text}}))
        registry.push("shop/web", "v1.1.0")
        found = await shop.ask()
        assert says(found, "Stalled") == ("True", "LedgerInvalid")
        assert "pawl-ledger-web" in condition(found, "Stalled")["message"]  # type: ignore[index]
        assert "restore it, or delete it" in condition(found, "Stalled")["message"]  # type: ignore[index]
        assert (selected(found), says(found, "Ready")) == (held, ("True", "Selected"))
        assert good(shop.api.get(path)).body["data"]["ledger"] == text
        good(shop.api.delete(path))
        if text != "{":  # which is found by itself within the interval
            await shop.ask()
        await shop.tag("v1.1.0", seconds=14)
        assert "Stalled" not in true_types(shop.read())
        assert shop.ledger_content()["selection"]["tag"] == "v1.1.0"


async def test_a_garbled_ledger_of_a_new_policy(shop: Shop) -> None:
    """Without a status to go by, nothing is selected until somebody decides."""
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "pawl-ledger-web"},
            "data": {"ledger": "?"},
        }
        good(shop.api.post(shop.core("configmaps"), body))
        shop.create(spec(registry.host))
        await shop.until(lambda found: says(found, "Ready") == ("False", "LedgerInvalid"))
        good(shop.api.delete(shop.core("configmaps", "pawl-ledger-web")))
        await shop.ask()
        await shop.tag("v1.0.0")


async def test_suspend_and_resume(shop: Shop) -> None:
    """Suspended, nothing is asked and nothing moves; a wish is answered all the same."""
    async with FakeRegistry() as registry:
        held = await grown(shop, registry, "v1.0.0")
        shop.edit(suspend=True)
        await shop.until(lambda found: says(found, "Ready") == ("True", "Suspended"))
        registry.push("shop/web", "v1.1.0")
        asked = len(registry.requests)
        assert selected(await shop.ask()) == held
        assert len(registry.requests) == asked
        shop.edit(suspend=None)
        await shop.tag("v1.1.0")
        assert says(shop.read(), "Ready") == ("True", "Selected")


async def test_a_policy_made_suspended(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        shop.create(spec(registry.host, suspend=True))
        await shop.until(lambda found: says(found, "Ready") == ("False", "Suspended"))
        assert registry.requests == []
        assert shop.ledger() is None
        shop.edit(suspend=False)
        await shop.tag("v1.0.0")


async def test_a_changed_ordering_waits_for_consent(shop: Shop) -> None:
    """Another image is another ordering: it holds until the fingerprint that status prints is accepted."""
    async with FakeRegistry() as registry:
        held = await grown(shop, registry, "v1.0.0", "v1.1.0")
        registry.push("shop/other", "v0.5.0")
        shop.edit(image=f"{registry.host}/shop/other")
        found = await shop.until(lambda found: "OrderingChanged" in true_types(found))
        assert (selected(found), says(found, "Ready")) == (held, ("True", "Selected"))
        fingerprint = found["status"]["ordering"]
        assert fingerprint in condition(found, "OrderingChanged")["message"]  # type: ignore[index]
        shop.edit(acceptOrdering="0" * 32)
        assert selected(await shop.ask()) == held
        shop.edit(acceptOrdering=fingerprint)
        after = await shop.tag("v0.5.0")
        assert (after["epoch"], after["sequence"], after["cause"]) == (2, 3, "OrderingAccepted")
        assert after["reference"].startswith(f"{registry.host}/shop/other:v0.5.0@")
        assert "OrderingChanged" not in true_types(shop.read())
        assert allowed(held, after)


async def test_a_range_edited_downwards_is_no_consent(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        held = await grown(shop, registry, "v1.0.0", "v2.0.0")
        shop.edit(select={"semver": {"range": "<2.0.0"}})
        found = await shop.until(lambda found: "BelowHighWater" in true_types(found))
        assert selected(found) == held
        said = condition(found, "BelowHighWater")["message"]  # type: ignore[index]
        assert "v2.0.0" in said
        assert "v1.0.0" in said
        shop.edit(select={"semver": {"range": "*"}})
        await shop.until(lambda found: "BelowHighWater" not in true_types(found))


async def test_what_pods_run_is_the_floor_of_a_policy_without_memory(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        for tag in ("v1.0.0", "v1.1.0"):
            registry.push("shop/web", tag)
        await eventually(lambda: shop.api.get(shop.core("serviceaccounts", "default")).ok)
        container = {"name": "web", "image": f"{registry.host}/shop/web:v1.1.0"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [container]}}
        good(shop.api.post(shop.core("pods"), pod))
        registry.behave(half=True, only="tags/list")
        shop.create(spec(registry.host))
        held = await shop.tag("v1.1.0")
        assert held["cause"] == "Bootstrap"
        assert held["digest"] == registry.repositories["shop/web"].tags["v1.1.0"]


async def test_the_ledger_of_a_deleted_policy_is_kept(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        held = await grown(shop, registry, "v1.0.0")
        shop.delete()
        assert shop.ledger_content()["selection"] == held
        json.dumps(shop.ledger())
