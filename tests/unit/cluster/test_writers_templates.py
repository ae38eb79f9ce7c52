"""Bodies that are applied and operations that give back, without an API server."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.cluster.templates import RESOURCES, Original, applied, noted, read_originals, template_path
from pawl.cluster.templates_restore import pointer, restoration
from pawl.decide.objects import ORIGINAL, RESTART, ROLLOUT, ImageAt, PodSpec, WorkloadRow

GROUPS = ("containers", "initContainers", "volumes")


def row(*images: ImageAt, kind: str = "Deployment", **more: Any) -> WorkloadRow:
    return WorkloadRow(kind, "ns", "web", "u", "7", PodSpec(images=images), **more)


def at(name: str, image: str, group: Any = "containers") -> ImageAt:
    return ImageAt(group, name, image)


@pytest.mark.parametrize("kind", sorted(RESOURCES))
def test_every_body_carries_uid_and_version(kind: str) -> None:
    body = applied(row(at("web", "a"), kind=kind), annotations={ROLLOUT: "h"})
    assert body["metadata"] == {"name": "web", "namespace": "ns", "uid": "u", "resourceVersion": "7"}
    assert (body["kind"], body["apiVersion"]) == (kind, RESOURCES[kind].api_version)
    found = body
    for step in template_path(kind):
        found = found[step]
    assert found == {"metadata": {"annotations": {ROLLOUT: "h"}}}


def test_nothing_wanted_is_an_empty_apply() -> None:
    assert set(applied(row(at("web", "a")))) == {"apiVersion", "kind", "metadata"}


def test_an_annotation_keeps_what_is_held() -> None:
    note = noted("", [("containers/web", "old", "new")])
    body = applied(row(at("web", "new"), original=note, rollout="h"), annotations={RESTART: "r"})
    template = body["spec"]["template"]
    assert template["metadata"]["annotations"] == {ROLLOUT: "h", RESTART: "r"}
    assert template["spec"] == {"containers": [{"name": "web", "image": "new"}]}
    assert body["metadata"]["annotations"] == {ORIGINAL: note}


def test_places_that_are_gone_and_zombies_are_left_out() -> None:
    note = noted("", [("containers/gone", "old", "new"), ("containers/zombie", "old", "new")])
    images = [at("web", "b"), at("zombie", "c"), at("unknown", "d")]
    found = applied(row(at("web", "a"), at("zombie", "new"), original=note, owned=("zombie",)), images)
    assert found["spec"]["template"]["spec"] == {"containers": [{"name": "web", "image": "b"}]}


def test_all_groups_have_their_form_and_the_order_of_the_template() -> None:
    live = [at("b", "1"), at("a", "1"), at("i", "1", "initContainers"), at("v", "1", "volumes")]
    wanted = [msgspec.structs.replace(each, image="2") for each in reversed(live)]
    assert applied(row(*live), wanted)["spec"]["template"]["spec"] == {
        "containers": [{"name": "b", "image": "2"}, {"name": "a", "image": "2"}],
        "initContainers": [{"name": "i", "image": "2"}],
        "volumes": [{"name": "v", "image": {"reference": "2"}}],
    }


def test_an_image_that_is_right_already_gets_no_note() -> None:
    assert "annotations" not in applied(row(at("web", "a")), [at("web", "a")])["metadata"]


@pytest.mark.parametrize(
    ("writes", "wanted"),
    [
        ([("a", "b")], ("a", "b")),
        ([("a", "b"), ("b", "c")], ("a", "c")),
        ([("a", "b"), ("a", "b")], ("a", "b")),  # reverted, and written again
        ([("a", "b"), ("x", "c")], ("x", "c")),  # changed by somebody else in between
    ],
)
def test_what_stood_there_before_pawl_is_what_is_noted(writes: list[tuple[str, str]], wanted: tuple[str, str]) -> None:
    note = ""
    for old, new in writes:
        note = noted(note, [("containers/web", old, new)])
    assert read_originals(note) == {"containers/web": Original(*wanted)}


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"a": 1}', '{"a": {"from": "x"}}'])
def test_a_damaged_note_is_an_empty_one(text: str) -> None:
    assert read_originals(text) == {}


def live(images: list[ImageAt], note: str = "", *, held: bool = True, **annotations: str) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    for each in images:
        value = {"reference": each.image} if each.group == "volumes" else each.image
        spec.setdefault(each.group, []).append({"name": each.name, "image": value})
    metadata: dict[str, Any] = {"uid": "u", "resourceVersion": "9"}
    if note:
        metadata["annotations"] = {ORIGINAL: note, "mine": "x"}
    if held:
        metadata["managedFields"] = [{"manager": "pawl", "operation": "Apply"}]
    return {"metadata": metadata, "spec": {"template": {"metadata": {"annotations": annotations}, "spec": spec}}}


def patched(body: dict[str, Any], operations: Any) -> dict[str, Any]:
    """A JSON patch as far as it is used here."""
    for each in operations:
        *steps, last = each["path"].replace("~1", "\0").split("/")[1:]
        found: Any = body
        for step in steps:
            found = found[int(step)] if isinstance(found, list) else found[step.replace("\0", "/")]
        key = last.replace("\0", "/").replace("~0", "~")
        if each["op"] == "remove":
            del found[key]
        else:
            found[key] = each["value"]
    return body


NAMES = st.sampled_from(["a", "b", "c"])
PLACES = st.builds(ImageAt, st.sampled_from(GROUPS), NAMES, st.sampled_from(["x:1", "y:2"]))


@given(st.lists(PLACES, unique_by=lambda each: (each.group, each.name)), st.data())
def test_what_is_written_and_given_back_is_what_was_there(images: list[ImageAt], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(images), unique=True)) if images else []
    wanted = [msgspec.structs.replace(each, image=f"reg.corp/{each.image}") for each in chosen]
    body = applied(row(*images), wanted, {ROLLOUT: "h"})
    note = body["metadata"].get("annotations", {}).get(ORIGINAL, "")
    places = {(each.group, each.name): each for each in wanted}
    now = [places.get((each.group, each.name), each) for each in images]
    plan = restoration(live(now, note, **{ROLLOUT: "h"}), "Deployment")
    before = live(images)
    if note:
        before["metadata"]["annotations"] = {"mine": "x"}
    assert plan.skipped == ()
    assert patched(live(now, note, **{ROLLOUT: "h"}), plan.operations) == before


def test_nothing_to_give_back_is_nothing_to_write() -> None:
    plan = restoration(live([at("web", "a")], held=False), "Deployment")
    assert (plan.operations, plan.skipped, plan.held) == ((), (), False)


def test_places_that_went_or_changed_are_skipped_with_a_reason() -> None:
    note = noted("", [("containers/gone", "a", "b"), ("containers/web", "a", "b")])
    plan = restoration(live([at("web", "c")], note), "Deployment")
    assert [each.place for each in plan.skipped] == ["containers/gone", "containers/web"]
    assert "no longer in the template" in plan.skipped[0].why
    assert "'c' now, not 'b'" in plan.skipped[1].why
    assert [each["op"] for each in plan.operations] == ["replace", "replace", "remove"]


def test_the_guard_comes_first() -> None:
    plan = restoration(live([], **{ROLLOUT: "h"}), "Deployment")
    assert [each["path"] for each in plan.operations[:2]] == ["/metadata/uid", "/metadata/resourceVersion"]


def test_pointers_are_escaped() -> None:
    assert pointer("a/b", 3, "c~d") == "/a~1b/3/c~0d"
