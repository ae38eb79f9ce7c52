"""Reviews answered: equal to the pure function, and never an obstacle."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cluster.gate_pods import expected, found, pod, table

from pawl.admission.certificates import new_bundle
from pawl.admission.review import review
from pawl.admission.scope import MAX_IMAGES
from pawl.admission.webhook import Outcome, WebhookServer
from pawl.api.imagerules import Table
from pawl.decide.tables import CompiledTable

Json = dict[str, Any]

HUB = CompiledTable.of(
    Table.model_validate(
        {
            "rules": {"docker.io": [{"to": "m.zone/hub", "templates": True, "override": "o", "rule": 0}]},
            "secrets": {"m.zone": [{"names": ["reg"]}]},
        }
    )
)
KINDS = {
    "Pod": "",
    "Deployment": "apps",
    "DaemonSet": "apps",
    "StatefulSet": "apps",
    "Job": "batch",
    "CronJob": "batch",
}


def asked(manifest: Json, kind: str = "Pod", **request: Any) -> bytes:
    body = {
        "uid": "u",
        "kind": {"group": KINDS.get(kind, "x"), "version": "v1", "kind": kind},
        "namespace": "shop",
        "operation": "CREATE",
        "object": manifest,
        **request,
    }
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": body}).encode()


def patch(raw: bytes, compiled: CompiledTable | None = HUB) -> list[Json]:
    response = json.loads(review(raw, lambda _: compiled, "own").body)["response"]
    assert response["uid"] == "u"
    assert response["allowed"] is True
    return json.loads(base64.b64decode(response["patch"])) if "patch" in response else []


def applied(manifest: Json, operations: list[Json]) -> Json:
    """The few operations that a review makes, carried out."""
    copy = json.loads(json.dumps(manifest))
    for each in operations:
        *above, last = each["path"].strip("/").split("/")
        node = copy
        for key in above:
            node = node[int(key)] if isinstance(node, list) else node[key]
        if last == "-":
            node.append(each["value"])
        else:
            assert (last in node) is (each["op"] == "replace")
            node[last] = each["value"]
    return copy


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**9))
def test_a_review_does_what_the_function_says(seed: int) -> None:
    random = Random(seed)
    compiled, manifest = CompiledTable.of(table(random)), pod(random, 1)
    assert found(applied(manifest, patch(asked(manifest), compiled))) == expected(compiled, manifest)


def simple(**metadata: Any) -> Json:
    return {"metadata": {"name": "p", **metadata}, "spec": {"containers": [{"name": "a", "image": "nginx"}]}}


IMAGE = {"op": "replace", "path": "/spec/containers/0/image", "value": "m.zone/hub/library/nginx"}


def test_a_pod_gets_image_and_secret() -> None:
    secret = {"op": "add", "path": "/spec/imagePullSecrets", "value": [{"name": "reg"}]}
    assert patch(asked(simple())) == [IMAGE, secret]


@pytest.mark.parametrize("namespace", ["kube-system", "kube-node-lease", "own"])
def test_the_system_and_own_namespace_stay(namespace: str) -> None:
    assert patch(asked(simple(), namespace=namespace)) == []


@pytest.mark.parametrize(
    "metadata",
    [{"labels": {"pawl.dev/ignore": "true"}}, {"annotations": {"kubernetes.io/config.mirror": "x"}}],
    ids=["ignored", "mirror"],
)
def test_what_is_left_alone_stays(metadata: Json) -> None:
    assert patch(asked(simple(**metadata))) == []


def test_without_a_table_nothing_happens() -> None:
    assert patch(asked(simple()), None) == []


def test_a_giant_stays() -> None:
    containers = [{"name": f"c{index}", "image": "nginx"} for index in range(MAX_IMAGES + 1)]
    assert patch(asked({"metadata": {"name": "p"}, "spec": {"containers": containers}})) == []


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet", "StatefulSet", "Job"])
def test_a_template_gets_its_image_only(kind: str) -> None:
    manifest = {"metadata": {"name": "w"}, "spec": {"template": simple()}}
    assert patch(asked(manifest, kind)) == [{**IMAGE, "path": "/spec/template/spec/containers/0/image"}]


def test_a_cron_job_holds_its_template_deeper() -> None:
    manifest = {"metadata": {"name": "w"}, "spec": {"jobTemplate": {"spec": {"template": simple()}}}}
    pointer = "/spec/jobTemplate/spec/template/spec/containers/0/image"
    assert patch(asked(manifest, "CronJob")) == [{**IMAGE, "path": pointer}]


def test_only_new_ephemeral_containers_change() -> None:
    before = simple()
    before["spec"]["ephemeralContainers"] = [{"name": "d1", "image": "busybox"}]
    after = json.loads(json.dumps(before))
    after["spec"]["ephemeralContainers"].append({"name": "d2", "image": "busybox"})
    raw = asked(after, subResource="ephemeralcontainers", oldObject=before)
    wanted = {"op": "replace", "path": "/spec/ephemeralContainers/1/image", "value": "m.zone/hub/library/busybox"}
    assert patch(raw) == [wanted]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"{}", b'{"request":{"uid":3}}', b"\xff\xfe"])
def test_what_is_no_review_is_an_error_here(raw: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        review(raw, lambda _: HUB, "own")


def server(counted: list[Outcome], lookup: Any = lambda _: HUB) -> WebhookServer:
    return WebhookServer(lookup, "own", new_bundle(["h"], datetime.now(UTC)), lambda result, _: counted.append(result))


def broken(namespace: str) -> CompiledTable:
    raise RuntimeError(f"table of {namespace}\nis broken")


@pytest.mark.parametrize(
    ("raw", "lookup", "outcome", "uid"),
    [
        (asked(simple()), lambda _: HUB, "Rewritten", "u"),
        (asked(simple()), lambda _: None, "Unchanged", "u"),
        (asked(simple()), broken, "Failed", "u"),
        (b"{", lambda _: HUB, "Failed", ""),
        (b"\xff\xfe", lambda _: HUB, "Failed", ""),
        (asked({"spec": {"containers": "x"}}), lambda _: HUB, "Failed", "u"),
    ],
)
def test_every_answer_allows_and_is_counted(raw: bytes, lookup: Any, outcome: str, uid: str) -> None:
    counted: list[Outcome] = []
    response = json.loads(server(counted, lookup).answer(raw))["response"]
    assert response["allowed"] is True
    assert response["uid"] == uid
    assert counted == [outcome]
