"""The health check of Argo CD on every fixture, as Argo CD runs it, and held against kstatus."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lupa import lua51
from tests.gitops.argolua import CLOSED, GROUP, health, run
from tests.gitops.fixtures import EXPECTED, HOME, load
from tests.gitops.forms import ACTIONS
from tests.gitops.kstatus import KStatus, kstatus

from pawl.api.reasons import ConditionType

Json = dict[str, Any]

ALLOWED = {
    KStatus.CURRENT: {"Healthy", "Suspended"},
    KStatus.FAILED: {"Degraded"},
    KStatus.IN_PROGRESS: {"Progressing", "Suspended", "Degraded"},
    KStatus.TERMINATING: {"Progressing"},
}
"""What Argo CD may make of each word of kstatus: it has more words for what is in progress."""


def argos_own() -> dict[str, Json]:
    """The entries of health_test.yaml by their fixture."""
    entries = yaml.safe_load((GROUP / "_/health_test.yaml").read_text())["tests"]
    return {entry["inputPath"].removeprefix("testdata/").removesuffix(".yaml"): entry for entry in entries}


@pytest.mark.parametrize("stem", EXPECTED)
def test_health_is_what_is_expected(stem: str) -> None:
    assert health(load(stem))["status"] == EXPECTED[stem].argo


@pytest.mark.parametrize(("stem", "entry"), argos_own().items(), ids=str)
def test_the_tests_in_argos_own_form_hold(stem: str, entry: Json) -> None:
    assert health(load(stem)) == entry["healthStatus"]


def test_every_fixture_is_expected_and_tested_in_argos_own_form() -> None:
    assert set(EXPECTED) == {path.stem for path in HOME.iterdir()} == set(argos_own())


@pytest.mark.parametrize("kind", ACTIONS)
def test_each_kind_has_each_state(kind: str) -> None:
    """Missing and Unknown are Argo CD's own: for what is not there, and for a script that fails."""
    found = {EXPECTED[stem].argo for stem in EXPECTED if load(stem)["kind"] == kind}
    assert found == {"Healthy", "Progressing", "Degraded", "Suspended"}


@pytest.mark.parametrize("stem", EXPECTED)
def test_argo_and_kstatus_agree(stem: str) -> None:
    obj = load(stem)
    assert kstatus(obj).value == EXPECTED[stem].kstatus
    assert health(obj)["status"] in ALLOWED[kstatus(obj)]


@pytest.mark.parametrize("stem", EXPECTED)
def test_an_edit_makes_it_progress_until_it_is_seen(stem: str) -> None:
    obj = load(stem)
    obj["metadata"]["generation"] += 1
    assert health(obj)["status"] == "Progressing"
    assert kstatus(obj) is KStatus.IN_PROGRESS


@pytest.mark.parametrize("stem", EXPECTED)
def test_what_goes_progresses(stem: str) -> None:
    obj = load(stem)
    obj["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
    assert health(obj)["status"] == "Progressing"


@pytest.mark.parametrize("kind", ["ImageRules", "ClusterImageRules"])
def test_a_table_is_healthy(kind: str) -> None:
    assert health({"kind": kind, "metadata": {"name": "pawl", "generation": 7}})["status"] == "Healthy"


def test_an_object_without_a_status_progresses() -> None:
    assert health({"kind": "ImagePolicy", "metadata": {"name": "web", "generation": 1}})["status"] == "Progressing"


def test_what_holds_is_told_with_what_is_ready() -> None:
    """Ready is True, and still somebody should read that the spec no longer admits what is selected."""
    message = health(load("imagepolicy-below-high-water"))["message"]
    assert "v2.0.0" in message
    assert "; BelowHighWater: " in message
    assert ";" not in health(load("imagepolicy-selected"))["message"]


def test_good_news_of_a_registry_is_not_told() -> None:
    assert ";" not in health(load("registrystorage-serving"))["message"]


@pytest.mark.parametrize(
    ("stem", "told"),
    [
        ("registrystorage-not-proved", "PullProved"),
        ("registrystorage-cannot-expand", "Pressure"),
        ("registrystorage-cap-exceeded", "Collected"),
        ("registrystorage-dry-run", "Collected"),
        ("registrystorage-holding", "Migrated"),
    ],
)
def test_what_a_person_should_know_of_a_registry_that_serves_is_told(stem: str, told: str) -> None:
    assert f"; {told}: " in health(load(stem))["message"]


STATUS = st.sampled_from(["True", "False", "Unknown"])
TYPES = [kind.value for kind in ConditionType]


@st.composite
def objects(draw: st.DrawFn) -> Json:
    """Any status that the schema takes: conditions in any order, Ready among them or not."""
    kinds = draw(st.lists(st.sampled_from(TYPES), unique=True))
    reasons = st.sampled_from(["Selected", "Suspended", "ApprovalRequired", "Mismatch", "WindowClosed", "Paused"])
    conditions = [{"type": kind, "status": draw(STATUS), "reason": draw(reasons), "message": kind} for kind in kinds]
    observed = draw(st.sampled_from([-1, 3, 4]))
    return {
        "kind": draw(st.sampled_from(["ImagePolicy", "ImageOverride", "RegistryStorage"])),
        "metadata": {"generation": 4},
        "status": {"observedGeneration": observed, "conditions": conditions},
    }


def only_reconciling_or_stalled(obj: Json) -> Json:
    """Pawl never writes both; where both stand, kstatus takes the first of the list."""
    true = {one["type"] for one in obj["status"]["conditions"] if one["status"] == "True"}
    if {"Reconciling", "Stalled"} <= true:
        obj["status"]["conditions"] = [one for one in obj["status"]["conditions"] if one["type"] != "Stalled"]
    return obj


def has_ready(obj: Json) -> bool:
    return any(one["type"] == "Ready" for one in obj["status"]["conditions"])


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # a busy machine is no finding
@given(objects().filter(has_ready).map(only_reconciling_or_stalled))
def test_no_status_that_has_ready_makes_them_disagree(obj: Json) -> None:
    found = health(copy.deepcopy(obj))
    assert found["status"] in ALLOWED[kstatus(obj)]
    assert isinstance(found["message"], str)


@pytest.mark.parametrize("name", [*CLOSED, "now", "require('string')"])
def test_the_interpreter_has_no_more_than_argos(name: str) -> None:
    script = f"return {{ found = type({name}) }}"
    if name.startswith("require"):
        with pytest.raises(lua51.LuaError):
            run(script, {})
    else:
        assert run(script, {}) == {"found": "nil"}


def test_strings_have_no_methods() -> None:
    with pytest.raises(lua51.LuaError):
        run("return { upper = ('a'):upper() }", {})
