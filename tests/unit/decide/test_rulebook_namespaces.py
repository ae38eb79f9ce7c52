"""Which namespace holds what: own tables, sharing, exclusion, held results, pull Secrets, size."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.decide.rulebook_samples import POD, book, cluster, container, entry, image_of, local, named, rule, table

from pawl.api.imagerules import MAX_TABLE_BYTES
from pawl.api.reasons import Reason
from pawl.decide.rulebook_drafts import author_of
from pawl.decide.rulebook_explain import explain
from pawl.decide.rulebook_pages import Pages
from pawl.decide.tables import CompiledTable, Subject, rewrite_image

SHOP, ROOK, PLAIN = named("shop"), named("rook", storage="rook"), named("plain")
EVERYWHERE = cluster("all", [("docker.io", "q.x")])
STORAGE = cluster("storage", [("quay.io", "s.x")], namespaces={"selector": {"matchLabels": {"storage": "rook"}}})


def test_a_namespace_has_a_table_of_its_own_only_where_something_holds_there_alone() -> None:
    held = book(EVERYWHERE, STORAGE, local("shop", "own", [("ghcr.io", "g.x")]), namespaces=[SHOP, ROOK, PLAIN])
    assert set(held.namespaces) == {"shop", "rook"}
    assert held.cluster.own == {"rook": True, "shop": True}
    assert image_of(held, "nginx", "shop") == "q.x/library/nginx"
    assert image_of(held, "ghcr.io/a", "shop") == "g.x/a"
    assert image_of(held, "quay.io/a", "rook") == "s.x/a"
    assert image_of(held, "quay.io/a", "plain") == "quay.io/a"


@pytest.mark.parametrize("selector", [None, {}, {"selector": {}}])
def test_a_selector_that_says_nothing_is_every_namespace(selector: object) -> None:
    held = book(cluster("o", [("docker.io", "q.x")], namespaces=selector), namespaces=[SHOP])
    assert (held.namespaces, list(held.cluster.rules)) == ({}, ["docker.io"])


def test_namespaces_under_the_same_overrides_share_one_table() -> None:
    rows = [named(f"n{index}", storage="rook") for index in range(3)]
    held = book(EVERYWHERE, STORAGE, namespaces=rows)
    assert held.namespaces["n0"].rules is held.namespaces["n2"].rules


def test_two_hundred_namespaces_of_their_own_copy_only_what_they_change() -> None:
    wide = cluster("wide", [(f"docker.io/a{index}", f"q.x/a{index}") for index in range(1000)])
    rows = [named(f"n{index}") for index in range(200)]
    own = [local(row.name, "own", [("docker.io/a7", "own.x"), ("ghcr.io", "g.x")]) for row in rows]
    held = book(wide, *own, namespaces=rows)
    assert len(held.namespaces) == 200
    for row in rows:
        rules = held.namespaces[row.name].rules
        assert len(rules) == 1001
        assert [one.override for one in rules["docker.io/a7"]] == [f"{row.name}/own", "wide"]
        assert all(rules[key] is held.cluster.rules[key] for key in ("docker.io/a6", "docker.io/a999"))
    assert [one.override for one in held.cluster.rules["docker.io/a7"]] == ["wide"]
    assert "ghcr.io" not in held.cluster.rules


def test_an_older_override_of_a_namespace_does_not_reach_into_another() -> None:
    held = book(EVERYWHERE, local("shop", "own", [("docker.io", "own.x")]), namespaces=[SHOP, PLAIN])
    assert image_of(held, "nginx", "shop") == "own.x/library/nginx"
    assert image_of(held, "nginx", "plain") == "q.x/library/nginx"
    assert held.judged["shop/own"].conflicts == held.judged["all"].conflicts == ()


@pytest.mark.parametrize("name", ["kube-system", "pawl-system"])
def test_excluded_namespaces_hold_nothing_and_their_overrides_say_so(name: str) -> None:
    excluded = frozenset({"kube-system", "pawl-system"})
    held = book(EVERYWHERE, local(name, "o", [("quay.io", "q.x")]), namespaces=[named(name)], excluded=excluded)
    assert held.table(name) is None
    assert held.namespaces == {}
    assert "are never rewritten" in held.judged[f"{name}/o"].inactive[0].message


def test_ignored_and_ending_namespaces_get_no_table() -> None:
    rows = [msgspec.structs.replace(SHOP, ignored=True), msgspec.structs.replace(ROOK, terminating=True)]
    held = book(EVERYWHERE, STORAGE, local("shop", "o", [("quay.io", "q.x")]), namespaces=rows)
    assert held.namespaces == {}
    assert held.table("shop") is None


def test_held_results_and_exempt_owners_stand_where_they_belong() -> None:
    held = book(
        EVERYWHERE,
        namespaces=[SHOP, PLAIN],
        held={"": {"q.x/library/a": "gone"}, "shop": {"q.x/library/b": "refused"}},
        exempt={"shop": {"u": "all@1"}},
    )
    assert set(held.namespaces) == {"shop"}
    assert [image_of(held, image, "shop") for image in ("a", "b", "c")] == ["a", "b", "q.x/library/c"]
    assert [image_of(held, image, "plain") for image in ("a", "b")] == ["a", "q.x/library/b"]
    assert dict(held.namespaces["shop"].exempt) == {"u": "all@1"}
    assert dict(held.cluster.exempt) == {}


def test_suspended_overrides_hold_and_those_that_are_deleted_do_not() -> None:
    gone = cluster("gone", [("quay.io", "g.x")])
    gone = gone.model_copy(update={"metadata": gone.metadata.model_copy(update={"deletion_timestamp": "2026"})})
    held = book(cluster("o", [("docker.io", "q.x")], suspend=True), gone)
    assert image_of(held, "nginx") == "q.x/library/nginx"
    assert image_of(held, "quay.io/a") == "quay.io/a"
    assert set(held.judged) == {"o"}


@pytest.mark.parametrize(
    ("enforcement", "flags"),
    [
        ({}, (True, False)),
        ({"templates": "Admission"}, (True, True)),
        ({"templates": "Reconcile", "pods": False}, (False, True)),
    ],
)
def test_enforcement_becomes_the_flags(enforcement: object, flags: tuple[object, object]) -> None:
    (made,) = book(cluster("o", [("docker.io", "q.x")], enforcement=enforcement)).cluster.rules["docker.io"]
    assert (made.pods, made.templates) == flags


def test_pull_secrets_stand_under_the_target_once_with_the_conditions_of_the_rule() -> None:
    rules = [("docker.io/a", "q.x/m"), ("docker.io/b", "q.x/m"), rule("quay.io", "q.x/m", containers=["app"])]
    held = book(cluster("o", rules, pullSecrets=[{"name": "reg"}, {"name": "more"}]))
    found = held.cluster.secrets["q.x/m"]
    assert [(one.names, one.containers) for one in found] == [(["reg", "more"], None), (["reg", "more"], "^(?:app)$")]


def test_a_target_on_docker_hub_gives_its_secret_to_the_image_as_it_is_read() -> None:
    held = book(cluster("o", [("quay.io/nginx", "docker.io/nginx")], pullSecrets=[{"name": "hub"}]))
    assert set(held.cluster.secrets) == {"docker.io/nginx", "docker.io/library/nginx"}


def test_a_table_beyond_its_bound_refuses_the_override_that_stands_last() -> None:
    rules = [(f"docker.io/{'a' * 100}{index}", f"q.x/{'b' * 200}") for index in range(1000)]
    older = [cluster(f"o{index}", rules, created=f"2026-01-0{index + 1}T00:00:00Z") for index in range(4)]
    held = book(*older[::-1])
    assert [held.judged[f"o{index}"].refusal is None for index in range(4)] == [True, True, True, False]
    refusal = held.judged["o3"].refusal
    assert refusal is not None
    assert refusal.reason is Reason.TABLE_TOO_LARGE
    assert len(held.cluster.model_dump_json(by_alias=True, exclude_none=True)) <= MAX_TABLE_BYTES


def test_the_size_is_that_of_the_json_also_where_a_namespace_adds_to_a_source() -> None:
    rules = [(f"docker.io/{index}", "q.x") for index in range(50)]
    base = author_of(cluster("o", rules, pullSecrets=[{"name": "reg"}]), {})
    more = author_of(local("shop", "p", rules, pullSecrets=[{"name": "other"}]), {})
    pages = Pages([base])
    for page in (pages.page((), {"a": "b"}, {}), pages.page((more,), {}, {"u": "o@1"})):
        written = len(page.table.model_dump_json(by_alias=True, exclude_none=True))
        # Names of fields are not counted, a comma more than there is on each list is.
        assert abs(page.size - written) <= 200


def test_explain_names_every_rule_that_matched_and_why_it_lost() -> None:
    overrides = [
        cluster("old", [("docker.io", "o.x"), ("docker.io/rook", "o.x/rook")]),
        cluster("young", [("docker.io/rook", "y.x/rook")], created="2026-02-01T00:00:00Z"),
        cluster("high", [("docker.io/rook", "h.x/rook")], priority=5),
        cluster("jobs", [("docker.io/rook", "j.x/rook")], workloads={"kinds": ["Job"]}, priority=9),
        cluster("must", [("docker.io", "m.x")], mandatory=True),
        local("shop", "own", [("docker.io/rook", "l.x/rook")]),
    ]
    held = book(*overrides, namespaces=[SHOP])
    found = explain(CompiledTable.of(held.namespaces["shop"]), POD, container("rook/ceph"), overrides)
    assert [(one.override, one.wins) for one in found] == [
        ("must", True),
        ("high", False),
        ("shop/own", False),
        ("old", False),
        ("young", False),
        ("old", False),
    ]
    assert found[0].result == "m.x/rook/ceph"
    assert {one.why for one in found[1:]} == {"the other is mandatory"}
    below = explain(CompiledTable.of(book(*overrides[:3]).cluster), POD, container("rook/ceph"), overrides)
    assert [(one.override, one.why) for one in below] == [
        ("high", "decides"),
        ("old", "priority 5 stands above 0"),
        ("young", "priority 5 stands above 0"),
        ("old", "docker.io/rook is more specific than docker.io"),
    ]
    tie = explain(CompiledTable.of(book(*overrides[:2]).cluster), POD, container("rook/ceph"), overrides)
    assert tie[1].why == "the other is older"


def test_a_conditional_entry_is_asked_every_time_although_lookups_are_remembered() -> None:
    held = table({"docker.io": [entry("q.x", labels=[{"key": "t", "operator": "Exists"}])]})
    outcomes = [
        rewrite_image(held, Subject(POD.kind, labels), container("nginx")).outcome for labels in ({}, {"t": ""})
    ]
    assert outcomes == ["Unmatched", "Rewritten"]
