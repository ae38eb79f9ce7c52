"""Fixed points: chains are refused, exceptions are not, and what is accepted rewrites nothing twice."""

from __future__ import annotations

import re
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.decide.rulebook_samples import POD, book, cluster, container, image_of, local, named, rule, table

from pawl.api.imageoverride import Override
from pawl.api.imageoverride_spec import WorkloadKind
from pawl.api.reasons import Reason
from pawl.decide.objects import ImageAt
from pawl.decide.rulebook import Rulebook
from pawl.decide.rulebook_drafts import author_of
from pawl.decide.tables import CompiledTable, Subject, rewrite_image

ALONE: tuple[tuple[str, list[Any], bool], ...] = (
    ("no chain", [("docker.io", "r.corp"), ("quay.io", "r.corp/quay")], True),
    ("a chain", [("docker.io", "r.corp"), ("r.corp", "s.corp")], False),
    ("a cycle", [("docker.io", "r.corp"), ("r.corp", "docker.io")], False),
    ("a chain below the target", [("docker.io", "r.corp"), ("r.corp/rook", "s.corp/rook")], False),
    (
        "a chain that a source of its own avoids",
        [("quay.io", "r.corp"), ("quay.io/a", "z.x/a"), ("r.corp/a", "y.x")],
        True,
    ),
    ("a chain above the target", [("docker.io", "r.corp/hub"), ("r.corp", "s.corp")], False),
    (
        "an exception on the way",
        [("docker.io", "r.corp/hub"), ("r.corp", "s.corp"), ("r.corp/hub", "r.corp/hub")],
        True,
    ),
    ("a target below its source", [("r.corp", "r.corp/mirror")], False),
    ("with an exception", [("r.corp", "r.corp/mirror"), ("r.corp/mirror", "r.corp/mirror")], True),
    ("a rule onto itself", [("docker.io", "docker.io")], True),
    ("a tag onto itself", [("docker.io/a", {"tag": "v1"})], True),
    ("two tags", [("docker.io/a", {"repository": "r.corp/a", "tag": "v1"}), ("r.corp/a", {"tag": "v2"})], False),
    ("one tag twice", [("docker.io/a", {"repository": "r.corp/a", "tag": "v1"}), ("r.corp/a", {"tag": "v1"})], True),
    ("a tag put onto a copy", [("docker.io/a", "r.corp/a"), ("r.corp/a", {"tag": "v1"})], False),
    ("a wildcard that matches its target", [("*.corp", "mirror.corp/x")], False),
    ("a wildcard onto its host", [("*.corp", "mirror.corp")], True),
    ("a wildcard with an exception", [("*.corp", "mirror.corp/x"), ("mirror.corp/x", "mirror.corp/x")], True),
    ("a wildcard with a tag", [("*.corp", {"repository": "mirror.corp", "tag": "v1"})], True),
    ("a target below a wildcard", [("docker.io", "a.corp"), ("*.corp", "mirror.io")], False),
    ("a target below a wildcard with a port", [("docker.io", "a.corp:5000"), ("*.corp", "mirror.io")], False),
    ("a shorter wildcard", [("*.a.corp", "x.b.corp"), ("*.corp", "mirror.io")], False),
    ("official images by the host", [("quay.io", "docker.io"), ("docker.io/library", "r.corp/lib")], False),
    ("one official image", [("quay.io", "docker.io"), ("docker.io/library/nginx", "r.corp/nginx")], False),
    ("an official image by its short name", [("quay.io/n", "docker.io/nginx"), ("docker.io/library", "r.io")], False),
    ("another port", [("docker.io", "r.corp:5000"), ("r.corp", "s.corp")], True),
    ("containers apart", [rule("docker.io", "r.io", containers=["a"]), rule("r.io", "s.io", containers=["b"])], True),
    (
        "containers that meet",
        [rule("docker.io", "r.io", containers=["a*"]), rule("r.io", "s.io", containers=["*b"])],
        False,
    ),
    (
        "an exception for the same containers",
        [rule("docker.io", "r.io", containers=["a"]), rule("r.io", "r.io", containers=["a"]), rule("r.io", "s.io")],
        True,
    ),
    (
        "an exception for other containers",
        [rule("docker.io", "r.io"), rule("r.io", "r.io", containers=["a"]), rule("r.io", "s.io", containers=["*"])],
        False,
    ),
)


@pytest.mark.parametrize(("title", "rules", "accepted"), ALONE, ids=[row[0] for row in ALONE])
def test_rules_of_one_override(title: str, rules: list[Any], accepted: object) -> None:
    del title
    for order in (rules, rules[::-1]) if len(rules) < 3 or accepted is False else (rules,):
        refusal = book(cluster("o", order)).judged["o"].refusal
        assert (refusal is None) == accepted
        assert refusal is None or refusal.reason is Reason.NOT_IDEMPOTENT


