"""The objects of the gate: what they look at, and what they can never touch."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from pawl.admission.gate import gate_manifests
from pawl.admission.webhookconfig import Endpoint
from pawl.cli.gate import gate

Json = dict[str, Any]
NEVER = {"kube-system", "kube-node-lease", "own"}


def policies(**options: Any) -> list[Json]:
    return [each for each in gate_manifests("own", **options) if each["kind"] == "MutatingAdmissionPolicy"]


def selectors() -> list[Json]:
    webhooks = gate_manifests("own", "webhook", Endpoint("https://h:1"))[0]["webhooks"]
    return [each["spec"]["matchConstraints"] for each in policies()] + webhooks


@pytest.mark.parametrize("selector", selectors(), ids=range(6))
def test_the_system_and_what_is_labelled_stay_out(selector: Json) -> None:
    names, label = selector["namespaceSelector"]["matchExpressions"]
    assert names["operator"] == "NotIn"
    assert set(names["values"]) == NEVER
    assert label == {"key": "pawl.dev/ignore", "operator": "NotIn", "values": ["true"]}
    assert selector["objectSelector"]["matchExpressions"] == [label]


def test_every_policy_has_its_binding_to_the_table_that_may_be_absent() -> None:
    found = gate_manifests("own")
    for policy, binding in zip(found[::2], found[1::2], strict=True):
        assert binding["spec"]["policyName"] == policy["metadata"]["name"]
        assert binding["spec"]["paramRef"] == {"name": "pawl", "parameterNotFoundAction": "Allow"}
        assert policy["spec"]["failurePolicy"] == "Ignore"
        assert policy["spec"]["reinvocationPolicy"] == "IfNeeded"


def test_pods_are_looked_at_once_and_templates_as_they_can_change() -> None:
    pods, _, templates, _ = (each["spec"]["matchConstraints"]["resourceRules"] for each in policies())
    assert [(each["resources"], each["operations"]) for each in pods] == [
        (["pods"], ["CREATE"]),
        (["pods/ephemeralcontainers"], ["UPDATE"]),
    ]
    assert [(each["resources"], each["operations"]) for each in templates][-1] == (["jobs"], ["CREATE"])


def test_match_conditions_name_no_variables() -> None:
    """The API server does not know them there."""
    for policy in policies():
        assert not [each for each in policy["spec"]["matchConditions"] if "variables." in each["expression"]]


def test_only_the_clusters_table_leaves_namespaces_out() -> None:
    named = {each["metadata"]["name"]: [c["name"] for c in each["spec"]["matchConditions"]] for each in policies()}
    assert {name for name, conditions in named.items() if "no-own-table" in conditions} == {
        "pawl-cluster",
        "pawl-cluster-templates",
    }


def test_templates_are_given_no_secrets() -> None:
    for policy in policies()[2:]:
        assert "imagePullSecrets" not in str(policy)


@pytest.mark.parametrize(("served", "version"), [("policy-v1", "v1"), ("policy-v1beta1", "v1beta1")])
def test_the_version_is_what_the_cluster_serves(served: Any, version: str) -> None:
    assert {each["apiVersion"] for each in gate_manifests("own", served)} == {f"admissionregistration.k8s.io/{version}"}


def test_a_webhook_without_an_endpoint_is_none() -> None:
    assert gate_manifests("own", "webhook") == []


def test_a_webhook_holds_nothing_up() -> None:
    for webhook in gate_manifests("own", "webhook", Endpoint("pawl", b"ca"))[0]["webhooks"]:
        assert (webhook["failurePolicy"], webhook["timeoutSeconds"], webhook["sideEffects"]) == ("Ignore", 2, "None")
        assert webhook["clientConfig"]["service"] == {
            "name": "pawl",
            "namespace": "own",
            "path": "/mutate",
            "port": 443,
        }
        assert webhook["clientConfig"]["caBundle"] == "Y2E="


@pytest.mark.parametrize(
    ("arguments", "kinds"),
    [
        ([], {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"}),
        (["--beta"], {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"}),
        (["--webhook", "https://127.0.0.1:9"], {"MutatingWebhookConfiguration"}),
    ],
)
def test_the_command_prints_them(arguments: list[str], kinds: set[str]) -> None:
    printed = CliRunner().invoke(gate, ["--namespace", "own", *arguments])
    assert printed.exit_code == 0
    documents = list(yaml.safe_load_all(printed.output))
    assert {each["kind"] for each in documents} == kinds
    assert ("v1beta1" in printed.output) is ("--beta" in arguments)
