"""Label selectors: each operator, and whether comparisons may hold together, against all small worlds."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.api.imageoverride_spec import LabelSelector, Operator, Requirement
from pawl.decide.selectors import holds, may_hold_together, requirements, selects


def needs(key: str, operator: str, *values: str) -> Requirement:
    return Requirement(key=key, operator=Operator(operator), values=list(values))


@pytest.mark.parametrize(
    ("requirement", "worlds"),
    [
        (needs("a", "In", "1"), "1"),
        (needs("a", "In"), ""),
        (needs("a", "NotIn", "1"), "-2"),
        (needs("a", "NotIn"), "-12"),
        (needs("a", "Exists", "1"), "12"),
        (needs("a", "DoesNotExist"), "-"),
    ],
)
def test_operators_hold_without_the_label_and_with_its_values(requirement: Requirement, worlds: str) -> None:
    labels: dict[str, dict[str, str]] = {"-": {}, "1": {"a": "1"}, "2": {"a": "2"}}
    assert "".join(name for name, world in labels.items() if holds(requirement, world)) == worlds


def selector(**spec: Any) -> LabelSelector:
    return LabelSelector.model_validate(spec)


def test_a_selector_says_all_or_nothing() -> None:
    both = selector(matchLabels={"b": "2", "a": "1"}, matchExpressions=[{"key": "c", "operator": "Exists"}])
    assert selects(both, {"a": "1", "b": "2", "c": ""})
    assert not selects(both, {"a": "1", "b": "2"})
    assert not selects(both, {"a": "1", "b": "3", "c": ""})
    assert selects(selector(), {})
    assert [one.key for one in requirements(both)] == ["a", "b", "c"]


some = st.builds(
    lambda key, operator, values: needs(key, operator, *values),
    st.sampled_from("ab"),
    st.sampled_from([operator.value for operator in Operator]),
    st.lists(st.sampled_from("12"), max_size=2),
)
WORLDS = [
    {key: value for key, value in zip("ab", values, strict=True) if value is not None}
    for values in product([None, "1", "2", "3"], repeat=2)
]


@given(st.lists(some, max_size=5))
def test_comparisons_hold_together_where_some_world_satisfies_them(needed: list[Requirement]) -> None:
    assert may_hold_together(needed) == any(all(holds(one, world) for one in needed) for world in WORLDS)


@given(st.lists(some, max_size=4), st.sampled_from(WORLDS))
def test_a_selector_is_its_comparisons(needed: list[Requirement], world: dict[str, str]) -> None:
    chosen = LabelSelector(match_labels={"a": "1"}, match_expressions=needed)
    assert selects(chosen, world) == all(holds(one, world) for one in requirements(chosen))