def test_the_sentence_shows_the_chain_and_the_way_out() -> None:
    refusal = book(cluster("o", [("docker.io/a", "r.corp/a"), ("r.corp", "s.corp")])).judged["o"].refusal
    assert refusal is not None
    assert refusal.message == (
        "rule 0 of o turns docker.io/a/image into r.corp/a/image, and rule 1 of o that into s.corp/a/image; "
        "rewriting twice must change nothing: let the first name the end itself, "
        "or add a rule from r.corp/a onto itself"
    )


OLD, YOUNG = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
HUB, NEXT = [("docker.io", "r.corp")], [("r.corp", "s.corp")]


def selecting(**labels: str) -> dict[str, Any]:
    return {"namespaces": {"selector": {"matchLabels": labels}}}


BETWEEN: tuple[tuple[str, list[Override], set[str]], ...] = (
    ("the younger", [cluster("a", HUB, created=YOUNG), cluster("b", NEXT, created=OLD)], {"a"}),
    ("the later by name", [cluster("a", HUB), cluster("b", NEXT)], {"b"}),
    (
        "the one that is not mandatory",
        [cluster("a", HUB, created=OLD), cluster("b", NEXT, YOUNG, mandatory=True)],
        {"a"},
    ),
    ("the namespaced one, also if it is older", [local("shop", "a", NEXT, OLD), cluster("b", HUB, YOUNG)], {"shop/a"}),
    ("none in namespaces apart", [local("shop", "a", HUB), local("other", "b", NEXT)], set()),
    (
        "none for kinds apart",
        [cluster("a", HUB, workloads={"kinds": ["Job"]}), cluster("b", NEXT, workloads={"kinds": ["Pod"]})],
        set(),
    ),
    (
        "jobs of cronjobs",
        [cluster("a", HUB, workloads={"kinds": ["Job"]}), cluster("b", NEXT, workloads={"kinds": ["CronJob"]})],
        {"b"},
    ),
    (
        "none for selectors apart",
        [cluster("a", HUB, **selecting(t="1")), cluster("b", NEXT, **selecting(t="2"))],
        set(),
    ),
    ("selectors that may meet", [cluster("a", HUB, **selecting(t="1")), cluster("b", NEXT, **selecting(u="2"))], {"b"}),
    (
        "none in a namespace that is not selected",
        [cluster("a", HUB, **selecting(t="1")), local("shop", "b", NEXT)],
        set(),
    ),
    (
        "none with an exception that holds there",
        [
            cluster("a", HUB),
            cluster("b", NEXT, **selecting(t="1")),
            cluster("0", [("r.corp", "r.corp")], **selecting(t="1"), priority=1),
        ],
        set(),
    ),
    (
        "an exception that does not hold there",
        [cluster("a", HUB), cluster("b", NEXT), cluster("0", [("r.corp", "r.corp")], **selecting(t="1"), priority=1)],
        {"b"},
    ),
    (
        "none where the namespace has the exception",
        [
            cluster("a", HUB),
            local("shop", "b", NEXT, YOUNG),
            local("shop", "c", [("r.corp", "r.corp")], OLD, priority=1),
        ],
        set(),
    ),
    ("a short name", [cluster("a", [("q.io/n", "docker.io/n")]), cluster("b", [("docker.io/library", "r.io")])], {"b"}),
    ("a chain of its own", [cluster("0", [("r.corp", "r.corp")], priority=1), cluster("b", [*HUB, *NEXT])], {"b"}),
    ("a wildcard above the target", [cluster("a", HUB), cluster("b", [("*.corp", "s.io")])], {"b"}),
    ("a source above the target", [cluster("a", [("docker.io", "r.corp/hub")]), cluster("b", NEXT)], {"b"}),
    (
        "none where the exception is for this namespace",
        [
            cluster("a", HUB),
            local("shop", "b", NEXT),
            cluster("0", [("r.corp", "r.corp")], priority=1, **selecting(**{"kubernetes.io/metadata.name": "shop"})),
        ],
        set(),
    ),
    (
        "the one in the middle of three",
        [cluster("a", HUB), cluster("b", NEXT), cluster("c", [("s.corp", "t.corp")])],
        {"b"},
    ),
)


@pytest.mark.parametrize(("title", "overrides", "refused"), BETWEEN, ids=[row[0] for row in BETWEEN])
def test_of_two_overrides_that_make_a_chain_one_is_refused(
    title: str, overrides: list[Override], refused: set[str]
) -> None:
    del title
    for order in permutations(overrides):
        held = book(*order, namespaces=[named("shop"), named("other")])
        assert {key for key, one in held.judged.items() if one.refusal is not None} == refused


def test_an_override_that_is_refused_leaves_the_other_in_force() -> None:
    held = book(cluster("a", HUB), cluster("b", [*NEXT, ("quay.io", "q.corp")]))
    assert image_of(held, "nginx") == "r.corp/library/nginx"
    assert image_of(held, "quay.io/a") == "quay.io/a"


