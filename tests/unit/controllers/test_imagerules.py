"""The controller of the tables: what is written, what is not, and what never goes back."""

from __future__ import annotations

import pytest
from tests.unit.controllers.override_doubles import (
    CONFLICT,
    DOWN,
    FORBIDDEN,
    PAWL,
    Stage,
    body,
    rule,
    workload,
)

from pawl.api.errors import ApiUnavailable, LeaseLost
from pawl.api.reasons import Reason
from pawl.cluster.ruletables import CLUSTER
from pawl.controllers.imagerules import RESYNC, RULES, SOON
from pawl.controllers.queue import Key
from pawl.decide.objects import NamespaceRow

TARGET = "r.corp/rook/ceph:1"
IMAGE = "docker.io/rook/ceph:1"


def table_path(namespace: str) -> str:
    return f"{PAWL}/namespaces/{namespace}/imagerules/pawl" if namespace else f"{PAWL}/clusterimagerules/pawl"


def running(*namespaces: str) -> Stage:
    """Overrides of the cluster (rook) and of each namespace (db), and a Deployment that both concern."""
    stage = Stage(*namespaces)
    for name in namespaces:
        stage.world.put(workload(f"web-{name}", IMAGE, name))
    return stage


async def test_a_table_for_the_cluster_and_one_where_more_holds() -> None:
    stage = running("shop", "other")
    stage.put(body("wide", ""))
    stage.put(body("local", "shop", rules=[rule("docker.io/db", "r.corp/db")]))
    standing = await stage.look()
    assert stage.images("") == {"r.corp/rook"}
    assert stage.images("shop") == {"r.corp/rook", "r.corp/db"}
    assert stage.stored()[""]["spec"]["own"] == {"shop": True}
    assert {wish.reference for wish in stage.registry.asked} == {TARGET}
    assert standing.generations == {"wide": 1, "shop/local": 1}
    assert {key.name for key in stage.woken} == {"wide", "local"}


async def test_equal_facts_write_nothing_and_wake_nobody() -> None:
    stage = running("shop", "other")
    stage.put(body("wide", ""))
    stage.put(body("local", "shop", pullSecrets=[{"name": "regcred"}]))
    first = await stage.look()
    writes, woken = stage.writes, len(stage.woken)
    assert await stage.look() is first
    assert (stage.writes, len(stage.woken)) == (writes, woken)
    after = stage.again()
    await after.look()
    assert after.writes == writes
    assert after.stored() == stage.stored()


async def test_the_order_keeps_every_namespace_under_a_table() -> None:
    stage = running("shop")
    stage.put(body("wide", ""))
    local = stage.put(body("local", "shop", rules=[rule("docker.io/db", "r.corp/db")]))
    await stage.look()
    assert [request.path for request in stage.api.requests if request.verb == "create"] == [
        f"{PAWL}/namespaces/shop/imagerules",
        f"{PAWL}/clusterimagerules",
    ]
    stage.overrides.drop(Key("ImageOverride", "shop", local.metadata.name))
    begin = len(stage.api.requests)
    await stage.look()
    assert [request.verb for request in stage.api.requests[begin:]] == ["update", "delete"]
    assert list(stage.stored()) == [""]


@pytest.mark.parametrize("what", ["world", "namespaces", "complete"])
async def test_nothing_is_written_from_half_of_the_facts(what: str) -> None:
    stage = running("shop")
    stage.put(body("local", "shop"))
    await stage.look()
    before, after = stage.stored(), stage.again()
    if what == "world":
        after.world.listed = False
    elif what == "complete":
        after.complete = False
    else:
        after.world.remove(NamespaceRow("shop"))
    after.overrides.drop(Key("ImageOverride", "shop", "local"))
    assert await after.rules.reconcile(RULES) == SOON
    assert after.stored() == before
    assert after.board.standing is None


async def test_an_override_that_cannot_be_read_keeps_what_it_holds() -> None:
    stage = running("shop", "other")
    stage.put(body("local", "shop"))
    stage.put(body("local", "other"))
    await stage.look()
    before = stage.stored()
    spoilt = body("local", "shop", rules=[{"from": "a newer version"}], meta={"resourceVersion": "900"})
    with pytest.raises(Exception, match="cannot read"):
        stage.offer(spoilt)
    await stage.look()
    assert stage.stored() == before
    again = stage.again()
    with pytest.raises(Exception, match="cannot read"):
        again.offer(spoilt)
    await again.look()
    assert again.stored() == before


@pytest.mark.parametrize("fault", [FORBIDDEN, CONFLICT])
@pytest.mark.parametrize("verb", ["create", "update", "delete"])
async def test_a_refusal_in_one_namespace_leaves_the_others_going(fault: object, verb: str) -> None:
    stage = running("a", "b", "c")
    names = ["a", "b", "c"]
    path = {"create": f"{PAWL}/namespaces/b/imagerules"}.get(verb, table_path("b"))
    overrides = [stage.put(body("local", name)) for name in names]
    if verb != "create":
        await stage.look()
    stage.faults[(verb, path)] = fault  # type: ignore[assignment]
    for override in overrides if verb == "delete" else ():
        stage.overrides.drop(Key("ImageOverride", override.metadata.namespace, "local"))
    for name in names if verb == "update" else ():
        stage.put(body("local", name, rules=[rule(repository="r.corp/new")]))
    delay = await stage.rules.reconcile(RULES)
    standing = stage.board.standing
    assert standing is not None
    assert set(standing.failed) == {"b"}
    assert delay == 30.0
    wanted = {"create": {"a": {"r.corp/rook"}, "c": {"r.corp/rook"}}, "delete": {"b": {"r.corp/rook"}}}
    new = {"a": {"r.corp/new"}, "b": {"r.corp/rook"}, "c": {"r.corp/new"}}
    assert {name: stage.images(name) for name in stage.stored() if name} == wanted.get(verb, new)
    stage.faults.clear()
    assert not (await stage.look()).failed


