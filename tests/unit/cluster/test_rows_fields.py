"""Who wrote the images of a template, by its managedFields."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pawl.cluster.rows_fields import Written, written


def entry(
    manager: str, containers: dict[str, bool], time: str = "2026-01-01T00:00:00Z", kind: str = "Deployment", **more: Any
) -> dict[str, Any]:
    held = {
        f'k:{{"name":"{name}"}}': {".": {}, "f:name": {}} | ({"f:image": {}} if image else {})
        for name, image in containers.items()
    }
    fields: dict[str, Any] = {"f:containers": held}
    steps = ["f:spec", "f:template", "f:spec"]
    for step in reversed(["f:spec", "f:jobTemplate", *steps] if kind == "CronJob" else steps):
        fields = {step: fields}
    operation = "Apply" if manager == "pawl" else "Update"
    return {"manager": manager, "operation": operation, "time": time, "fieldsV1": fields, **more}


def read(*entries: dict[str, Any], kind: str = "Deployment") -> Written:
    return written(json.dumps(entries).encode(), kind)


def test_an_object_that_pawl_never_wrote_is_not_even_decoded() -> None:
    assert written(b"", "Deployment") == Written()
    assert written(b"not JSON", "Deployment") == Written()
    assert read(entry("kubectl", {"web": True})) == Written()
    assert read(entry("pawl-other", {"web": True})) == Written()


def test_pawl_holds_the_image_with_others() -> None:
    assert read(entry("kubectl", {"web": False, "side": True}), entry("pawl", {"web": True})) == Written()
    assert read(entry("flux", {"web": True}), entry("pawl", {"web": True})) == Written()


@pytest.mark.parametrize("kind", ["Deployment", "CronJob"])
def test_a_container_that_only_pawl_holds(kind: str) -> None:
    both = entry("flux", {"new": True}, kind=kind), entry("pawl", {"old": True, "new": True}, kind=kind)
    assert read(*both, kind=kind).owned == ("old",)


def test_an_image_that_was_taken_back_names_the_taker() -> None:
    assert read(entry("rook", {"web": True}), entry("pawl", {"web": False})).reverter == "rook"


def test_the_last_taker_counts_and_not_who_merely_holds_another_container() -> None:
    late = "2026-01-01T00:09:00Z"
    takers = entry("first", {"web": True}), entry("last", {"web": True}, "2026-01-01T00:05:00Z")
    assert read(*takers, entry("other", {"side": True}, late), entry("pawl", {"web": False})).reverter == "last"


def test_status_writers_do_not_count() -> None:
    status = entry("controller", {"web": True}, subresource="status")
    assert read(status, entry("pawl", {"web": True})).owned == ("web",)


def test_odd_fields_are_passed_over() -> None:
    odd = {"manager": "odd", "time": "", "fieldsV1": {"f:spec": {"f:template": 3}}}
    empty = {"manager": "none"}
    listed = {
        "manager": "v",
        "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {"v:1": {}, ".": {}}}}}},
    }
    assert read(odd, empty, listed, entry("pawl", {"web": True})).owned == ("web",)
