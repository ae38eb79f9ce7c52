"""Whole Pods by a table: images in their order, pull Secrets by union, what is left alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.decide.rulebook_samples import POD, container, entry, table

from pawl.api.imageoverride_spec import WorkloadKind
from pawl.api.imagerules import Entry
from pawl.decide.objects import ImageAt, PodSpec
from pawl.decide.tables import CompiledTable, Subject, rewrite_pod

RULES: dict[str, list[Entry]] = {"docker.io": [entry("q.x")], "quay.io": [entry("r.x", templates=True)]}


def with_secrets(**secrets: list[dict[str, Any]]) -> CompiledTable:
    return table(RULES, secrets={key.replace("_", "."): value for key, value in secrets.items()})


def spec(*images: ImageAt, secrets: tuple[str, ...] = (), ignored: object = False) -> PodSpec:
    return PodSpec(images, secrets, ignored=bool(ignored))


def added(held: CompiledTable, given: PodSpec, subject: Subject = POD) -> tuple[str, ...]:
    return rewrite_pod(held, subject, given, layer="pods").added_secrets


def test_every_image_place_is_rewritten_in_its_place() -> None:
    images = (
        container("nginx"),
        ImageAt("initContainers", "i", "quay.io/a"),
        ImageAt("ephemeralContainers", "e", "busybox"),
        ImageAt("volumes", "v", "quay.io/models:1"),
        container("z.x/other", "b"),
    )
    result = rewrite_pod(table(RULES), POD, spec(*images), layer="pods")
    assert [(at.group, at.name) for at in result.images] == [(at.group, at.name) for at in images]
    written = [at.image for at in result.images]
    assert written == ["q.x/library/nginx", "r.x/a", "q.x/library/busybox", "r.x/models:1", "z.x/other"]
    assert [ruling.image for ruling in result.rulings] == written
    assert result.changed


def test_a_template_follows_its_own_flag_and_gets_no_secret() -> None:
    held = with_secrets(r_x=[{"names": ["reg"]}])
    result = rewrite_pod(held, POD, spec(container("nginx"), container("quay.io/a", "b")), layer="templates")
    assert [at.image for at in result.images] == ["nginx", "r.x/a"]
    assert result.added_secrets == ()


def test_secrets_are_added_behind_those_that_are_there_and_no_name_twice() -> None:
    held = with_secrets(q_x=[{"names": ["b", "a"]}], r_x=[{"names": ["a", "c", "own"]}])
    given = spec(container("nginx"), container("quay.io/a", "b"), secrets=("own", "own"))
    assert added(held, given) == ("b", "a", "c")


def test_secrets_follow_the_order_of_groups_not_of_the_rows() -> None:
    held = with_secrets(q_x=[{"names": ["q"]}], r_x=[{"names": ["r"]}])
    given = spec(ImageAt("volumes", "v", "nginx"), ImageAt("initContainers", "i", "quay.io/a"))
    assert added(held, given) == ("r", "q")


def test_an_image_that_arrives_rewritten_gets_its_secret_too() -> None:
    assert added(with_secrets(q_x=[{"names": ["reg"]}]), spec(container("q.x/library/nginx"))) == ("reg",)


def test_an_image_that_no_rule_touches_gets_none() -> None:
    assert added(with_secrets(q_x=[{"names": ["reg"]}]), spec(container("z.x/a"))) == ()


def test_the_more_specific_repository_comes_first_and_both_give() -> None:
    held = table(RULES, secrets={"q.x": [{"names": ["host"]}], "q.x/library": [{"names": ["path"]}]})
    assert added(held, spec(container("nginx"))) == ("path", "host")


@pytest.mark.parametrize(("conditions", "names"), [({"kinds": ["Job"]}, ()), ({"containers": "app"}, ("reg",))])
def test_secrets_have_conditions_of_their_own(conditions: dict[str, Any], names: tuple[str, ...]) -> None:
    assert added(with_secrets(q_x=[{"names": ["reg"], **conditions}]), spec(container("nginx"))) == names


def test_held_and_exempt_images_count_for_secrets_as_they_stay() -> None:
    held = table(
        RULES,
        secrets={"q.x": [{"names": ["reg"]}], "docker.io": [{"names": ["hub"]}]},
        held={"q.x/library/nginx": "missing"},
        exempt={"u": "o@1"},
    )
    assert added(held, spec(container("nginx"))) == ("hub",)
    assert added(held, spec(container("redis")), Subject(WorkloadKind.POD, {}, frozenset("u"))) == ("hub",)


def test_what_is_labelled_to_be_ignored_stays() -> None:
    given = spec(container("nginx"), ignored=True)
    result = rewrite_pod(with_secrets(q_x=[{"names": ["reg"]}]), POD, given, layer="pods")
    assert (result.images, result.added_secrets, result.changed) == (given.images, (), False)
    assert result.rulings[0].outcome == "Ignored"


names = st.sampled_from(["nginx", "quay.io/a:1", "z.x/a", "q.x/library/nginx", "no reference", "docker.io/a/b"])
places = st.builds(ImageAt, st.sampled_from(["containers", "initContainers", "volumes"]), st.sampled_from("ab"), names)


@given(st.lists(places, max_size=5), st.lists(st.sampled_from(["reg", "own"]), max_size=2))
def test_a_pod_that_was_rewritten_is_not_touched_again(images: list[ImageAt], secrets: list[str]) -> None:
    held = with_secrets(q_x=[{"names": ["reg"]}], r_x=[{"names": ["more", "reg"]}])
    once = rewrite_pod(held, POD, PodSpec(tuple(images), tuple(secrets)), layer="pods")
    again = rewrite_pod(held, POD, PodSpec(once.images, (*secrets, *once.added_secrets)), layer="pods")
    assert not again.changed
    assert again.images == once.images
