"""Retention by cases: each reason alone, what beats what, and how manifests follow tags, uses and each other."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from pawl.api.errors import Stalled
from pawl.api.registrystorage_spec import Collection, RetentionRule
from pawl.api.registrywork import Use
from pawl.decide.compact import Node, unpack
from pawl.decide.globs import compile_glob
from pawl.decide.retention import Judged, Repository, Tag, judge, judge_all

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAME = "shop/web"
DAY = 86400.0


def raw(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def days_ago(days: float) -> float:
    return NOW.timestamp() - days * DAY


def repository(
    tags: dict[str, tuple[str, float | None]],
    nodes: dict[str, Node] | None = None,
    loose: dict[str, float | None] | None = None,
    gone: tuple[str, ...] = (),
) -> Repository:
    """Tags as name: (manifest, age in days); `loose` are further manifests with their age."""
    held = {
        tag: Tag(raw(name), None if age is None else days_ago(age)) for tag, (name, age) in tags.items() if name
    } | {tag: Tag(b"", days_ago(age or 0)) for tag, (name, age) in tags.items() if not name}
    revisions: dict[bytes, float | None] = {raw(name): days_ago(99) for name, _ in tags.values() if name}
    for name, age in (loose or {}).items():
        revisions[raw(name)] = None if age is None else days_ago(age)
    return Repository(held, revisions, {raw(k): v for k, v in (nodes or {}).items()}, frozenset(map(raw, gone)))


def rule(**fields: object) -> RetentionRule:
    return RetentionRule.model_validate({"repositories": ["**"], **fields})


def judged(one: Repository, *rules: RetentionRule, uses: tuple[Use, ...] = (), minimum: str = "24h") -> Judged:
    return judge_all({NAME: one}, rules, Collection(minimum_age=minimum), uses, NOW)[NAME]


def reasons(one: Judged) -> dict[str, str]:
    return {verdict.tag: ("" if verdict.keep else "-") + verdict.reason for verdict in one.verdicts}


def use(tag: str = "", of: str = "", where: str = NAME) -> Use:
    return Use(repository=where, tag=tag, digest=unpack(raw(of)) if of else "", by="Pod shop/web-0")


def test_each_reason_alone() -> None:
    one = repository(
        {"v1": ("a", 50), "rc1": ("b", 40), "new": ("c", 3), "fresh": ("d", 0.5), "x": ("e", 60), "y": ("f", 70)}
    )
    found = judged(one, rule(keep_tags=["^v"], keep_younger_than="96h"), uses=(use("x"), use(of="f")))
    assert reasons(found) == {
        "v1": "KeepTags",
        "rc1": "-Expired",
        "new": "KeepYounger",
        "fresh": "KeepYounger",
        "x": "InUse",
        "y": "InUse",
    }
    assert found.kept == {raw(name) for name in "acdef"}
    assert {verdict.by for verdict in found.verdicts} == {"rule 1", "Pod shop/web-0"}


def test_the_last_are_those_that_were_pushed_last_and_names_decide_only_between_equal_times() -> None:
    one = repository({"v10": ("a", 9), "v9": ("b", 10), "v2": ("c", 2), "w1": ("d", 20), "w2": ("e", 20)})
    assert reasons(judged(one, rule(keep_last=2))) == {
        "v10": "KeepLast",
        "v2": "KeepLast",
        "v9": "-Expired",
        "w1": "-Expired",
        "w2": "-Expired",
    }
    assert reasons(judged(one, rule(keep_last=4)))["w2"] == "KeepLast"
    assert reasons(judged(one, rule(keep_last=4)))["w1"] == "-Expired"


def test_minimum_age_beats_counts_and_an_unknown_time_is_young() -> None:
    one = repository({"a": ("a", 0.1), "b": ("b", 0.2), "c": ("c", None), "d": ("d", 30), "e": ("e", -1)})
    found = reasons(judged(one, rule(keep_last=1)))
    assert found == {"a": "MinimumAge", "b": "MinimumAge", "c": "MinimumAge", "d": "-Expired", "e": "KeepLast"}
    assert reasons(judged(one, rule(keep_last=1), minimum="0s"))["a"] == "-Expired"


def test_the_first_rule_that_matches_decides_and_without_one_all_is_kept() -> None:
    one = repository({"v1": ("a", 50)}, loose={"untagged": 50})
    assert reasons(judged(one, rule(repositories=["shop/*"]), rule(keep_tags=["."]))) == {"v1": "-Expired"}
    unmatched = judged(one, rule(repositories=["lib/*", "shop"]))
    assert reasons(unmatched) == {"v1": "NoRule"}
    assert unmatched.kept == {raw("a"), raw("untagged")}


def test_without_any_rule_tags_stay_and_what_no_tag_needs_goes() -> None:
    nodes = {"index": Node(children=(raw("child"),))}
    loose: dict[str, float | None] = {"child": 50, "untagged": 50, "pinned": 50, "fresh": 0.5}
    one = repository({"v1": ("index", 50)}, nodes, loose)
    found = judged(one, uses=(use(of="pinned"),))
    assert reasons(found) == {"v1": "NoRule"}
    assert found.kept == {raw("index"), raw("child"), raw("pinned"), raw("fresh")}


def test_a_tag_may_go_though_another_keeps_what_it_stands_for() -> None:
    found = judged(repository({"v1": ("a", 50), "old": ("a", 60)}), rule(keep_tags=["^v"]))
    assert reasons(found) == {"v1": "KeepTags", "old": "-SharedDigest"}
    assert found.kept == {raw("a")}


NODES = {
    "index": Node(children=(raw("amd"), raw("arm"))),
    "amd": Node(config=raw("amd-config"), blobs=(raw("amd-config"), raw("layer"))),
    "arm": Node(config=raw("arm-config"), blobs=(raw("arm-config"), raw("layer"))),
}
LOOSE: dict[str, float | None] = {"amd": 50, "arm": 50}


@pytest.mark.parametrize("seen", ["index", "amd", "arm-config"])
def test_an_image_in_use_keeps_its_index_and_all_children_whichever_digest_a_node_shows(seen: str) -> None:
    one = repository({"v1": ("index", 50)}, NODES, LOOSE)
    found = judged(one, rule(), uses=(use(of=seen),))
    assert reasons(found) == {"v1": "InUse"}
    assert found.kept == {raw("index"), raw("amd"), raw("arm")}


def test_a_use_counts_in_its_repository_and_without_one_everywhere() -> None:
    one = repository({"v1": ("index", 50)}, NODES, LOOSE)
    assert reasons(judged(one, rule(), uses=(use(of="index", where="lib/web"),))) == {"v1": "-Expired"}
    assert reasons(judged(one, rule(), uses=(use(of="index", where=""),))) == {"v1": "InUse"}
    assert judged(one, rule(), uses=(use("gone"), use(of="nowhere"))).kept == frozenset()
    assert reasons(judged(one, rule(keep_in_use=False), uses=(use(of="index"), use("v1")))) == {"v1": "-Expired"}


def test_referrers_stay_with_what_they_are_about_and_go_with_it() -> None:
    nodes = {"sbom": Node(subject=raw("a")), "signed": Node(subject=raw("sbom")), "other": Node(subject=raw("b"))}
    one = repository({"v1": ("a", 50), "w1": ("b", 50)}, nodes, {"sbom": 50, "signed": 50, "other": 50})
    assert judged(one, rule(keep_tags=["^v"])).kept == {raw("a"), raw("sbom"), raw("signed")}


def test_referrer_tags_follow_and_take_no_place_among_the_last() -> None:
    a, b = raw("a").hex(), raw("b").hex()
    tags: dict[str, tuple[str, float | None]] = {"v1": ("a", 50), "w1": ("b", 60)}
    tags |= {f"sha256-{a}": ("fallback", 2), f"sha256-{a}.sig": ("sig", 3), f"sha256-{b}.att": ("att", 4)}
    nodes = {"fallback": Node(children=(raw("sbom"),))}
    found = judged(repository(tags, nodes, {"sbom": 50}), rule(keep_last=1, keep_younger_than="240h"))
    assert reasons(found) == {
        "v1": "KeepLast",
        "w1": "-Expired",
        f"sha256-{a}": "Referrer",
        f"sha256-{a}.sig": "Referrer",
        f"sha256-{b}.att": "-Referrer",
    }
    assert found.kept == {raw(name) for name in ("a", "fallback", "sbom", "sig")}


def test_untagged_manifests_stay_where_the_rule_says_so_but_not_those_of_tags_that_go() -> None:
    one = repository({"v1": ("index", 50)}, NODES, LOOSE | {"loose": 50, "begun": 50}, gone=("begun",))
    found = judged(one, rule(keep_untagged=True))
    assert reasons(found) == {"v1": "-Expired"}
    assert found.kept == {raw("loose")}


def test_rings_of_references_end() -> None:
    nodes = {"a": Node(children=(raw("b"),), subject=raw("b")), "b": Node(children=(raw("a"),), subject=raw("a"))}
    one = repository({"v1": ("a", 50)}, nodes, {"b": 50})
    assert judged(one, rule(keep_tags=["v"], keep_untagged=True), uses=(use(of="b"),)).kept == {raw("a"), raw("b")}


def test_verdicts_are_in_order_and_a_pattern_that_is_none_is_named() -> None:
    two = {"b": repository({"2": ("a", 9), "1": ("b", 9)}), "a": repository({"3": ("c", 9)})}
    found = judge(two, (), Collection(), (), NOW)
    assert [(verdict.repository, verdict.tag) for verdict in found] == [("a", "3"), ("b", "1"), ("b", "2")]
    with pytest.raises(Stalled, match=r"pattern '\('"):
        judge(two, (rule(keep_tags=["("]),), Collection(), (), NOW)


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("shop/*", ["shop/web"], ["shop", "shop/a/b", "xshop/web"]),
        ("shop/**", ["shop/web", "shop/a/b"], ["shop", "shop2/a"]),
        ("**", ["a", "a/b/c"], []),
        ("*", ["a"], ["a/b"]),
        ("t?p/x.y", ["top/x.y"], ["toop/x.y", "top/xzy", "t/p/x.y"]),
        ("**/web", ["shop/web", "a/b/web"], ["web"]),
        ("a***b", ["ab", "a/x/b"], ["a/x"]),
    ],
)
def test_globs(glob: str, yes: list[str], no: list[str]) -> None:
    compiled = compile_glob(glob)
    assert [name for name in yes + no if compiled.is_whole(name.encode())] == yes


def test_many_stars_cost_no_time() -> None:
    began = datetime.now(UTC)
    assert not compile_glob("*a" * 60 + "b").is_whole(b"a" * 250)
    assert datetime.now(UTC) - began < timedelta(seconds=1)


def test_signatures_in_a_repository_of_their_own_follow_images_of_another() -> None:
    about = {name: f"sha256-{raw(name).hex()}.sig" for name in ("kept", "gone", "nowhere")}
    sigs = repository({about[name]: (f"sig of {name}", 50) for name in about})
    web = repository({"v1": ("kept", 50), "old": ("gone", 60)})
    found = judge_all({"sigs": sigs, NAME: web}, [rule(keep_tags=["^v"])], Collection(), (), NOW)
    assert reasons(found["sigs"]) == {
        about["kept"]: "Referrer",
        about["gone"]: "-Referrer",
        about["nowhere"]: "-Referrer",
    }
    assert found["sigs"].kept == {raw("sig of kept")}
