"""Policies as the API server would return them, for tests of what the command line shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pawl.api.imagepolicy import ImagePolicy

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
A = "sha256:" + "a" * 64
B = "sha256:" + "b" * 64
ORDER = "1" * 32
IMAGE = "registry.example.com/shop/web"

Json = dict[str, Any]


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def selection(**changes: object) -> Json:
    made: Json = {"epoch": 1, "sequence": 2, "tag": "v1.4.2", "digest": A, "sortKey": "k v1.4.2", "ordering": ORDER}
    made |= {"reference": f"{IMAGE}:v1.4.2@{A}", "selectedAt": ago(3700), "cause": "Newer"}
    return made | changes


def condition(kind: str, status: str = "True", reason: str = "Because", message: str = "so it is") -> Json:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": ago(60)}


def document(
    *conditions: Json, name: str = "web", spec: Json | None = None, status: Json | None = None, held: bool = True
) -> Json:
    """A policy with a selection and Ready, and what is added to it."""
    ready = condition("Ready", "True" if held else "False", "Selected" if held else "NoTags", "the ready message")
    said: Json = {"conditions": [ready, *conditions], "ordering": ORDER, "observedGeneration": 1}
    said |= {"selection": selection()} if held else {}
    return {
        "apiVersion": "pawl.dev/v1alpha1",
        "kind": "ImagePolicy",
        "metadata": {"name": name, "namespace": "shop", "uid": "u-1"},
        "spec": {"image": IMAGE, "select": {"semver": {"range": ">=1.0.0"}}} | (spec or {}),
        "status": said | (status or {}),
    }


def policy(*conditions: Json, **changes: Any) -> ImagePolicy:
    return ImagePolicy.model_validate(document(*conditions, **changes))
