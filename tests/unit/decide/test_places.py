"""Image places of manifests: every built-in kind, every group, lists, odd shapes, and writing into a copy."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.decide.objects import ImageAt, Owner
from pawl.decide.places import at, image_places, members, owners, pod_spec, replaced, spec_path

SPEC: dict[str, Any] = {
    "containers": [{"name": "app", "image": "nginx"}, {"name": "no-image"}],
    "initContainers": [{"name": "side", "image": "a:1", "restartPolicy": "Always"}],
    "ephemeralContainers": [{"name": "debug", "image": "b:1"}],
    "volumes": [{"name": "data", "emptyDir": {}}, {"name": "models", "image": {"reference": "c:1"}}],
    "imagePullSecrets": [{"name": "reg"}, {}],
}
TEMPLATE = {"metadata": {"labels": {"app": "web", "pawl.dev/ignore": "true", "n": 1}}, "spec": SPEC}

KINDS: tuple[tuple[str, str, str], ...] = (
    ("v1", "Pod", "spec"),
    ("v1", "ReplicationController", "spec.template.spec"),
    ("v1", "PodTemplate", "template.spec"),
    ("apps/v1", "Deployment", "spec.template.spec"),
    ("apps/v1", "ReplicaSet", "spec.template.spec"),
    ("apps/v1", "StatefulSet", "spec.template.spec"),
    ("apps/v1beta1", "DaemonSet", "spec.template.spec"),
    ("batch/v1", "Job", "spec.template.spec"),
    ("batch/v1", "CronJob", "spec.jobTemplate.spec.template.spec"),
)


def manifest(version: str, kind: str, above: str) -> dict[str, Any]:
    """An object of this kind with the template, or the Pod, at its place."""
    *outer, _ = above.split(".")
    value: dict[str, Any] = copy.deepcopy(TEMPLATE)
    for key in reversed(outer):
        value = {key: value}
    return {"apiVersion": version, "kind": kind, **value}


@pytest.mark.parametrize(("version", "kind", "above"), KINDS)
def test_every_kind_and_every_group(version: str, kind: str, above: str) -> None:
    given = manifest(version, kind, above)
    places = image_places(given)
    assert spec_path(version, kind) == tuple(above.split("."))
    assert [place.text for place in places] == [
        f"{above}.containers[app].image",
        f"{above}.initContainers[side].image",
        f"{above}.ephemeralContainers[debug].image",
        f"{above}.volumes[models].image.reference",
    ]
    assert [at(given, place.path) for place in places] == ["nginx", "a:1", "b:1", "c:1"]
    assert places[3].at == ImageAt("volumes", "models", "c:1")


@pytest.mark.parametrize(("version", "kind", "above"), KINDS)
def test_what_a_table_needs_of_an_object(version: str, kind: str, above: str) -> None:
    spec = pod_spec(manifest(version, kind, above))
    assert [place.image for place in spec.images] == ["nginx", "a:1", "b:1", "c:1"]
    assert spec.labels == (("app", "web"), ("pawl.dev/ignore", "true"))
    assert spec.pull_secrets == ("reg", "")
    assert spec.ignored


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("example.com/v1", "Deployment"),
        ("v1", "Deployment"),
        ("apps/v1", "Pod"),
        ("v1", "ConfigMap"),
        ("argoproj.io/v1alpha1", "Rollout"),
    ],
)
def test_other_kinds_have_no_places(version: str, kind: str) -> None:
    given = manifest(version, kind, "spec.template.spec")
    assert (spec_path(version, kind), image_places(given)) == (None, ())


POD = manifest("v1", "Pod", "spec")


def test_lists_are_gone_through_also_inside_each_other() -> None:
    inner = {"apiVersion": "v1", "kind": "PodList", "items": [{key: POD[key] for key in ("metadata", "spec")}]}
    outer = {"apiVersion": "v1", "kind": "List", "items": [{"kind": "ConfigMap"}, inner, "odd"]}
    found = list(members(outer))
    assert [(path, member["kind"]) for path, member in found] == [
        (("items", 0), "ConfigMap"),
        (("items", 1, "items", 0), "Pod"),
    ]
    path, pod = found[1]
    place = image_places(pod)[0]
    changed = replaced(outer, {(*path, *place.path): "r.corp/nginx"})
    assert at(changed, (*path, *place.path)) == "r.corp/nginx"
    assert "kind" not in at(changed, path)  # type: ignore[operator]


def test_what_is_no_list_is_itself() -> None:
    for odd in ({"kind": "List"}, {"kind": "List", "items": "text"}, {"kind": "Checklist"}, {}):
        assert list(members(odd)) == [((), odd)]


def test_a_copy_is_written_and_the_original_stays() -> None:
    given = manifest("apps/v1", "Deployment", "spec.template.spec")
    before = copy.deepcopy(given)
    changed = replaced(given, {place.path: "new" for place in image_places(given)})
    assert given == before
    assert [place.at.image for place in image_places(changed)] == ["new"] * 4
    assert changed["spec"]["template"]["metadata"] is given["spec"]["template"]["metadata"]  # type: ignore[index]


def test_a_missing_list_is_made() -> None:
    assert replaced({"spec": {}}, {("spec", "imagePullSecrets"): [{"name": "a"}]}) == {
        "spec": {"imagePullSecrets": [{"name": "a"}]}
    }
    assert replaced({}, {("a", "b"): 1}) == {"a": {"b": 1}}


def test_owners_are_read() -> None:
    written = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "u", "controller": True}, {}, 3]
    expected = (Owner("apps/v1", "ReplicaSet", "x", "u", controller=True), Owner("", "", "", ""))
    assert owners({"metadata": {"ownerReferences": written}}) == expected


def test_a_container_without_a_name_is_shown_by_its_number() -> None:
    given = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "a"}, {"image": "nginx"}]}}
    assert [place.text for place in image_places(given)] == ["spec.containers[1].image"]


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["containers", "volumes", "image", "name", "reference", "labels"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from(KINDS), odd, odd)
def test_odd_shapes_are_passed_over(kind: tuple[str, str, str], template: object, metadata: object) -> None:
    given = manifest(*kind)
    path = tuple(kind[2].split("."))
    broken = replaced(given, {path: template, ("metadata",): metadata})
    for place in image_places(broken):
        assert at(broken, place.path) == place.at.image
    assert pod_spec(broken).images == tuple(place.at for place in image_places(broken))
    assert isinstance(owners(broken), tuple)
