"""The rulebook: what rules become, who stands before whom, which namespace holds what, what is told of an override."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.decide.rulebook_samples import (
    DIGEST,
    POD,
    book,
    cluster,
    container,
    image_of,
    local,
    named,
    rule,
    ruled,
)

from pawl.api.imagepolicy_status import Selection
from pawl.api.imagerules import ImageRules
from pawl.api.reasons import Reason
from pawl.decide.objects import ImageAt, PodSpec
from pawl.decide.rulebook import Judged, Policy, Rulebook
from pawl.decide.tables import CompiledTable, rewrite_pod

SHOP = named("shop", team="a")


def judged(held: Rulebook, key: str) -> Judged:
    return held.judged[key]


# source, target, image, result: what a rule alone makes of an image
TARGETS: tuple[tuple[str, Any, str, str], ...] = (
    ("docker.io/rook", "r.corp:5000/rook", "rook/ceph:v1", "r.corp:5000/rook/ceph:v1"),
    ("docker.io/rook", "r.corp:5000", "rook/ceph:v1", "r.corp:5000/rook/ceph:v1"),
    ("docker.io", "r.corp:5000", "nginx", "r.corp:5000/library/nginx"),
    ("docker.io/library/nginx", "R.Corp", "nginx", "r.corp/library/nginx"),
    ("*.corp", "mirror.io", "a.corp:5000/x/y", "mirror.io/x/y"),
    ("docker.io/rook/ceph", {"tag": "v2"}, "rook/ceph:v1", "docker.io/rook/ceph:v2"),
    ("docker.io/rook", {"tag": "v2"}, f"rook/ceph:v1@{DIGEST}", "docker.io/rook/ceph:v2"),
    ("docker.io/rook", {"digest": DIGEST}, "rook/ceph:v1", f"docker.io/rook/ceph@{DIGEST}"),
    ("index.docker.io/a", "index.docker.io/b", "a/x", "docker.io/b/x"),
    ("quay.io/nginx", "docker.io", "quay.io/nginx:1", "docker.io/library/nginx:1"),
)


@pytest.mark.parametrize(("source", "target", "image", "result"), TARGETS)
def test_what_a_target_makes_of_an_image(source: str, target: Any, image: str, result: str) -> None:
    assert image_of(book(cluster("o", [(source, target)])), image) == result


REFUSED: tuple[tuple[str, Any, Reason, str], ...] = (
    ("nginx", "r.corp", Reason.INVALID_SOURCE, "rule 0: source 'nginx' does not begin with a registry host"),
    ("docker.io", "rook/ceph", Reason.INVALID_SOURCE, "target.repository 'rook/ceph'"),
    ("docker.io", {}, Reason.INVALID_SPEC, "target says nothing"),
    ("*.corp", {"tag": "v1"}, Reason.INVALID_SPEC, "stands for many hosts"),
    ("docker.io/a", {"tag": "v1", "policyRef": {"name": "p"}}, Reason.INVALID_SPEC, "brings tag and digest"),
    ("docker.io/a", {"policyRef": {"name": "p"}}, Reason.INVALID_SPEC, "give target.policyRef.namespace"),
    ("docker.io/" + "a" * 200, "b" * 60 + ".io", Reason.INVALID_SPEC, "more than 255 characters"),
)


@pytest.mark.parametrize(("source", "target", "reason", "said"), REFUSED)
def test_a_rule_that_cannot_be_read_refuses_its_override(source: str, target: Any, reason: Reason, said: str) -> None:
    held = book(cluster("bad", [("quay.io", "q.x"), (source, target)][::-1]), cluster("good", [("ghcr.io", "g.x")]))
    refusal = judged(held, "bad").refusal
    assert refusal is not None
    assert (refusal.reason, said in refusal.message) == (reason, True)
    assert image_of(held, "quay.io/a") == "quay.io/a"
    assert image_of(held, "ghcr.io/a") == "g.x/a"


def test_container_globs_that_re2_cannot_hold_are_refused() -> None:
    globs = [first + "?" * 62 for first in "abcdefghijklmnop"]
    refusal = judged(book(cluster("o", [rule("docker.io", "q.x", containers=globs)])), "o").refusal
    assert refusal is not None
    assert refusal.reason is Reason.INVALID_PATTERN


def test_containers_other_than_all_leave_image_volumes() -> None:
    held = book(cluster("o", [rule("docker.io", "q.x", containers=["app", "web-*", "?x"])]))
    table = CompiledTable.of(held.cluster)
    names = ["app", "web-1", "ax", "abx", "other"]
    images = (*(container("nginx", name) for name in names), ImageAt("volumes", "app", "nginx"))
    rulings = rewrite_pod(table, POD, PodSpec(images), layer="pods").rulings
    assert [ruling.outcome == "Rewritten" for ruling in rulings] == [True, True, True, False, False, False]


SAME: tuple[tuple[str, Any, Any], ...] = (
    ("the more specific source", ("quay.io", "a.x"), ("quay.io/lib", "b.x/lib")),
    ("the greater priority", cluster("a", [("quay.io", "a.x")]), cluster("b", [("quay.io", "b.x")], priority=1)),
    (
        "priority before scope",
        local("shop", "a", [("quay.io", "a.x")]),
        cluster("b", [("quay.io", "b.x")], priority=1),
    ),
    (
        "the namespaced one",
        cluster("a", [("quay.io", "a.x")], created="2020-01-01T00:00:00Z"),
        local("shop", "b", [("quay.io", "b.x")]),
    ),
    (
        "the mandatory one above all",
        local("shop", "a", [("quay.io/lib", "a.x/lib")], priority=9),
        cluster("b", [("quay.io", "b.x")], mandatory=True, priority=-9),
    ),
    (
        "the older one",
        cluster("a", [("quay.io", "a.x")], created="2026-01-02T00:00:00Z"),
        cluster("b", [("quay.io", "b.x")], created="2026-01-01T00:00:00Z"),
    ),
    ("the first by name", cluster("z", [("quay.io", "a.x")]), cluster("c", [("quay.io", "b.x")])),
)


@pytest.mark.parametrize(("title", "loser", "winner"), SAME, ids=[row[0] for row in SAME])
def test_who_decides(title: str, loser: Any, winner: Any) -> None:
    del title
    one = [cluster(name, [pair]) if isinstance(pair, tuple) else pair for name, pair in (("l", loser), ("w", winner))]
    for order in (one, one[::-1]):
        held = book(*order, namespaces=[SHOP])
        assert image_of(held, "quay.io/lib/a") == "b.x/lib/a"


def test_a_tie_is_told_on_both_with_the_same_winner() -> None:
    held = book(cluster("a", [("quay.io", "a.x")], created="2026-02-01T00:00:00Z"), cluster("b", [("quay.io", "b.x")]))
    assert judged(held, "a").conflicts == judged(held, "b").conflicts
    (clash,) = judged(held, "a").conflicts
    assert (clash.source, clash.winner, clash.loser) == ("quay.io", ("b", 0), ("a", 0))
    assert "rule 0 of b" in clash.sentence()
    assert judged(held, "a").accepted


JOBS, PODS = {"workloads": {"kinds": ["Job"]}}, {"workloads": {"kinds": ["Pod"]}}
NO_TIE: tuple[tuple[str, list[Any]], ...] = (
    ("equal results", [cluster("a", [("quay.io", "a.x")]), cluster("b", [("quay.io", "a.x")])]),
    ("another priority", [cluster("a", [("quay.io", "a.x")]), cluster("b", [("quay.io", "b.x")], priority=1)]),
    ("another scope", [cluster("a", [("quay.io", "a.x")]), local("shop", "b", [("quay.io", "b.x")])]),
    ("another tier", [cluster("a", [("quay.io", "a.x")]), cluster("b", [("quay.io", "b.x")], mandatory=True)]),
    ("kinds apart", [cluster("a", [("quay.io", "a.x")], **JOBS), cluster("b", [("quay.io", "b.x")], **PODS)]),
    (
        "containers apart",
        [
            cluster("a", [rule("quay.io", "a.x", containers=["a*"])]),
            cluster("b", [rule("quay.io", "b.x", containers=["b*"])]),
        ],
    ),
    (
        "labels apart",
        [
            cluster("a", [("quay.io", "a.x")], workloads={"selector": {"matchLabels": {"t": "1"}}}),
            cluster("b", [("quay.io", "b.x")], workloads={"selector": {"matchLabels": {"t": "2"}}}),
        ],
    ),
    (
        "namespaces apart",
        [local("shop", "a", [("quay.io", "a.x")]), local("other", "b", [("quay.io", "b.x")])],
    ),
    (
        "narrow before broad in one override",
        [cluster("a", [rule("quay.io", "a.x", containers=["app"]), rule("quay.io", "b.x")])],
    ),
    (
        "a greater priority decides anyway",
        [
            cluster("a", [("quay.io", "a.x")]),
            cluster("b", [("quay.io", "b.x")]),
            cluster("c", [("quay.io", "c.x")], priority=1),
        ],
    ),
)


@pytest.mark.parametrize(("title", "overrides"), NO_TIE, ids=[row[0] for row in NO_TIE])
def test_no_conflict(title: str, overrides: list[Any]) -> None:
    del title
    held = book(*overrides, namespaces=[SHOP, named("other")])
    assert [one.conflicts for one in held.judged.values()] == [()] * len(overrides)
    assert all(one.accepted for one in held.judged.values())


def test_a_rule_that_can_never_hold_in_its_own_override_is_a_conflict() -> None:
    held = book(cluster("a", [rule("quay.io", "a.x"), rule("quay.io", "b.x", containers=["app"])]))
    (clash,) = judged(held, "a").conflicts
    assert (clash.winner, clash.loser) == (("a", 0), ("a", 1))


def selection(tag: str, digest: str) -> Selection:
    return Selection.model_validate(
        {
            "epoch": 1,
            "sequence": 1,
            "tag": tag,
            "digest": digest,
            "reference": "r",
            "sortKey": f"1 {tag}",
            "ordering": "0" * 32,
            "selectedAt": "2026-01-01T00:00:00Z",
            "cause": "Newer",
        }
    )


FOLLOW = local("shop", "o", [("docker.io", "all.x"), ("docker.io/rook/ceph", {"policyRef": {"name": "ceph"}})])


@pytest.mark.parametrize(("digest", "result"), [(DIGEST, f"r.corp/rook/ceph:v3@{DIGEST}"), ("", "r.corp/rook/ceph:v3")])
def test_a_policy_gives_repository_tag_and_digest(digest: str, result: str) -> None:
    policies = {("shop", "ceph"): Policy("R.corp/rook/ceph", selection("v3", digest))}
    held = book(FOLLOW, namespaces=[SHOP], policies=policies)
    assert image_of(held, f"rook/ceph:v1@{DIGEST}") == result


def test_a_repository_beside_a_policy_keeps_its_say() -> None:
    target = {"repository": "m.corp/ceph", "policyRef": {"name": "ceph", "namespace": "p"}}
    policies = {("p", "ceph"): Policy("r.corp/rook/ceph", selection("v3", ""))}
    assert image_of(book(cluster("o", [("docker.io/rook", target)]), policies=policies), "rook/x") == "m.corp/ceph/x:v3"


@pytest.mark.parametrize(
    ("policies", "reason"),
    [
        ({}, Reason.POLICY_NOT_FOUND),
        ({("other", "ceph"): Policy("r.corp/ceph", None)}, Reason.POLICY_NOT_FOUND),
        ({("shop", "ceph"): Policy("r.corp/ceph", None)}, Reason.POLICY_WITHOUT_SELECTION),
    ],
)
def test_a_rule_without_a_selection_is_left_out_and_said(policies: Any, reason: Reason) -> None:
    held = book(FOLLOW, namespaces=[SHOP], policies=policies)
    (inactive,) = judged(held, "shop/o").inactive
    assert (inactive.rule, inactive.reason) == (1, reason)
    assert "ImagePolicy shop/ceph" in inactive.message
    assert judged(held, "shop/o").accepted
    assert image_of(held, "rook/ceph") == "all.x/rook/ceph"


def test_a_policy_of_another_namespace_is_not_taken() -> None:
    target = {"policyRef": {"name": "ceph", "namespace": "other"}}
    refusal = judged(book(local("shop", "o", [("docker.io/a", target)])), "shop/o").refusal
    assert refusal is not None
    assert "policies of namespace shop only" in refusal.message


def test_a_compiled_table_is_what_the_schema_takes() -> None:
    held = book(local("shop", "o", [("docker.io", "q.x")], pullSecrets=[{"name": "reg"}]), namespaces=[SHOP])
    rules = ImageRules.model_validate({"metadata": {"name": "pawl"}, "spec": held.namespaces["shop"].wire()})
    assert rules.spec == held.namespaces["shop"]


def test_an_unknown_namespace_is_under_the_table_of_the_cluster() -> None:
    held = book(cluster("o", [("docker.io", "q.x")]), local("shop", "p", [("quay.io", "q.y")]), namespaces=[SHOP])
    assert image_of(held, "quay.io/a", "new") == "quay.io/a"
    assert ruled(held, "nginx", "new").entry is not None
    assert held.table("kube-system") is None
