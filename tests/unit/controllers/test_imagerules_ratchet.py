"""What tables never do: go back for a policy, for a registry that does not answer, for a plan that waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.controllers.override_doubles import Stage, body, policy, rule, workload

from pawl.api.reasons import Reason
from pawl.controllers.queue import Key

IMAGE, TARGET = "docker.io/rook/ceph:1", "r.corp/rook/ceph:1"
POLICY = {"source": "docker.io/rook", "target": {"policyRef": {"name": "web"}}}
KEY = Key("ImagePolicy", "shop", "web")


async def following(sequence: int = 5) -> Stage:
    """A table that was made of a policy."""
    stage = Stage("shop")
    stage.select(policy(sequence))
    stage.put(body(rules=[POLICY]))
    await stage.look()
    assert stage.images() == {f"r.corp/rook:v{sequence}"}
    return stage


def holds(stage: Stage) -> None:
    stage.select(policy(5))


def loses_status(stage: Stage) -> None:
    stage.select(policy())


def comes_from_a_backup(stage: Stage) -> None:
    stage.select(policy(3))


def comes_from_an_older_epoch(stage: Stage) -> None:
    stage.select(policy(4, epoch=1))


def is_edited(stage: Stage) -> None:
    found = policy(5)
    found["spec"]["image"] = "r.corp/elsewhere"
    stage.select(found)


def comes_back_with_another_image(stage: Stage) -> None:
    stage.select(policy(3, image="r.corp/elsewhere"))


def is_deleted(stage: Stage) -> None:
    stage.policies.drop(KEY)


def is_made_anew(stage: Stage) -> None:
    stage.policies.drop(KEY)
    stage.select(policy(uid="q"))


def becomes_unreadable(stage: Stage) -> None:
    found = policy(6)
    found["spec"]["select"] = {"newer": {}}
    stage.select(found)


QUIET: list[Callable[[Stage], None]] = [
    holds,
    loses_status,
    comes_from_a_backup,
    comes_from_an_older_epoch,
    is_edited,
    comes_back_with_another_image,
    is_deleted,
    is_made_anew,
    becomes_unreadable,
]


@pytest.mark.parametrize("what", QUIET)
async def test_no_policy_moves_a_table_back(what: Callable[[Stage], None]) -> None:
    stage = await following()
    before = stage.stored()
    what(stage)
    await stage.look()
    await stage.look()
    assert stage.stored() == before
    after = stage.again()
    await after.look()
    assert after.stored() == before


async def test_a_policy_that_was_forgotten_begins_anew() -> None:
    stage = await following()
    is_made_anew(stage)
    await stage.look()
    stage.select(policy(1, uid="q"))
    await stage.look()
    assert stage.images() == {"r.corp/rook:v1"}
    stage.select(policy(2, uid="q"))
    await stage.look()
    assert stage.images() == {"r.corp/rook:v2"}


async def test_a_policy_that_was_restored_with_its_sequence_goes_on() -> None:
    stage = await following()
    stage.policies.drop(KEY)
    stage.select(policy(5, uid="q"))
    await stage.look()
    stage.select(policy(6, uid="q", image="r.corp/elsewhere"))
    await stage.look()
    assert stage.images() == {"r.corp/elsewhere:v6"}


# A registry that does not answer


def served(*, cluster: bool = False) -> Stage:
    stage = Stage("shop", "other")
    for name in ("shop", "other"):
        stage.world.put(workload(f"web-{name}", IMAGE, name))
        if not cluster:
            stage.put(body("one", name))
    if cluster:
        stage.put(body("one", ""))
    return stage


@pytest.mark.parametrize("reason", [Reason.UNREACHABLE, Reason.RATE_LIMITED, Reason.BAD_ANSWER])
@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("cluster", [False, True])
@pytest.mark.parametrize("where", ["", "shop"])
async def test_a_transient_failure_takes_nothing_back(
    *, reason: Reason, restart: bool, cluster: bool, where: str
) -> None:
    stage = served(cluster=cluster)
    await stage.look()
    before = stage.stored()
    after = stage.again() if restart else stage
    after.registry.fails = {(where, TARGET): reason}
    for _ in range(3):
        standing = await after.look()
        assert after.stored() == before
    assert standing.refused
    assert standing.table("shop") is not None


async def test_what_was_never_in_force_waits_for_the_registry() -> None:
    stage = served()
    stage.registry.fails = {("", TARGET): Reason.UNREACHABLE}
    await stage.look()
    assert stage.held() == {TARGET: f"Unreachable: {TARGET}: Unreachable"}
    await stage.look()
    assert list(stage.held()) == [TARGET]
    stage.registry.fails = {}
    await stage.look()
    assert stage.held() == {}


async def test_a_new_namespace_with_a_slow_registry_leaves_the_old_ones_alone() -> None:
    stage = Stage("shop", "other")
    stage.world.put(workload("web", IMAGE, "shop"))
    stage.put(body("one", "shop"))
    await stage.look()
    before = stage.stored()["shop"]
    stage.world.put(workload("late", IMAGE, "other"))
    stage.put(body("one", "other"))
    stage.registry.fails = {("other", TARGET): Reason.UNREACHABLE}
    await stage.look()
    assert stage.stored()["shop"] == before
    assert list(stage.held("other")) == [TARGET]


async def test_a_lasting_failure_holds_back_its_own_target_only() -> None:
    stage = Stage("shop")
    stage.world.put(workload("web", IMAGE))
    stage.world.put(workload("db", "docker.io/rook/db:1"))
    stage.put(body())
    await stage.look()
    stage.registry.fails = {("", TARGET): Reason.IMAGE_MISSING}
    standing = await stage.look()
    assert list(stage.held()) == [TARGET]
    assert [needed.reference for needed in standing.refused] == [TARGET]
    assert {reference for _, reference in standing.contents} == {"r.corp/rook/db:1"}


@pytest.mark.parametrize("reason", [Reason.UNAUTHORIZED, Reason.DENIED, Reason.SECRET_INVALID, Reason.MISSING_RIGHT])
@pytest.mark.parametrize("cluster", [False, True])
async def test_bad_keys_hold_back_only_where_they_are(*, reason: Reason, cluster: bool) -> None:
    stage = served(cluster=cluster)
    stage.registry.fails = {("shop", TARGET): reason}
    await stage.look()
    assert list(stage.held("shop")) == [TARGET]
    assert stage.held("other") == stage.held("") == {}
    assert stage.images("" if cluster else "other") == {"r.corp/rook"}


async def test_a_table_that_somebody_spoilt_stops_nothing_and_is_written_anew() -> None:
    stage = served()
    await stage.look()
    before, path = stage.stored(), "/apis/pawl.dev/v1alpha1/namespaces/shop/imagerules/pawl"
    bad = stage.stored()["shop"]
    bad["spec"]["rules"]["docker.io/rook"][0]["containers"] = "("
    stage.api.put(path, bad)
    after = stage.again()
    after.registry.fails = {("", TARGET): Reason.UNREACHABLE}
    await after.look()
    assert after.images("other") == {"r.corp/rook"}
    assert after.stored()["other"] == before["other"]
    assert "containers" not in after.stored()["shop"]["spec"]["rules"]["docker.io/rook"][0]


# Plans that wait


def plan(approved: str = "", known: str = "a" * 16) -> dict[str, Any]:
    rollout = {"mode": "Plan", **({"approvedPlan": approved} if approved else {})}
    return {"rollout": rollout, "status": {"plan": {"hash": known}}}


async def test_nothing_of_a_plan_that_waits_is_written() -> None:
    stage = served()
    stage.put(body("planned", "", rules=[rule("docker.io/db", "r.corp/db")], **plan()))
    stage.world.put(workload("db", "docker.io/db/x:1", "other"))
    standing = await stage.look()
    assert set(stage.stored()) == {"", "shop", "other"}
    assert stage.images("") == set()
    assert stage.images("other") == {"r.corp/rook"}
    assert standing.pending == {"planned"}
    drafted, now = standing.table_for("planned", "other"), standing.table("other")
    assert drafted is not None
    assert now is not None
    assert drafted.find("docker.io/db/x:1").matches
    assert not now.find("docker.io/db/x:1").matches
    stage.put(body("planned", "", rules=[rule("docker.io/db", "r.corp/db")], **plan("a" * 16)))
    await stage.look()
    assert stage.images("other") == {"r.corp/rook", "r.corp/db"}


@pytest.mark.parametrize("namespace", ["shop", ""])
async def test_tables_of_an_override_whose_plan_waits_stay_byte_for_byte(namespace: str) -> None:
    stage = served()
    stage.put(body("planned", namespace, rules=[rule("docker.io/db", "r.corp/db")], **plan("a" * 16)))
    await stage.look()
    before = stage.stored()
    stage.put(body("planned", namespace, rules=[rule("docker.io/db", "r.corp/new")], **plan("a" * 16, "b" * 16)))
    await stage.look()
    await stage.look()
    assert stage.stored() == before
    after = stage.again()
    await after.look()
    assert after.stored() == before


async def test_no_namespace_leaves_the_cluster_s_table_while_a_plan_waits() -> None:
    stage = Stage("shop")
    stage.put(body("planned", "", **plan("a" * 16)))
    await stage.look()
    before = stage.stored()
    stage.put(body("planned", "", **plan("a" * 16, "b" * 16)))
    stage.put(body("local", "shop", rules=[rule("docker.io/db", "r.corp/db")]))
    await stage.look()
    assert stage.stored() == before


async def test_the_end_of_an_override_does_not_wait_for_another_one_s_plan() -> None:
    stage = served()
    stage.put(body("planned", "shop", rules=[rule("docker.io/db", "r.corp/db")], **plan("a" * 16)))
    await stage.look()
    stage.put(body("planned", "shop", rules=[rule("docker.io/db", "r.corp/new")], **plan("a" * 16, "b" * 16)))
    stage.put(body("one", "shop", meta={"deletionTimestamp": "2026-01-01T00:00:00Z"}))
    await stage.look()
    assert stage.images() == {"r.corp/db"}


async def test_an_override_that_ends_while_its_plan_waits_leaves_the_tables() -> None:
    stage = served()
    stage.put(body("planned", "shop", rules=[rule("docker.io/db", "r.corp/db")], **plan("a" * 16)))
    await stage.look()
    ending = plan("a" * 16, "b" * 16)
    stage.put(body("planned", "shop", meta={"deletionTimestamp": "2026-01-01T00:00:00Z"}, **ending))
    standing = await stage.look()
    assert stage.images() == {"r.corp/rook"}
    assert standing.pending == frozenset()
