"""What is left of a Job that is made again, and paths into custom resources."""

from __future__ import annotations

from typing import Any

import pytest

from pawl.cluster.calls import Answer, Request
from pawl.cluster.jobs_manifest import recreatable
from pawl.cluster.refusals import error_of
from pawl.cluster.resources import PODS
from pawl.cluster.writers_fields import values_at

GENERATED = {"controller-uid": "u", "batch.kubernetes.io/controller-uid": "u", "job-name": "j"}


def job(**spec: Any) -> dict[str, Any]:
    metadata = {
        "name": "j",
        "namespace": "ns",
        "uid": "u",
        "resourceVersion": "7",
        "generation": 1,
        "creationTimestamp": "x",
        "managedFields": [{}],
        "finalizers": ["foregroundDeletion"],
        "labels": {**GENERATED, "mine": "yes"},
    }
    template = {
        "metadata": {"creationTimestamp": None, "labels": {**GENERATED, "app": "x"}},
        "spec": {"containers": []},
    }
    return {"metadata": metadata, "spec": {"selector": {"matchLabels": {}}, "template": template, **spec}, "status": {}}


def test_what_the_server_filled_in_goes() -> None:
    assert recreatable(job(completions=2, suspend=True)) == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "j",
            "namespace": "ns",
            "labels": {"mine": "yes"},
            "annotations": {"pawl.dev/recreated-from": "u"},
        },
        "spec": {
            "completions": 2,
            "suspend": True,
            "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": []}},
        },
    }


def test_a_selector_chosen_by_hand_stays_with_its_labels() -> None:
    live = job(manualSelector=True)
    found = recreatable(live)
    assert found["spec"] == live["spec"]
    assert found["metadata"]["labels"] == live["metadata"]["labels"]


def test_the_live_object_is_not_touched() -> None:
    live = job()
    recreatable(live)
    assert live == job()


def test_empty_labels_go_with_the_last() -> None:
    live = job()
    live["metadata"]["labels"] = dict(GENERATED)
    live["spec"]["template"]["metadata"]["labels"] = dict(GENERATED)
    found = recreatable(live)
    assert "labels" not in found["metadata"]
    assert found["spec"]["template"]["metadata"] == {}


LIVE = {"spec": {"a": {"image": "x"}, "list": [{"image": "y"}, {"image": 3}, {}, {"image": "z"}], "texts": ["t", 1]}}


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("spec.a.image", [(("spec", "a", "image"), "x")]),
        ("spec.list[*].image", [(("spec", "list", 0, "image"), "y"), (("spec", "list", 3, "image"), "z")]),
        ("spec.texts[*]", [(("spec", "texts", 0), "t")]),
        ("spec.a", []),
        ("spec.a[*].image", []),
        ("spec.none.image", []),
        ("spec.list.image", []),
    ],
)
def test_paths(path: str, wanted: list[Any]) -> None:
    assert list(values_at(LIVE, path)) == wanted


def test_an_eviction_is_posted_to_the_pod_and_a_budget_is_named() -> None:
    request = Request("create", "POST", PODS, "ns", "web", "eviction")
    assert request.path == "/api/v1/namespaces/ns/pods/web/eviction"
    assert Request("create", "POST", PODS, "ns", "web").path == "/api/v1/namespaces/ns/pods"
    body = b'{"message": "no", "details": {"causes": [{"reason": "DisruptionBudget", "message": "web needs 2"}]}}'
    assert str(error_of(request, Answer(429, body))).endswith(": no web needs 2")