# What may be made of these words meets often: few hosts, few paths, wildcards above the hosts.
HOSTS = ["docker.io", "a.x", "b.x", "a.x:5000", "c.a.x"]
PATHS = ["", "/p", "/p/q", "/library", "/library/n", "/n"]
places = st.builds(lambda host, path: host + path, st.sampled_from(HOSTS), st.sampled_from(PATHS))
sources = places | st.sampled_from(["*.x", "*.a.x", "*.io"])
suffixes = st.sampled_from([{}, {}, {}, {"tag": "v1"}, {"tag": "v2"}, {"digest": "sha256:" + "c" * 64}])
targets = st.builds(lambda place, more: {"repository": place, **more}, places, suffixes)
containers = st.sampled_from([["*"], ["*"], ["a"], ["b*"], ["?b", "a"]])
rules = st.builds(lambda source, target, names: rule(source, target, containers=names), sources, targets, containers)
workloads = st.sampled_from(
    [{}, {}, {"kinds": ["Job"]}, {"kinds": ["CronJob", "Pod"]}, {"selector": {"matchLabels": {"t": "1"}}}]
)
specs = st.fixed_dictionaries({"workloads": workloads, "priority": st.integers(0, 1)})
listed = st.lists(rules, min_size=1, max_size=3)
times = st.sampled_from([OLD, YOUNG])
cluster_wide = st.builds(
    lambda rules, created, spec, where, must: ("", rules, created, {**spec, **where, "mandatory": must}),
    listed,
    times,
    specs,
    st.sampled_from([{}, {}, selecting(s="1")]),
    st.booleans(),
)
namespaced = st.builds(lambda rules, created, spec: ("shop", rules, created, spec), listed, times, specs)


def made(drawn: list[tuple[str, list[Any], str, dict[str, Any]]]) -> list[Override]:
    return [
        local(namespace, f"o{index}", rules, created, **spec)
        if namespace
        else cluster(f"o{index}", rules, created, **spec)
        for index, (namespace, rules, created, spec) in enumerate(drawn)
    ]


overrides = st.lists(cluster_wide | namespaced, min_size=1, max_size=4).map(made)
tails = st.sampled_from(["", ":v1", ":v3", "@sha256:" + "c" * 64, ":v1@sha256:" + "d" * 64])
images = st.builds(
    lambda host, path, deeper, tail: f"{host}{path}{deeper}{tail}",
    st.sampled_from([*HOSTS, "z.x", "z.a.x:1"]),
    st.sampled_from([*PATHS[1:], "/z"]),
    st.sampled_from(["", "", "/n", "/z/z"]),
    tails,
)
subjects = st.builds(
    Subject,
    st.sampled_from([WorkloadKind.JOB, WorkloadKind.CRON_JOB, WorkloadKind.POD]),
    st.sampled_from([{}, {"t": "1"}]),
)
at = st.builds(
    ImageAt, st.sampled_from(["containers", "volumes"]), st.sampled_from(["a", "b", "bb", "xb", "c"]), images
)
NAMESPACES = [named("shop"), named("stage", s="1"), named("plain")]


def tables(held: Rulebook) -> list[CompiledTable]:
    found = [held.table(row.name) for row in NAMESPACES]
    return [CompiledTable.of(one) for one in found if one is not None]


@settings(max_examples=400, deadline=None)
@given(overrides, st.lists(st.tuples(subjects, at), min_size=8, max_size=24))
def test_accepted_rules_rewrite_nothing_twice(written: list[Override], asked: list[tuple[Subject, ImageAt]]) -> None:
    held = book(*written, namespaces=NAMESPACES)
    for compiled in tables(held):
        for subject, place in asked:
            once = rewrite_image(compiled, subject, place).image
            again = rewrite_image(compiled, subject, ImageAt(place.group, place.name, once)).image
            assert again == once


@settings(max_examples=200, deadline=None)
@given(overrides)
def test_the_order_of_the_input_decides_nothing(written: list[Override]) -> None:
    one, other = (book(*order, namespaces=NAMESPACES) for order in (written, written[::-1]))
    assert (one.cluster, one.namespaces, one.judged) == (other.cluster, other.namespaces, other.judged)


plain = st.lists(st.tuples(sources, targets), min_size=1, max_size=4)


@settings(max_examples=300, deadline=None)
@given(plain)
def test_rules_without_conditions_are_refused_only_for_an_image_that_shows_it(pairs: list[tuple[str, Any]]) -> None:
    refusal = book(cluster("o", pairs)).judged["o"].refusal
    if refusal is None:
        return
    shown = re.search(r"turns (\S+) into", refusal.message)
    assert shown is not None
    # A tag that the chain changes shows with an image that has another one.
    assert any(_twice(_every_rule(pairs), shown[1] + tail) for tail in ("", ":v9"))


def _every_rule(pairs: list[tuple[str, Any]]) -> CompiledTable:
    """The table of rules that no book would hold together: each alone in a book of its own, then put together."""
    entries: dict[str, list[Any]] = {}
    for index, (source, target) in enumerate(pairs):
        (draft,) = author_of(cluster(f"o{index}", [(source, target)]), {}).drafts
        entries.setdefault(draft.source, []).append(draft.entry)
    return table(entries)


def _twice(compiled: CompiledTable, image: str) -> bool:
    once = rewrite_image(compiled, POD, container(image)).image
    return rewrite_image(compiled, POD, container(once)).image != once
