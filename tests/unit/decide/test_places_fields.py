"""Fields of custom resources: paths with and without lists, and shapes that are not there."""

from __future__ import annotations

from typing import Any

import pytest

from pawl.decide.places import at, replaced
from pawl.decide.places_fields import field_places

SPEC: dict[str, Any] = {
    "image": "a:1",
    "empty": "",
    "number": 3,
    "daemons": [{"image": "b:1", "all": ["c:1", "d:1"]}, {"image": None}, {"image": "e:1"}, "odd"],
    "inner": {"deep": {"image": "f:1"}},
}
OBJECT = {"apiVersion": "x.io/v1", "kind": "X", "spec": SPEC}

FOUND: tuple[tuple[str, dict[str, str]], ...] = (
    ("spec.image", {"spec.image": "a:1"}),
    ("spec.inner.deep.image", {"spec.inner.deep.image": "f:1"}),
    ("spec.daemons[*].image", {"spec.daemons[0].image": "b:1", "spec.daemons[2].image": "e:1"}),
    ("spec.daemons[*].all[*]", {"spec.daemons[0].all[0]": "c:1", "spec.daemons[0].all[1]": "d:1"}),
    ("spec.daemons.image", {}),
    ("spec.image[*]", {}),
    ("spec.image.tag", {}),
    ("spec.empty", {}),
    ("spec.number", {}),
    ("spec.missing.image", {}),
    ("status.image", {}),
)


@pytest.mark.parametrize(("path", "found"), FOUND)
def test_what_stands_at_a_path(path: str, found: dict[str, str]) -> None:
    assert {place.text: place.at.image for place in field_places(OBJECT, path)} == found


@pytest.mark.parametrize(("path", "found"), [row for row in FOUND if row[1]])
def test_what_is_found_can_be_written(path: str, found: dict[str, str]) -> None:
    places = field_places(OBJECT, path)
    changed = replaced(OBJECT, {place.path: f"new/{place.at.image}" for place in places})
    assert [at(changed, place.path) for place in places] == [f"new/{image}" for image in found.values()]
    assert [at(OBJECT, place.path) for place in places] == list(found.values())


def test_a_field_belongs_to_no_container() -> None:
    (place,) = field_places(OBJECT, "spec.image")
    assert (place.at.group, place.at.name) == ("containers", "")
