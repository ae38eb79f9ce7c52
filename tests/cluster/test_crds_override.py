"""Overrides and tables in a real API server: what it lets in, what it refuses with which sentence, at which cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from tests.cluster.api import POLICIES as GROUP
from tests.cluster.api import Answer, Api
from tests.cluster.test_crds import kubectl
from tests.unit.api.override_samples import (
    BAD,
    BAD_CLUSTER,
    CLUSTER,
    DESIGN_EXAMPLE,
    GOOD,
    GOOD_CLUSTER,
    body,
    expressions,
    from_,
    override,
    rule,
    to,
)
from tests.unit.api.samples import Bad, Json

from pawl.api.imageoverride import ImageOverride
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("installed")]

Post = Callable[[Json], Answer]
"""Creates an override or a table; it goes with the test."""

LONG = "registry.example.com/" + "x" * 234
ENTRY = {"to": LONG, "tag": "v1", "override": "shop/rook", "rule": 999, "containers": "(?:a|b)"}
WIDE = ["NAME", "READY", "REASON", "MATCHED", "VERIFIED", "DRIFTED", "GATE", "BATCH", "PLAN", "AGE"]


def path(namespace: str, plural: str = "imageoverrides", name: str = "") -> str:
    return f"{GROUP}/namespaces/{namespace}/{plural}/{name}".rstrip("/")


@pytest.fixture
def post(api: Api, namespace: str) -> Post:
    return lambda spec: api.post(path(namespace), override(spec))


@pytest.fixture
def post_cluster(api: Api) -> Iterator[Post]:
    name = f"t-{uuid4().hex[:10]}"
    yield lambda spec: api.post(f"{GROUP}/clusterimageoverrides", override(spec, CLUSTER, name))
    api.delete(f"{GROUP}/clusterimageoverrides/{name}")


@pytest.mark.parametrize("name", GOOD)
def test_good_specs_are_accepted(post: Post, name: str) -> None:
    answer = post(GOOD[name])
    assert answer.ok, answer.message
    ImageOverride.model_validate(answer.body)


@pytest.mark.parametrize("name", GOOD_CLUSTER)
def test_good_cluster_specs_are_accepted(post_cluster: Post, name: str) -> None:
    answer = post_cluster(GOOD_CLUSTER[name])
    assert answer.ok, answer.message


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_bad_specs_are_refused_with_the_way_out(post: Post, bad: Bad) -> None:
    refused(post(bad.spec), bad)


@pytest.mark.parametrize("bad", BAD_CLUSTER, ids=str)
def test_bad_cluster_specs_are_refused_with_the_way_out(post_cluster: Post, bad: Bad) -> None:
    refused(post_cluster(bad.spec), bad)


def refused(answer: Answer, bad: Bad) -> None:
    assert answer.code in {400, 422}, answer.body
    assert bad.sentence in answer.message


@pytest.mark.parametrize("bad", [bad for bad in BAD if bad.name.startswith(("source ", "target "))], ids=str)
def test_one_mistake_gives_one_sentence(post: Post, bad: Bad) -> None:
    assert len(post(bad.spec).body["details"]["causes"]) == 1


def test_a_wrong_field_is_named_in_the_causes(post: Post) -> None:
    found = {}
    for spec in (
        from_("nginx"),
        to("r.io/a:v1"),
        body(rules=[rule(policyRef={"name": "a"}, tag="v1")]),
        body(workloads=expressions({"key": "a", "operator": "In"})),
    ):
        found |= {cause["field"]: cause["reason"] for cause in post(spec).body["details"]["causes"]}
    assert found == {
        "spec.rules[0].source": "FieldValueInvalid",
        "spec.rules[0].target.repository": "FieldValueInvalid",
        "spec.rules[0].target.policyRef": "FieldValueForbidden",
        "spec.workloads.selector.matchExpressions[0].values": "FieldValueRequired",
    }


def test_defaults(post: Post) -> None:
    found = post(body(enforcement={}, rollout={}, workloads={})).body
    assert found["spec"] == {
        "rules": [rule()],
        "suspend": False,
        "priority": 0,
        "workloads": {},
        "deletionPolicy": "Restore",
        "restoreTimeout": "2m",
        "enforcement": {
            "pods": True,
            "templates": "Off",
            "jobs": "RecreateStuck",
            "restartOwners": True,
            "settle": "30s",
            "onDelete": "Report",
        },
        "rollout": {
            "mode": "Enforce",
            "paused": False,
            "maxConcurrent": 1,
            "progressDeadline": "10m",
            "prepull": False,
            "preflight": "Required",
            "approvedPlan": "",
        },
    }
    assert found["status"] == {"observedGeneration": -1}


def test_null_is_absent(post: Post) -> None:
    """Charts render empty values as null; the API server drops them before it looks."""
    found = post(
        body(rollout=None, restoreTimeout=None, rules=[rule(repository="r.io", tag=None, policyRef=None)])
    ).body
    assert found["spec"]["rules"] == [rule(repository="r.io")]
    assert found["spec"]["restoreTimeout"] == "2m"


def test_a_bare_off_is_stored_as_yaml_reads_it_and_may_be_quoted_later(api: Api, namespace: str, post: Post) -> None:
    assert post(body(enforcement={"templates": False})).body["spec"]["enforcement"]["templates"] is False
    for word in ("Off", "Reconcile", False):
        answer = api.merge(path(namespace, name="rook"), {"spec": {"enforcement": {"templates": word}}})
        assert answer.body["spec"]["enforcement"]["templates"] == word


def test_a_lenient_client_loses_unknown_fields(api: Api, namespace: str, post: Post) -> None:
    post(body())
    answer = api.merge(path(namespace, name="rook"), {"spec": {"rulez": [], "priority": 7}})
    assert answer.ok, answer.message
    assert answer.body["spec"]["priority"] == 7
    assert "rulez" not in answer.body["spec"]


def test_pull_secrets_of_two_people_merge(api: Api, namespace: str) -> None:
    where = path(namespace, name="rook")
    assert api.apply(where, override(body(pullSecrets=[{"name": "a"}])), "ann", force=False).ok
    answer = api.apply(where, override({"rules": [rule()], "pullSecrets": [{"name": "b"}]}), "bob", force=False)
    assert answer.ok, answer.message
    assert [each["name"] for each in answer.body["spec"]["pullSecrets"]] == ["a", "b"]


def thousand(**target: object) -> Json:
    labels = {"key": "a", "operator": "In", "values": ["x" * 63] * 32}
    one = {**rule(LONG, repository=LONG, **target), "containers": ["x" * 63]}
    keys = {f"{'x' * 253}/{number:063}": "y" * 63 for number in range(16)}
    selector = {"selector": {"matchLabels": keys, "matchExpressions": [labels] * 16}}
    return body(rules=[one] * 1000, workloads=selector)


def test_a_thousand_of_the_longest_rules_fit_into_one_override(api: Api, namespace: str, post: Post) -> None:
    """Cost limits are asked twice: of the bounds as the CRD is installed, and of the values as an object is written."""
    answer = post(thousand(tag="v" * 128))
    assert answer.ok, answer.message
    assert len(answer.body["spec"]["rules"]) == 1000
    assert api.merge(path(namespace, name="rook"), {"spec": {"priority": 1}}).ok


def test_a_thousand_of_the_longest_rules_fit_into_one_cluster_override(post_cluster: Post) -> None:
    spec = thousand(policyRef={"name": "x" * 253, "namespace": "x" * 63})
    answer = post_cluster(spec | {"namespaces": spec["workloads"]})
    assert answer.ok, answer.message


def test_a_thousand_rules_with_one_mistake_name_it(post: Post) -> None:
    found = [rule(LONG, repository=LONG) for _ in range(1000)]
    found[731] = rule("nginx", repository=LONG)
    [cause] = post(body(rules=found)).body["details"]["causes"]
    assert cause["field"] == "spec.rules[731].source"


def test_more_rules_are_refused(post: Post) -> None:
    assert "must have at most 1000 items" in post(body(rules=[rule()] * 1001)).message


def tables() -> Json:
    places = [f"registry.example.com/{number:04}/" + "x" * 200 for number in range(1000)]
    return {
        "rules": {place: [ENTRY] for place in places},
        "secrets": {place: [{"names": ["regcred"]}] for place in places[:10]},
        "held": {"r.io/a:v1": "ImageMissing"},
        "exempt": {"0-1-2": "shop/rook@3"},
    }


def test_tables_of_a_thousand_entries_are_stored_as_they_are(api: Api, namespace: str) -> None:
    table = {"apiVersion": "pawl.dev/v1alpha1", "kind": "ImageRules", "metadata": {"name": "pawl"}, "spec": tables()}
    assert len(json.dumps(table)) > 500_000
    answer = api.apply(path(namespace, "imagerules", "pawl"), table)
    assert answer.ok, answer.message
    stored = api.get(path(namespace, "imagerules", "pawl")).body
    assert "status" not in stored
    assert stored["spec"]["held"] == table["spec"]["held"]
    assert all(entries == [ENTRY | {"pods": True, "templates": False}] for entries in stored["spec"]["rules"].values())


def test_a_cluster_table_of_a_thousand_entries(api: Api) -> None:
    name = f"t-{uuid4().hex[:10]}"
    spec = tables() | {"own": {"shop": True}, "mandatory": {"docker.io": [ENTRY]}}
    table = {"apiVersion": "pawl.dev/v1alpha1", "kind": "ClusterImageRules", "metadata": {"name": name}, "spec": spec}
    answer = api.post(f"{GROUP}/clusterimagerules", table)
    assert answer.ok, answer.message
    assert answer.body["spec"]["own"] == {"shop": True}
    assert api.delete(f"{GROUP}/clusterimagerules/{name}").ok


def test_tables_have_no_status_to_write(api: Api, namespace: str) -> None:
    where = path(namespace, "imagerules", "pawl")
    table = {"apiVersion": "pawl.dev/v1alpha1", "kind": "ImageRules", "metadata": {"name": "pawl"}, "spec": {}}
    assert 'unknown field "status"' in api.post(path(namespace, "imagerules"), table | {"status": {}}).message
    assert api.apply(where, table).ok
    assert api.merge(f"{where}/status", {"status": {}}).code == 404


@pytest.mark.parametrize("flags", [(), ("--server-side",)], ids=["client", "server"])
def test_the_example_of_the_manual_by_kubectl(cluster: Cluster, api: Api, flags: tuple[str, ...]) -> None:
    name = f"t-{uuid4().hex[:10]}"
    text = DESIGN_EXAMPLE.replace("rook-private", name)
    try:
        assert "created" in kubectl(cluster, "apply", *flags, "-f", "-", text=text) or flags
        again = kubectl(cluster, "apply", *flags, "-f", "-", text=text)
        assert "unchanged" in again or flags
        found = api.get(f"{GROUP}/clusterimageoverrides/{name}").body
        assert found["metadata"]["generation"] == 1
        assert found["spec"]["rollout"]["batches"] == [1, "25%", "100%"]
    finally:
        kubectl(cluster, "delete", "--ignore-not-found", "ciov", name)


def test_kubectl_shows_columns_names_and_fields(cluster: Cluster, post: Post, namespace: str) -> None:
    post(body())
    wide = kubectl(cluster, "get", "iov", "-n", namespace, "-o", "wide")
    assert wide.splitlines()[0].split() == WIDE
    assert "rook" in kubectl(cluster, "get", "pawl", "-n", namespace)
    assert "a bare Off" in kubectl(cluster, "explain", "ciov.spec.enforcement.templates")
    assert "Do not edit" in kubectl(cluster, "explain", "irul")
    assert "cluster" in kubectl(cluster, "explain", "cirul.spec.own").lower()


def test_columns_show_what_the_status_says(cluster: Cluster, api: Api, post: Post, namespace: str) -> None:
    post(body())
    ready = {"type": "Ready", "status": "False", "reason": "RollingOut", "lastTransitionTime": "2026-01-02T03:04:05Z"}
    status = {
        "observedGeneration": 1,
        "gate": "Webhook",
        "batch": "2/3",
        "plan": {"hash": "0123456789abcdef"},
        "workloads": {"matched": 9, "compliant": 5, "drifted": 4},
        "conditions": [ready],
    }
    answer = api.merge(f"{path(namespace, name='rook')}/status", {"status": status})
    assert answer.ok, answer.message
    row = kubectl(cluster, "get", "iov", "-n", namespace, "-o", "wide", "--no-headers").split()
    assert row[:-1] == ["rook", "False", "RollingOut", "9", "5", "4", "Webhook", "2/3", "0123456789abcdef"]
