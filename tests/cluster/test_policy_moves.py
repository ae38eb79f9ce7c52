"""What moves a selection and what may not: rollback, gates, floor, blocked, platforms and digests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.coherence import condition, says, true_types
from tests.cluster.operators import Operator, Shop, good, operator_of, selected, spec
from tests.support.registry import FakeRegistry

from pawl.sandbox import Cluster
from pawl.sandbox.images import Image, Pusher

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def operator(cluster: Cluster, installed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    assert installed
    with operator_of(cluster.kubeconfig, tmp_path_factory.mktemp("moves")) as running:
        yield running


@pytest.fixture
def shop(api: Api, namespace: str, operator: Operator) -> Shop:
    return Shop(api, namespace, operator)


async def grown(shop: Shop, registry: FakeRegistry, *tags: str, **fields: Any) -> Json:
    """A policy that went through these tags; its selection."""
    registry.push("shop/web", tags[0])
    shop.create(spec(registry.host, **fields))
    await shop.tag(tags[0])
    for tag in tags[1:]:
        registry.push("shop/web", tag)
        await shop.ask()
    return await shop.tag(tags[-1])


def back(registry: FakeRegistry, source: str, target: str, nonce: str = "inc-1", **fields: Any) -> Json:
    to = {"tag": target, "digest": registry.repositories["shop/web"].tags[target]}
    return {"nonce": nonce, "from": {"tag": source}, "to": to, "reason": "bad build"} | fields


async def test_a_rollback_goes_back_once(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        await grown(shop, registry, "v1.0.0", "v1.1.0")
        shop.edit(rollback=back(registry, "v1.1.0", "v1.0.0", requestedBy="ana"))
        held = await shop.tag("v1.0.0")
        assert (held["epoch"], held["sequence"], held["cause"]) == (2, 3, "Rollback")
        status = shop.read()["status"]
        assert status["blocked"] == ["v1.1.0"]
        assert (status["rollback"]["nonce"], status["rollback"]["hold"]) == ("inc-1", "UntilNewer")
        assert (status["history"][-1]["who"], status["history"][-1]["reason"]) == ("ana", "bad build")
        for _ in range(2):  # it lies in Git for ever
            assert selected(await shop.ask()) == held
        registry.push("shop/web", "v1.0.5")
        assert selected(await shop.ask()) == held, "resumes only above what was taken back"
        registry.push("shop/web", "v1.1.1")
        await shop.ask()
        held = await shop.tag("v1.1.1")
        assert (held["epoch"], held["sequence"]) == (2, 4)
        assert "RollbackActive" not in true_types(shop.read())
        await shop.until_events(["Bootstrap", "Newer", "Rollback", "Newer"])


async def test_a_used_nonce_is_used_for_ever(shop: Shop) -> None:
    """Also after the policy was deleted and restored, and with the same `from`."""
    async with FakeRegistry() as registry:
        await grown(shop, registry, "v1.0.0", "v1.1.0")
        wish = back(registry, "v1.1.0", "v1.0.0")
        shop.edit(rollback=wish)
        await shop.tag("v1.0.0")
        body = shop.read()["spec"]
        shop.delete()
        shop.create(
            body
            | {
                "rollback": back(registry, "v1.0.0", "v1.0.0", **{"from": {"tag": "v1.0.0"}})
                | {"to": {"tag": "v1.1.0", "digest": registry.repositories["shop/web"].tags["v1.1.0"]}}
            }
        )
        found = await shop.until(lambda seen: "RollbackRejected" in true_types(seen))
        assert says(found, "RollbackRejected") == ("True", "NonceUsed")
        assert (selected(found)["tag"], selected(found)["epoch"]) == ("v1.0.0", 2)


REJECTED = {
    "stale": ("StaleFrom", {"from": {"tag": "v1.0.0"}, "to": {"tag": "v0.9.0"}}),
    "wrong digest": ("StaleFrom", {"from": {"tag": "v1.1.0", "digest": "sha256:" + "0" * 64}}),
    "missing": ("TargetMissing", {"to": {"tag": "v1.0.0", "digest": "sha256:" + "1" * 64}}),
    "not comparable": ("TargetNotComparable", {"to": {"tag": "latest"}}),
    "below the floor": ("TargetRefused", {"to": {"tag": "v0.9.0"}}),
}


@pytest.mark.parametrize(("reason", "wrong"), REJECTED.values(), ids=REJECTED.keys())
async def test_a_rollback_that_does_not_fit_is_refused(shop: Shop, reason: str, wrong: Json) -> None:
    async with FakeRegistry() as registry:
        for tag in ("v0.9.0", "latest"):
            registry.push("shop/web", tag)
        held = await grown(shop, registry, "v1.0.0", "v1.1.0", floor={"tag": "v1.0.0"})
        wish = back(registry, "v1.1.0", "v1.0.0") | wrong
        wish["to"] = {"digest": registry.repositories["shop/web"].tags.get(wish["to"]["tag"])} | wish["to"]
        shop.edit(rollback=wish)
        found = await shop.until(lambda seen: says(seen, "RollbackRejected") == ("True", reason))
        assert (selected(found), says(found, "Ready")) == (held, ("True", "Selected"))
        assert "inc-1" not in shop.ledger_content().get("nonces", [])
        shop.edit(rollback=back(registry, "v1.1.0", "v1.0.0", **{"from": {"tag": "v1.1.0", "digest": None}}))
        await shop.tag("v1.0.0")


async def test_a_pinned_rollback_holds_until_it_is_taken_out(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        await grown(shop, registry, "v1.0.0", "v1.1.0")
        shop.edit(rollback=back(registry, "v1.1.0", "v1.0.0", hold="Pinned"))
        held = await shop.tag("v1.0.0")
        registry.push("shop/web", "v1.2.0")
        assert selected(await shop.ask()) == held
        shop.edit(rollback=None)
        await shop.tag("v1.2.0")


async def test_a_minimum_age_counts_from_first_sight(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        shop.create(spec(registry.host, gates={"minimumAge": "3s"}))
        begin = time.monotonic()
        found = await shop.until(lambda seen: "pending" in seen.get("status", {}))
        assert says(found, "Ready") == ("False", "MinimumAge")
        assert found["status"]["pending"]["waitingFor"] == ["MinimumAge"]
        await shop.tag("v1.0.0", seconds=8)
        assert time.monotonic() - begin >= 2
        registry.push("shop/web", "v1.1.0")
        found = await shop.ask()
        assert (found["status"]["pending"]["tag"], selected(found)["tag"]) == ("v1.1.0", "v1.0.0")
        registry.behave(half=True, only="tags/list")  # a list without it does not make it be forgotten
        await shop.tag("v1.1.0", seconds=8)
        assert "pending" not in shop.read()["status"]
        assert "Pending" not in true_types(shop.read())


async def test_a_new_digest_begins_its_age_anew(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        await grown(shop, registry, "v1.0.0")
        shop.edit(gates={"minimumAge": "1h"})
        registry.push("shop/web", "v1.1.0")
        first = (await shop.ask())["status"]["pending"]
        registry.push("shop/web", "v1.1.0", content="other")
        second = (await shop.ask())["status"]["pending"]
        assert first["digest"] != second["digest"] == registry.repositories["shop/web"].tags["v1.1.0"]
        registry.push("shop/web", "v1.2.0")
        assert (await shop.ask())["status"]["pending"]["tag"] == "v1.2.0"


async def test_an_approval_is_bound_to_its_digest(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        await grown(shop, registry, "v1.0.0")
        shop.edit(gates={"approval": "Required"})
        digest = registry.push("shop/web", "v1.1.0")
        found = await shop.ask()
        assert found["status"]["pending"]["waitingFor"] == ["ApprovalRequired"]
        assert f"v1.1.0@{digest}" in condition(found, "Pending")["message"]  # type: ignore[index]
        other = registry.push("shop/web", "v1.1.0", content="other")
        shop.edit(approved=[{"tag": "v1.1.0", "digest": digest}])
        assert selected(await shop.ask())["tag"] == "v1.0.0"
        shop.edit(approved=[{"tag": "v1.1.0", "digest": other}])
        assert (await shop.tag("v1.1.0"))["digest"] == other


async def test_blocked_moves_nothing_down(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        held = await grown(shop, registry, "v1.0.0", "v1.1.0")
        shop.edit(blocked=["v1.1.0", "v1.2.0"])
        found = await shop.until(lambda seen: "SelectedBlocked" in true_types(seen))
        assert selected(found) == held
        registry.push("shop/web", "v1.2.0")
        assert selected(await shop.ask()) == held
        registry.push("shop/web", "v1.3.0")
        await shop.ask()
        await shop.tag("v1.3.0")
        assert "SelectedBlocked" not in true_types(shop.read())


async def test_hold_selects_nothing_until_somebody_agrees(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        digest = registry.push("shop/web", "v1.0.0")
        shop.create(spec(registry.host, bootstrap="Hold"))
        await shop.until(lambda seen: says(seen, "Ready") == ("False", "ApprovalRequired"))
        shop.edit(approved=[{"tag": "v1.0.0", "digest": digest}])
        await shop.tag("v1.0.0")
        registry.push("shop/web", "v1.1.0")
        await shop.ask()
        await shop.tag("v1.1.0")


async def test_platforms_of_a_real_index(shop: Shop, cluster: Cluster, namespace: str) -> None:
    if cluster.registry is None:
        pytest.skip("this cluster comes without a registry")
    repository = f"{namespace}/multi"
    with Pusher(cluster.registry) as pusher:
        both = pusher.push(Image(repository, "v1.0.0", platforms=("linux/amd64", "linux/arm64")))
        pusher.push(Image(repository, "v1.1.0", platforms=("linux/amd64",)))
        shop.create(spec(cluster.registry, repository, platforms=["linux/amd64", "linux/arm64"]))
        held = await shop.tag("v1.0.0")
        assert held["digest"] == both
        found = await shop.ask()
        assert "v1.1.0 lacks linux/arm64" in condition(found, "Pending")["message"]  # type: ignore[index]
        assert selected(found) == held
        pusher.push(Image(repository, "v1.2.0", platforms=("linux/arm64", "linux/amd64", "linux/s390x")))
    await shop.ask()
    await shop.tag("v1.2.0")
    assert "Pending" not in true_types(shop.read())


async def test_a_moved_tag_is_reported_and_not_followed(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        held = await grown(shop, registry, "v1.0.0")
        other = registry.push("shop/web", "v1.0.0", content="other")
        found = await shop.ask()
        assert says(found, "TagMutated") == ("True", "DigestChanged")
        assert other in condition(found, "TagMutated")["message"]  # type: ignore[index]
        assert selected(found) == held
        registry.push("shop/web", "v1.0.0")
        assert "TagMutated" not in true_types(await shop.ask())


async def test_follow_takes_new_digests_and_no_old_ones(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        first = await grown(shop, registry, "v1.0.0", tagMutability="Follow")
        registry.push("shop/web", "v1.0.0", content="other")
        second = selected(await shop.ask())
        assert second["digest"] == registry.repositories["shop/web"].tags["v1.0.0"] != first["digest"]
        assert (second["sequence"], second["cause"]) == (2, "TagMoved")
        registry.push("shop/web", "v1.0.0")  # back to the first
        found = await shop.ask()
        assert (says(found, "TagMutated"), selected(found)) == (("True", "DigestRepeated"), second)


async def test_one_tag_followed_by_digest(shop: Shop) -> None:
    async with FakeRegistry() as registry:
        registry.push("shop/web", "latest")
        shop.create(spec(registry.host, select={"digest": {"tag": "latest"}}, tagMutability="Follow"))
        first = await shop.tag("latest")
        second = registry.push("shop/web", "latest", content="two")
        assert selected(await shop.ask())["digest"] == second
        registry.push("shop/web", "latest")
        found = await shop.ask()
        assert selected(found)["digest"] == second != first["digest"]
        third = registry.push("shop/web", "latest", content="three")
        assert (selected(await shop.ask())["digest"], selected(shop.read())["sequence"]) == (third, 3)
        assert registry.asked("tags/list") == []


async def test_what_is_deleted_from_a_real_registry_stays_selected(
    shop: Shop, cluster: Cluster, namespace: str
) -> None:
    """The tag first, then the image: each has its own word, and the pin holds."""
    if cluster.registry is None:
        pytest.skip("this cluster comes without a registry")
    repository = f"{namespace}/gone"
    with Pusher(cluster.registry) as pusher:
        pusher.push(Image(repository, "v1.0.0"))
        image = Image(repository, "v1.1.0")
        pusher.push(image)
        shop.create(spec(cluster.registry, repository))
        held = await shop.tag("v1.1.0")
        pusher.delete_tag(repository, "v1.1.0")
        found = await shop.ask()
        assert says(found, "SelectedTagMissing") == ("True", "TagMissing")
        assert "SelectedImageGone" not in true_types(found)
        pusher.delete_image(repository, held["digest"])
        found = await shop.ask()
        assert says(found, "SelectedImageGone") == ("True", "ImageGone")
        assert (selected(found), says(found, "Ready")) == (held, ("True", "Selected"))
        pusher.push(image)
        found = await shop.ask()
        assert not true_types(found) & {"SelectedTagMissing", "SelectedImageGone"}
        pusher.delete_tag(repository, "v1.1.0")
        shop.edit(
            rollback={
                "nonce": "gone-1",
                "from": {"tag": "v1.1.0"},
                "to": {"tag": "v1.0.0", "digest": pusher.push(Image(repository, "v1.0.0"))},
                "reason": "it is gone",
            }
        )
        await shop.tag("v1.0.0")
    good(shop.api.delete(shop.path()))
