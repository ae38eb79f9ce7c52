"""What counts as the same object, trial Pods, and which table holds in a namespace."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cluster.gate_pods import table

from pawl.admission.install import covers
from pawl.admission.probes import probe_pod, said
from pawl.admission.webhookconfig import Endpoint
from pawl.api.imagerules import Table
from pawl.decide.places import pod_spec, replaced
from pawl.decide.tables import CompiledTable

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_everything_covers_itself(value: Any) -> None:
    assert covers(value, value)


@pytest.mark.parametrize(
    ("stored", "wanted", "same"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": {"b": 1, "c": 1}}, {"a": {"b": 1}}, True),
        ([1, 2], [1], False),
        ([1, 2], [2, 1], False),
        ([{"a": 1, "default": 1}], [{"a": 1}], True),
        ("a", ["a"], False),
        (None, {}, False),
        ({}, {"a": 1}, False),
    ],
)
def test_what_the_server_adds_is_no_difference(stored: Any, wanted: Any, same: bool) -> None:  # noqa: FBT001
    assert covers(stored, wanted) is same


def entry(**fields: Any) -> dict[str, Any]:
    return {"to": "m.zone/x", "override": "o", "rule": 0, **fields}


@pytest.mark.parametrize(
    "source", ["docker.io", "docker.io/library/nginx", "quay.io/rook", "r:5000", "[::1]:5000", "FOO", "*.example.com"]
)
@pytest.mark.parametrize("layer", ["rules", "mandatory"])
def test_a_trial_pod_is_one_that_changes(source: str, layer: str) -> None:
    compiled_of = Table.model_validate({layer: {source: [entry()]}})
    probe = probe_pod(compiled_of, CompiledTable.of(compiled_of))
    assert probe is not None
    sent = [place.image for place in pod_spec(probe.manifest).images]
    assert sent != list(probe.expected)
    assert said(probe, probe.manifest) is not None


@pytest.mark.parametrize("fields", [{"pods": False}, {"containers": "app"}, {"kinds": ["Job"]}], ids=str)
def test_a_table_without_work_for_it_has_no_trial(fields: dict[str, Any]) -> None:
    found = Table.model_validate({"rules": {"docker.io": [entry(**fields)]}})
    assert probe_pod(found, CompiledTable.of(found)) is None


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9))
def test_a_trial_that_comes_back_as_expected_is_good_and_no_other(seed: int) -> None:
    found = table(Random(seed))
    probe = probe_pod(found, CompiledTable.of(found))
    if probe is None:
        return
    pods = {("spec", "containers", index, "image"): image for index, image in enumerate(probe.expected)}
    secrets = {("spec", "imagePullSecrets"): [{"name": name} for name in probe.secrets]}
    assert said(probe, replaced(probe.manifest, {**pods, **secrets})) is None
    assert said(probe, probe.manifest) is not None
    if probe.secrets:
        assert said(probe, replaced(probe.manifest, pods)) is not None


@pytest.mark.parametrize(
    ("place", "key"), [("https://127.0.0.1:9443/", "url"), ("https://h", "url"), ("pawl", "service")]
)
def test_an_endpoint_is_a_url_or_a_service(place: str, key: str) -> None:
    config = Endpoint(place).client_config("own")
    assert set(config) == {key}
    assert "/mutate" in str(config)
    assert "//mutate" not in str(config)
