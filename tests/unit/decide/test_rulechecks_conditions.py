"""Conditions compared: globs against all short names, meeting and following against all small worlds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.api.imageoverride_spec import Operator, Requirement, WorkloadKind
from pawl.decide.patterns import compile_pattern
from pawl.decide.rulechecks_comparisons import Comparisons
from pawl.decide.rulechecks_conditions import Terms, compile_globs, glob_pattern, globs_overlap
from pawl.decide.selectors import holds


def may_meet(one: Terms, other: Terms) -> bool:
    return Comparisons().may_meet(one, other)


def follows(third: Terms, one: Terms, other: Terms) -> bool:
    return Comparisons().follows(third, one, other)


NAMES = ["".join(letters) for length in range(5) for letters in product("ab", repeat=length)]
globs = st.text("ab*?", min_size=1, max_size=4)


@given(globs, globs)
def test_globs_overlap_where_one_name_is_under_both(one: str, other: str) -> None:
    # Four characters without a star stand for at most four; with stars a common name of at most seven exists.
    names = ["".join(letters) for length in range(8) for letters in product("ab", repeat=length)]
    assert globs_overlap(one, other) == any(fnmatchcase(name, one) and fnmatchcase(name, other) for name in names)


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("*", "a", True),
        ("a*", "*b", True),
        ("a*c", "ab*", True),
        ("web-?", "web-*", True),
        ("web-?", "web-", False),
        ("a*", "b*", False),
        ("", "*", True),
        ("a", "a*a", False),
        ("*a*b*", "b?a", False),
    ],
)
def test_globs_that_meet(one: str, other: str, meet: object) -> None:
    assert globs_overlap(one, other) == meet
    assert globs_overlap(other, one) == meet


@given(st.lists(globs, min_size=1, max_size=3), st.sampled_from(NAMES))
def test_the_pattern_of_globs_matches_what_one_of_them_matches(some: list[str], name: str) -> None:
    pattern = compile_pattern(glob_pattern(some), capture=False)
    assert pattern.is_whole(name.encode()) == any(fnmatchcase(name, glob) for glob in some)


def test_the_longest_globs_fit_the_field_of_the_table() -> None:
    assert len(glob_pattern(["*" * 63] * 16)) <= 2048
    compile_globs(["a" * 63] * 16)
    compile_globs(None)


@dataclass(frozen=True)
class World:
    """One image of one Pod: a container name, or None for an image volume."""

    name: str | None
    kind: WorkloadKind
    label: str | None
    namespace: str | None


KINDS = (WorkloadKind.JOB, WorkloadKind.CRON_JOB, WorkloadKind.POD, WorkloadKind.DEPLOYMENT)


def worlds() -> Iterator[World]:
    for name, kind, label, namespace in product((None, *NAMES), KINDS, (None, "1", "2", "0"), (None, "1", "2", "0")):
        yield World(name, kind, label, namespace)


WORLDS = tuple(worlds())


def covers(terms: Terms, world: World) -> bool:
    if terms.globs is not None and (world.name is None or not any(fnmatchcase(world.name, one) for one in terms.globs)):
        return False
    if terms.kinds is not None and world.kind not in terms.kinds:
        return False
    labels = {} if world.label is None else {"t": world.label}
    where = {} if world.namespace is None else {"t": world.namespace}
    return all(holds(one, labels) for one in terms.labels) and all(holds(one, where) for one in terms.where)


short = st.text("ab*?", min_size=1, max_size=2)
needed = st.builds(
    lambda operator, values: Requirement(key="t", operator=operator, values=values),
    st.sampled_from(list(Operator)),
    st.lists(st.sampled_from("12"), min_size=1, max_size=2),
)
lists = st.lists(needed, max_size=1).map(tuple)
terms = st.builds(
    lambda names, kinds, labels, where: Terms(names, Terms.of(kinds).kinds, labels, where),
    st.none() | st.lists(short, min_size=1, max_size=2).map(tuple),
    st.lists(st.sampled_from(KINDS[:3]), max_size=2),
    lists,
    lists,
)


@given(terms, terms)
def test_terms_meet_where_some_world_is_under_both(one: Terms, other: Terms) -> None:
    assert may_meet(one, other) == any(covers(one, world) and covers(other, world) for world in WORLDS)
    assert may_meet(one, other) == may_meet(other, one)


@given(terms, terms, terms)
def test_what_follows_holds_in_every_world_of_both(third: Terms, one: Terms, other: Terms) -> None:
    if follows(third, one, other):
        assert all(covers(third, world) for world in WORLDS if covers(one, world) and covers(other, world))


@given(terms)
def test_terms_follow_from_themselves_and_what_always_holds_from_anything(one: Terms) -> None:
    assert follows(one, one, Terms())
    assert follows(one, Terms(), one)
    assert follows(Terms(), one, one)
    assert Terms().always


def test_a_rule_for_jobs_meets_one_for_cronjobs_only_on_their_jobs() -> None:
    jobs, cron = Terms.of([WorkloadKind.JOB]), Terms.of([WorkloadKind.CRON_JOB])
    assert may_meet(jobs, cron)
    assert follows(jobs, cron, cron)
    assert not follows(cron, jobs, jobs)
