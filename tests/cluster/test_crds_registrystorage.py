"""RegistryStorages in a real API server: what it lets in, what it refuses with which sentence, what it fills in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.cluster.api import POLICIES as GROUP
from tests.cluster.api import Answer, Api
from tests.cluster.test_crds import kubectl
from tests.unit.api.registrystorage_samples import (
    BAD_NAMES,
    CHANGES,
    DESIGN_EXAMPLE,
    FULL,
    GOOD,
    GOOD_NAMES,
    SHRUNK,
    access,
    bucket,
    filesystem,
    registry,
)
from tests.unit.api.registrystorage_wrong import BAD
from tests.unit.api.samples import Bad, Json

from pawl.api.registrystorage import RegistryStorage
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("installed")]

Post = Callable[[Json], Answer]
"""Creates a RegistryStorage; it goes with the test."""

WIDE = ["NAME", "PHASE", "ADDRESS", "STORE", "USED", "MIGRATING", "READY", "REASON", "AGE"]


def path(namespace: str, name: str = "") -> str:
    return f"{GROUP}/namespaces/{namespace}/registrystorages/{name}".rstrip("/")


@pytest.fixture
def post(api: Api, namespace: str) -> Post:
    return lambda spec: api.post(path(namespace), registry(spec))


def test_good_specs_are_accepted(api: Api, namespace: str) -> None:
    refused = {}
    for number, (name, spec) in enumerate(GOOD.items()):
        answer = api.post(path(namespace), registry(spec, f"r{number}"))
        if not answer.ok:
            refused[name] = answer.message
            continue
        RegistryStorage.model_validate(answer.body)
    assert refused == {}


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_bad_specs_are_refused_with_the_way_out(api: Api, bad: Bad) -> None:
    answer = api.post(path("default"), registry(bad.spec, "refused"))
    assert answer.code in {400, 422}, answer.body
    assert bad.sentence in answer.message


def test_names(api: Api, namespace: str) -> None:
    assert [name for name in GOOD_NAMES if not api.post(path(namespace), registry({}, name)).ok] == []
    for name in BAD_NAMES:
        assert api.post(path(namespace), registry({}, name)).code == 422


def test_a_long_name_is_told_why(api: Api) -> None:
    assert "Services and Jobs are named after it" in api.post(path("default"), registry({}, "x" * 33)).message


def test_changes(api: Api, namespace: str) -> None:
    wrong = {}
    for number, (name, before, after, allowed) in enumerate(CHANGES):
        where = path(namespace, f"r{number}")
        assert api.post(path(namespace), registry(before, f"r{number}")).ok
        version = {"resourceVersion": api.get(where).body["metadata"]["resourceVersion"]}
        changed = registry(after, f"r{number}")
        answer = api.put(where, changed | {"metadata": changed["metadata"] | version})
        if answer.ok is not allowed or (not allowed and SHRUNK not in answer.message):
            wrong[name] = answer.message
    assert wrong == {}


@pytest.mark.parametrize(
    ("spec", "field", "reason"),
    [
        ({"server": {"replicas": 2}}, "spec.server.replicas", "FieldValueInvalid"),
        ({"expansion": {"maxSize": "1Gi"}}, "spec.expansion.maxSize", "FieldValueInvalid"),
        (access(service={"nodePort": 30500}), "spec.access.service.nodePort", "FieldValueForbidden"),
        (access(service={"type": "Ingress"}), "spec.access.host", "FieldValueRequired"),
        (filesystem(existingClaim="a", series=1), "spec.storage.filesystem.existingClaim", "FieldValueForbidden"),
        (bucket(endpoint="minio:9000"), "spec.storage.s3.endpoint", "FieldValueInvalid"),
    ],
    ids=lambda found: found if isinstance(found, str) else "",
)
def test_one_mistake_is_one_cause_that_names_its_field(post: Post, spec: Json, field: str, reason: str) -> None:
    causes = post(spec).body["details"]["causes"]
    assert [(cause["field"], cause["reason"]) for cause in causes] == [(field, reason)]


def test_defaults(post: Post) -> None:
    found = post(
        {"storage": {"filesystem": {}}, "access": {"users": {}, "tls": {}, "service": {}}, "pressure": {}}
    ).body
    assert found["spec"] == {
        "suspend": False,
        "readOnly": False,
        "storage": {"filesystem": {"size": "100Gi", "series": 0, "accessMode": "ReadWriteOnce"}},
        "access": {
            "anonymousPull": False,
            "nodeTrust": False,
            "users": {"rotateEvery": "720h", "disabled": False},
            "tls": {"selfSigned": False, "disabled": False},
            "service": {"type": "ClusterIP", "port": 5000},
        },
        "pressure": {"expandAt": 80, "collectAt": 85, "readOnlyAt": 95},
    }
    assert found["status"] == {"observedGeneration": -1}


def test_nulls_are_what_nothing_said_is(api: Api, namespace: str, post: Post) -> None:
    """Charts render empty values as null; the API server drops them before it looks."""
    assert post({}).body["spec"] == {"suspend": False, "readOnly": False}
    spec = {"storage": None, "retention": None, "readOnly": None, "access": {"users": None, "tls": None}}
    stored = api.post(path(namespace), registry(spec, "nulls")).body
    assert stored["spec"] == {
        "suspend": False,
        "readOnly": False,
        "access": {"anonymousPull": False, "nodeTrust": False},
    }
    assert not RegistryStorage.model_validate(stored).spec.access.open_to_all


def test_the_largest_spec_is_let_in(post: Post) -> None:
    """Cost limits are asked twice: of the bounds as the CRD is installed, and of the values as an object is written."""
    rule = {
        "repositories": ["x" * 255] * 32,
        "keepTags": ["(" + "ab?" * 84 + ")*"] * 16,
        "keepLast": 1,
        "keepYoungerThan": "1h",
    }
    labels = {f"{'x' * 253}/{number:063}": "y" * 63 for number in range(16)}
    requirement = {"key": "a", "operator": "In", "values": ["x" * 63] * 32}
    selector = {"matchLabels": labels, "matchExpressions": [requirement] * 16}
    hands = {"pullSecrets": {"namespaceSelector": selector}}
    answer = post(FULL | {"retention": [rule] * 64, "access": FULL["access"] | hands})
    assert answer.ok, answer.message
    assert len(answer.body["spec"]["retention"]) == 64


@pytest.mark.parametrize("flags", [(), ("--server-side",)], ids=["client", "server"])
def test_the_example_of_the_manual_by_kubectl(
    cluster: Cluster, api: Api, namespace: str, flags: tuple[str, ...]
) -> None:
    apply = ("apply", "-n", namespace, *flags, "-f", "-")
    assert "main" in kubectl(cluster, *apply, text=DESIGN_EXAMPLE)
    again = kubectl(cluster, *apply, text=DESIGN_EXAMPLE)
    assert "unchanged" in again or flags
    assert api.get(path(namespace, "main")).body["metadata"]["generation"] == 1


@pytest.mark.parametrize("flags", [(), ("--server-side",)], ids=["client", "server"])
def test_a_store_is_exchanged_by_kubectl_apply(
    cluster: Cluster, api: Api, namespace: str, flags: tuple[str, ...]
) -> None:
    """A manifest that names the other store replaces the one before: nothing of that stays beside it."""
    before = DESIGN_EXAMPLE.replace("{filesystem: {size: 100Gi, storageClassName: local}}", "{s3: {bucket: images}}")
    assert before != DESIGN_EXAMPLE
    for text, store in ((before, "s3"), (DESIGN_EXAMPLE, "filesystem"), (before, "s3")):
        kubectl(cluster, "apply", "-n", namespace, *flags, "-f", "-", text=text)
        assert list(api.get(path(namespace, "main")).body["spec"]["storage"]) == [store]


STATUS: Json = {
    "observedGeneration": 1,
    "phase": "Migrating",
    "address": "registry.corp:5000",
    "store": {"id": "0123", "kind": "S3"},
    "usage": {"percent": 61},
    "migration": {
        "id": "abc",
        "phase": "Bulk",
        "source": {"id": "0123", "kind": "S3"},
        "target": {"id": "4567", "kind": "Filesystem"},
        "startedAt": "2026-01-02T03:04:05Z",
        "phaseSince": "2026-01-02T03:04:05Z",
    },
    "conditions": [
        {"type": "Ready", "status": "False", "reason": "Migrating", "lastTransitionTime": "2026-01-02T03:04:05Z"}
    ],
}


def test_kubectl_shows_columns_names_and_fields(cluster: Cluster, api: Api, post: Post, namespace: str) -> None:
    assert post({}).ok
    answer = api.merge(f"{path(namespace, 'main')}/status", {"status": STATUS})
    assert answer.ok, answer.message
    head, row = kubectl(cluster, "get", "rgs", "-n", namespace, "-o", "wide").splitlines()
    assert head.split() == WIDE
    assert row.split()[:-1] == ["main", "Migrating", "registry.corp:5000", "S3", "61", "Bulk", "False", "Migrating"]
    assert "main" in kubectl(cluster, "get", "pawl", "-n", namespace)
    assert "Nobody logs in" in kubectl(cluster, "explain", "rgs.spec.access.users.disabled")


def test_a_status_of_another_shape_is_refused(api: Api, post: Post, namespace: str) -> None:
    assert post({}).ok
    for wrong in ({"usage": {"percent": 101}}, {"phase": 1}, {"store": {"kind": "Tape", "id": "a"}}):
        assert api.merge(f"{path(namespace, 'main')}/status", {"status": wrong}).code == 422