async def test_the_cluster_s_table_holds_where_an_own_one_could_not_be_made() -> None:
    stage = running("a", "b")
    stage.put(body("wide", ""))
    await stage.look()
    stage.faults[("create", f"{PAWL}/namespaces/b/imagerules")] = FORBIDDEN
    for name in ("a", "b"):
        stage.put(body("local", name, rules=[rule("docker.io/db", "r.corp/db")]))
    standing = await stage.look()
    assert stage.stored()[""]["spec"]["own"] == {"a": True}
    assert set(standing.failed) == {"b"}


async def test_an_outage_is_told_when_no_write_is_under_way_any_more() -> None:
    stage = running(*(f"n{at}" for at in range(20)))
    for at in range(20):
        stage.put(body("local", f"n{at}"))
    stage.faults[("create", f"{PAWL}/namespaces/n0/imagerules")] = DOWN
    with pytest.raises(ApiUnavailable):
        await stage.rules.reconcile(RULES)
    assert len(stage.stored()) == 19
    assert stage.board.standing is None


async def test_without_the_lease_nothing_is_written() -> None:
    stage = running("shop")
    stage.put(body("local", "shop"))
    stage.leading = False
    with pytest.raises(LeaseLost):
        await stage.rules.reconcile(RULES)
    assert stage.writes == 0


async def test_a_lease_that_is_lost_meanwhile_stops_every_write() -> None:
    stage = running("shop")
    stage.put(body("local", "shop"))

    def lose() -> None:
        stage.leading = False

    stage.registry.meanwhile = lose
    with pytest.raises(LeaseLost):
        await stage.rules.reconcile(RULES)
    assert (stage.writes, len(stage.registry.asked)) == (0, 1)


@pytest.mark.parametrize(
    ("fails", "failing", "delay"),
    [({}, False, RESYNC), ({("", TARGET): Reason.IMAGE_MISSING}, False, 30.0), ({}, True, 30.0)],
)
async def test_when_the_next_look_comes(*, fails: dict[tuple[str, str], Reason], failing: bool, delay: float) -> None:
    stage = running("shop")
    stage.put(body("local", "shop"))
    stage.registry.fails = fails
    if failing:
        stage.faults[("create", "imagerules")] = FORBIDDEN
    assert await stage.rules.reconcile(RULES) == delay


async def test_a_table_that_nothing_needs_goes_and_so_does_the_cluster_s() -> None:
    stage = running("shop")
    stage.put(body("wide", ""))
    await stage.look()
    stage.overrides.drop(Key("ClusterImageOverride", "", "wide"))
    await stage.look()
    assert stage.stored() == {}
    assert not stage.tables.tables.get(CLUSTER)


async def test_a_namespaced_install_never_touches_the_cluster_s_table() -> None:
    stage = running("shop")
    stage.overrides._stores.pop("ClusterImageOverride")
    stage.put(body("local", "shop"))
    await stage.look()
    assert list(stage.stored()) == ["shop"]


@pytest.mark.parametrize(
    "spoilt", [rule("UPPER CASE", "r.corp/x"), {"source": "*.example.com", "target": {"tag": "v1"}}]
)
async def test_an_edit_that_cannot_be_carried_out_leaves_what_held_before(spoilt: dict[str, object]) -> None:
    stage = running("shop")
    stage.put(body("local", "shop"))
    await stage.look()
    before = stage.stored()
    stage.put(body("local", "shop", rules=[spoilt], meta={"generation": 2}))
    standing = await stage.look()
    assert stage.stored() == before
    judged = standing.judged("shop/local")
    assert judged is not None
    assert not judged.accepted
    stage.put(body("local", "shop", rules=[rule(repository="r.corp/new")], meta={"generation": 3}))
    await stage.look()
    assert stage.images("shop") == {"r.corp/new"}


async def test_a_wish_ends_the_pause_of_a_refused_target_and_is_known_after_that() -> None:
    """Nothing says that a wish was heard before registries were asked for it, and one wish asks them once."""
    stage = running("shop")
    stage.registry.fails[("", TARGET)] = Reason.IMAGE_MISSING
    found = body("wide", "")
    stage.put(found)
    standing = await stage.look()
    assert standing.knows("wide", 1)
    found["metadata"] |= {"annotations": {"reconcile.pawl.dev/requestedAt": "now"}, "resourceVersion": "2"}
    stage.offer(found)
    assert not standing.knows("wide", 1, "now")
    stage.registry.since.clear()
    standing = await stage.look()
    assert standing.knows("wide", 1, "now")
    assert not standing.knows("wide", 1, "later")
    await stage.look()
    first, second = stage.registry.since
    assert first > second == 0.0
