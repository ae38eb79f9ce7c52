"""The actions of Argo CD: which are offered when, what they write, and that the models and the operator take it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lupa import lua51
from tests.gitops.argolua import GROUP, act, discover
from tests.gitops.fixtures import EXPECTED, load
from tests.gitops.forms import ACTIONS, ENABLED, Act, acts, after, forms, offered, read

from pawl.api.imageoverride import ImageOverride
from pawl.api.imagepolicy import ImagePolicy
from pawl.api.meta import COLLECT_AT, REQUESTED_AT
from pawl.api.registrystorage import RegistryStorage

Json = dict[str, Any]

ACTED = [pytest.param(one, id=f"{one.name} {one.stem}") for one in acts()]
MODELS = {"ImagePolicy": ImagePolicy, "ImageOverride": ImageOverride, "RegistryStorage": RegistryStorage}


@pytest.mark.parametrize("path", forms(), ids=lambda path: str(path.relative_to(GROUP)))
def test_the_files_of_argos_own_tests_are_current(path: Path) -> None:
    assert read(path) == forms()[path]


@pytest.mark.parametrize("stem", EXPECTED)
def test_what_is_offered(stem: str) -> None:
    found = discover(load(stem))
    assert {name for name, entry in found.items() if not entry["disabled"]} == ENABLED[stem]
    assert found == {entry.pop("name"): entry for entry in offered(stem)}


@pytest.mark.parametrize("kind", ACTIONS)
def test_every_action_that_is_offered_has_a_script_and_no_other_has(kind: str) -> None:
    names = {path.parent.name for path in (GROUP / kind / "actions").glob("*/action.lua")}
    assert names == set(ACTIONS[kind])


@pytest.mark.parametrize("one", ACTED)
def test_an_action_writes_what_it_says_and_nothing_else(one: Act) -> None:
    assert one.name in ENABLED[one.stem]
    assert act(one.name, load(one.stem)) == after(one)


@pytest.mark.parametrize("one", ACTED)
def test_what_an_action_writes_is_a_valid_object(one: Act) -> None:
    done = act(one.name, load(one.stem))
    MODELS[done["kind"]].model_validate(done)


@pytest.mark.parametrize(
    ("stem", "name", "annotation"),
    [
        ("imagepolicy-selected", "reconcile", REQUESTED_AT),
        ("imageoverride-verified", "reconcile", REQUESTED_AT),
        ("registrystorage-serving", "reconcile", REQUESTED_AT),
        ("registrystorage-serving", "collect", COLLECT_AT),
    ],
)
def test_what_asks_for_something_now_writes_the_time(stem: str, name: str, annotation: str) -> None:
    obj = load(stem)
    obj["metadata"].pop("annotations", None)
    done = act(name, obj)
    annotations = done["metadata"].pop("annotations")
    assert list(annotations) == [annotation]
    asked = datetime.fromisoformat(annotations[annotation])
    assert abs(datetime.now(UTC) - asked) < timedelta(minutes=1)
    assert done == obj


def test_reconcile_keeps_other_annotations() -> None:
    obj = load("imagepolicy-pending")
    obj["metadata"]["annotations"] = {"mine": "stays", REQUESTED_AT: "before"}
    found = act("reconcile", obj)["metadata"]["annotations"]
    assert found["mine"] == "stays"
    assert found[REQUESTED_AT] != "before"


@pytest.mark.parametrize(("work", "phase"), [("migration", "Smoke"), ("migration", "Open"), ("collection", "Thaw")])
def test_a_collection_waits_for_what_is_at_work(work: str, phase: str) -> None:
    obj = load("registrystorage-serving")
    obj["status"][work] = {"phase": phase}
    assert discover(obj)["collect"]["disabled"]


@pytest.mark.parametrize("stem", ["imagepolicy-pending", "imageoverride-awaits-approval"])
def test_an_approval_is_offered_once(stem: str) -> None:
    name = "approve" if stem.startswith("imagepolicy") else "approve-plan"
    assert discover(act(name, load(stem)))[name]["disabled"]


def test_an_approval_of_another_digest_is_none() -> None:
    obj = load("imagepolicy-pending")
    obj["spec"]["approved"].append({"tag": obj["status"]["pending"]["tag"], "digest": "sha256:" + "0" * 64})
    assert not discover(obj)["approve"]["disabled"]


def test_a_candidate_that_only_waits_for_its_age_is_not_to_be_approved() -> None:
    obj = load("imagepolicy-pending")
    obj["status"]["pending"]["waitingFor"] = ["MinimumAge"]
    assert discover(obj)["approve"]["disabled"]


@pytest.mark.parametrize(
    ("stem", "name"),
    [("imagepolicy-ordering-changed", "accept-ordering"), ("imageoverride-awaits-approval", "approve-plan")],
)
def test_what_was_found_for_an_older_spec_is_not_agreed_to(stem: str, name: str) -> None:
    obj = load(stem)
    obj["metadata"]["generation"] += 1
    assert discover(obj)[name]["disabled"]


def test_a_rollback_is_offered_once() -> None:
    assert discover(act("rollback", load("imagepolicy-selected")))["rollback"]["disabled"]


@pytest.mark.parametrize("cause", ["Bootstrap", "Rollback", "OrderingAccepted", "Recovered"])
def test_a_rollback_is_not_offered_to_what_cannot_be_gone_back_to(cause: str) -> None:
    obj = load("imagepolicy-selected")
    obj["status"]["history"][-1]["cause"] = cause
    assert discover(obj)["rollback"]["disabled"]


def test_a_rollback_is_not_offered_while_the_history_is_about_something_else() -> None:
    obj = load("imagepolicy-selected")
    obj["status"]["selection"]["tag"] = "v9.9.9"
    assert discover(obj)["rollback"]["disabled"]


TAGS = ["1", "v1.0.0", "a" * 128, "_x", "Z-9.y_A", "2026-11-21", "main-0a1b2c3-1700000000", "~"]


@pytest.mark.parametrize("tag", TAGS[:-1])
def test_a_rollback_reads_any_tag_and_digest_out_of_the_history(tag: str) -> None:
    """Without a string library: character by character, by comparing."""
    obj = load("imagepolicy-selected")
    digest = "sha256:" + "0123456789abcdef" * 4
    obj["status"]["history"][-1]["from"] = f"{tag}@{digest}"
    assert act("rollback", obj)["spec"]["rollback"]["to"] == {"tag": tag, "digest": digest}


@pytest.mark.parametrize("text", ["v1.0.0", TAGS[-1]])
def test_a_rollback_without_a_digest_fails_with_a_sentence(text: str) -> None:
    obj = load("imagepolicy-selected")
    obj["status"]["history"][-1]["from"] = text
    with pytest.raises(lua51.LuaError, match=r"digest"):
        act("rollback", obj)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("approve", "imagepolicy-new"),
        ("accept-ordering", "imagepolicy-new"),
        ("rollback", "imagepolicy-new"),
        ("approve-plan", "imageoverride-new"),
    ],
)
def test_an_action_that_has_nothing_to_act_on_fails_with_a_sentence(name: str, stem: str) -> None:
    obj = load(stem)
    obj["status"] = {"observedGeneration": -1}
    with pytest.raises(lua51.LuaError):
        act(name, obj)


def test_one_override_is_as_the_other() -> None:
    """The scripts of the cluster's kind are copies: the fixtures of one are read as the other's."""
    for stem in (stem for stem in EXPECTED if stem.startswith("imageoverride-")):
        obj = load(stem)
        assert discover({**obj, "kind": "ClusterImageOverride"}) == discover(obj)
