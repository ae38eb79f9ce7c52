"""Whether a live object is as wanted: what the API server adds is no difference, what somebody took away is one."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.api.quantities import quantity
from pawl.decide.subset import covers

WANTED: dict[str, Any] = {
    "metadata": {"labels": {"a": "1"}, "ownerReferences": [{"uid": "u", "kind": "RegistryStorage"}]},
    "spec": {
        "replicas": 2,
        "paused": False,
        "containers": [{"name": "x", "args": ["serve", "y"], "env": [{"name": "E", "value": "1"}]}],
        "resources": {"requests": {"cpu": "0.5", "storage": "1Gi"}},
        "ports": [{"port": 5000, "name": "registry"}],
        "tolerations": [{"operator": "Exists"}],
    },
}


def live() -> dict[str, Any]:
    found = copy.deepcopy(WANTED)
    del found["spec"]["paused"]
    found["metadata"]["labels"]["other"] = "2"
    found["metadata"]["ownerReferences"].insert(0, {"uid": "v"})
    found["spec"]["containers"][0]["terminationMessagePath"] = "/dev/termination-log"
    found["spec"]["containers"].insert(0, {"name": "sidecar"})
    found["spec"]["containers"][1]["env"].append({"name": "F"})
    found["spec"]["resources"]["requests"] = {"cpu": "500m", "storage": "1073741824"}
    found["spec"]["ports"][0] |= {"protocol": "TCP", "nodePort": 30000}
    return found


def test_what_others_add_is_no_difference() -> None:
    assert covers(live(), WANTED)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda o: o["metadata"]["labels"].pop("a"),
        lambda o: o["metadata"]["ownerReferences"].pop(),
        lambda o: o["spec"].update(replicas=1),
        lambda o: o["spec"].update(paused=True),
        lambda o: o["spec"]["containers"].pop(),
        lambda o: o["spec"]["containers"][1].update(args=["serve"]),
        lambda o: o["spec"]["containers"][1].update(args=["y", "serve"]),
        lambda o: o["spec"]["containers"][1]["env"][0].update(value="2"),
        lambda o: o["spec"]["resources"]["requests"].update(storage="2Gi"),
        lambda o: o["spec"]["ports"][0].update(port=5001),
        lambda o: o["spec"]["tolerations"].append({"key": "z"}),
        lambda o: o["spec"].update(containers="x"),
        lambda o: o.update(spec=None),
    ],
)
def test_every_change_is_seen(break_it: Any) -> None:
    found = live()
    break_it(found)
    assert not covers(found, WANTED)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=12,
)


@given(JSON)
def test_everything_covers_itself(value: Any) -> None:
    assert covers(value, value)


@given(st.dictionaries(st.sampled_from("abcd"), JSON), st.dictionaries(st.sampled_from("efgh"), JSON))
def test_more_fields_are_no_difference(wanted: Any, more: Any) -> None:
    assert covers(wanted | more, wanted)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1Gi", 2**30),
        ("1024Mi", 2**30),
        ("500m", "0.5"),
        ("1e3", 1000),
        ("1.5k", 1500),
        (".5", "0.5"),
        ("2E", 2 * 10**18),
    ],
)
def test_amounts(text: str, value: Any) -> None:
    assert quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "Gi", "1 Gi", "1gi", "1Gi ", "NaN", "inf", "1e9999", "0x1"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="no amount"):
        quantity(text)
