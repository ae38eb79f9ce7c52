"""What Flux makes of Pawl's statuses: kstatus by itself, and the expressions where somebody writes them down."""

from __future__ import annotations

from typing import Any

import cel
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from tests.gitops.argolua import ROOT
from tests.gitops.fixtures import EXPECTED, load
from tests.gitops.kstatus import KStatus, kstatus
from tests.gitops.test_argo_health import has_ready, objects, only_reconciling_or_stalled

Json = dict[str, Any]

FLUX = ROOT / "deploy/flux"
ENTRIES: list[Json] = yaml.safe_load((FLUX / "health-checks.yaml").read_text())["healthCheckExprs"]
ORDER = (("inProgress", KStatus.IN_PROGRESS), ("failed", KStatus.FAILED), ("current", KStatus.CURRENT))


def flux(obj: Json, entry: Json) -> KStatus:
    """As Flux evaluates: the generation, then the three expressions in this order; none true is in progress."""
    observed = obj.get("status", {}).get("observedGeneration")
    if observed is not None and observed != obj["metadata"]["generation"]:
        return KStatus.IN_PROGRESS
    said = (word for name, word in ORDER if cel.evaluate(entry[name], obj))
    return next(said, KStatus.IN_PROGRESS)


def entry_of(obj: Json) -> Json:
    (found,) = [entry for entry in ENTRIES if (entry["apiVersion"], entry["kind"]) == (obj["apiVersion"], obj["kind"])]
    return found


@pytest.mark.parametrize("stem", EXPECTED)
def test_the_expressions_say_what_kstatus_says(stem: str) -> None:
    obj = load(stem)
    assert flux(obj, entry_of(obj)) is kstatus(obj)
    assert kstatus(obj).value == EXPECTED[stem].kstatus


@pytest.mark.parametrize("stem", EXPECTED)
def test_an_edit_is_in_progress_for_both(stem: str) -> None:
    obj = load(stem)
    obj["metadata"]["generation"] += 1
    assert flux(obj, entry_of(obj)) is kstatus(obj) is KStatus.IN_PROGRESS


@pytest.mark.parametrize("stem", EXPECTED)
def test_what_goes_is_not_ready(stem: str) -> None:
    obj = load(stem)
    obj["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
    assert flux(obj, entry_of(obj)) is KStatus.IN_PROGRESS
    assert kstatus(obj) is KStatus.TERMINATING


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # a busy machine is no finding
@given(objects().filter(has_ready).map(only_reconciling_or_stalled))
def test_no_status_that_has_ready_makes_them_disagree(obj: Json) -> None:
    assert flux(obj, ENTRIES[0]) is kstatus(obj)


def test_a_status_without_ready_is_where_they_differ() -> None:
    """kstatus takes it for Current, the expressions wait. Pawl always writes Ready, and before it -1 as generation."""
    bare: Json = {"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": []}}
    assert kstatus(bare) is KStatus.CURRENT
    assert flux(bare, ENTRIES[0]) is KStatus.IN_PROGRESS
    assert kstatus(load("imagepolicy-new")) is kstatus(load("imageoverride-new")) is KStatus.IN_PROGRESS


def test_every_kind_with_a_status_has_an_entry() -> None:
    assert {entry["kind"] for entry in ENTRIES} == {load(stem)["kind"] for stem in EXPECTED}


def kustomizations() -> dict[str, Json]:
    found = yaml.safe_load_all((FLUX / "kustomizations.yaml").read_text())
    return {each["metadata"]["name"]: each for each in found if each["kind"] == "Kustomization"}


def ready(**changes: Any) -> Json:
    """The Kustomization `pawl` as Flux leaves it when it is Ready."""
    body = kustomizations()["pawl"]
    body["metadata"]["generation"] = 2
    body["status"] = {"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True"}]} | changes
    return body


def may_begin(dep: Json) -> bool:
    images = kustomizations()["images"]
    return bool(cel.evaluate(images["spec"]["dependsOn"][0]["readyExpr"], {"dep": dep, "self": images}))


def test_what_depends_begins_when_pawl_is_ready_in_the_same_revision() -> None:
    assert may_begin(ready())
    assert not may_begin(ready(observedGeneration=1))
    assert not may_begin(ready(conditions=[{"type": "Ready", "status": "False"}]))
    assert not may_begin(ready(conditions=[]))
    other = ready()
    other["metadata"]["labels"] = {"pawl.example.com/revision": "v0.0.9"}
    assert not may_begin(other)


def test_every_dependency_is_there_and_waits() -> None:
    """dependsOn means Ready, and without `wait` Ready means applied."""
    found = kustomizations()
    for one in found.values():
        for dependency in one["spec"].get("dependsOn", []):
            assert found[dependency["name"]]["spec"]["wait"] is True


@pytest.mark.parametrize("path", sorted(FLUX.glob("*.yaml")), ids=lambda path: path.name)
def test_every_file_is_yaml_without_anchors_left_over(path: Any) -> None:
    assert list(yaml.safe_load_all(path.read_text()))
