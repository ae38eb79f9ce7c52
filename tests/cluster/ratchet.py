"""The invariant of `status.selection` as a plain function, and every way of writing a status.

`allowed` is written from the contract, not from the rules, so that the two can be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.cluster.api import Answer, Api
from tests.unit.api.samples import ORDER_1, A, Json

Write = Callable[[Api, str, Json | None], Answer]
"""Writes a selection (None: takes it away) into the policy at a path."""


def selection(**changes: object) -> Json:
    """A selection in the middle of everything; its reference follows tag and digest unless it is given."""
    found: Json = {
        "epoch": 5,
        "sequence": 10,
        "tag": "v5",
        "digest": A,
        "sortKey": "5 v5",
        "ordering": ORDER_1,
        "selectedAt": "2026-01-02T03:04:05Z",
        "cause": "Newer",
    } | changes
    return {"reference": reference(found)} | found


def reference(found: Json, image: str = "r.io/web") -> str:
    return f"{image}:{found['tag']}" + (f"@{found['digest']}" if found["digest"] else "")


def allowed(old: Json | None, new: Json | None) -> bool:
    """The invariant: may `old` be followed by `new`?"""
    if old is None:
        return True
    if new is None:
        return False
    if new["epoch"] < old["epoch"] or new["sequence"] < old["sequence"]:
        return False
    same_epoch = new["epoch"] == old["epoch"]
    if same_epoch and (new["sortKey"].encode() < old["sortKey"].encode() or new["ordering"] != old["ordering"]):
        return False
    moved = not same_epoch or any(new[key] != old[key] for key in ("tag", "digest", "reference", "ordering"))
    return not moved or new["sequence"] > old["sequence"]


def merge_patch(api: Api, path: str, new: Json | None) -> Answer:
    return api.merge(f"{path}/status", {"status": {"selection": new}})


def json_patch(api: Api, path: str, new: Json | None) -> Answer:
    had = "selection" in api.get(path).body["status"]
    if new is None and not had:
        return merge_patch(api, path, None)
    operation = "remove" if new is None else "replace" if had else "add"
    return api.json_patch(f"{path}/status", {"op": operation, "path": "/status/selection", "value": new})


def put_status(api: Api, path: str, new: Json | None) -> Answer:
    body = api.get(path).body
    body["status"].pop("selection", None)
    if new is not None:
        body["status"]["selection"] = new
    return api.put(f"{path}/status", body)


def forced_apply(api: Api, path: str, new: Json | None) -> Answer:
    """The manager owns the selection first, so that leaving it out means taking it away."""
    old = api.get(path).body["status"].get("selection")
    if old is not None and new is None:
        assert _apply(api, path, old).ok
    return _apply(api, path, new)


def _apply(api: Api, path: str, new: Json | None) -> Answer:
    status: dict[str, Any] = {"observedGeneration": 1} | ({"selection": new} if new is not None else {})
    frame = {"apiVersion": "pawl.dev/v1alpha1", "kind": "ImagePolicy", "metadata": {"name": path.rsplit("/", 1)[1]}}
    return api.apply(f"{path}/status", {**frame, "status": status}, "intruder")


WRITES: dict[str, Write] = {
    "merge patch": merge_patch,
    "json patch": json_patch,
    "put": put_status,
    "forced apply": forced_apply,
}
