"""The chart's gate is what `pawl gate` prints, for every namespace and version; its CRDs are those of `pawl crds`."""

from __future__ import annotations

import pytest
import yaml
from click.testing import CliRunner
from tests.chart.chart_cases import MATRIX
from tests.chart.rendering import BETA_API, CHART, POLICY_API, Json, merged, of_kind, render

from pawl import __version__
from pawl.api.crd import crds
from pawl.cli.gate import gate

KINDS = ("MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding")


def policies(given: Json | None = None, namespace: str = "pawl-system", api: str = POLICY_API) -> list[Json]:
    return [each for each in render(given, namespace, api=api) if each["kind"] in KINDS]


def printed(*arguments: str) -> list[Json]:
    return list(yaml.load_all(CliRunner().invoke(gate, list(arguments)).output, yaml.CSafeLoader))


def unlabelled(documents: list[Json]) -> list[Json]:
    bare = [{**each, "metadata": {"name": each["metadata"]["name"]}} for each in documents]
    return sorted(bare, key=lambda each: (each["kind"], each["metadata"]["name"]))


@pytest.mark.parametrize("namespace", ["pawl-system", "aaa", "zzz", "kube-system", "kube-public"])
@pytest.mark.parametrize(("api", "flags"), [(POLICY_API, []), (BETA_API, ["--beta"])])
def test_the_gate_is_what_pawl_gate_prints(namespace: str, api: str, flags: list[str]) -> None:
    assert len(printed()) == 8
    assert unlabelled(policies(namespace=namespace, api=api)) == unlabelled(printed("--namespace", namespace, *flags))


@pytest.mark.parametrize(
    ("policy", "api", "version"),
    [
        ("Auto", POLICY_API, "v1"),
        ("Auto", BETA_API, "v1beta1"),
        ("Auto", "", None),
        ("Always", "", "v1"),
        ("Always", BETA_API, "v1beta1"),
        ("Never", POLICY_API, None),
    ],
)
def test_policies_are_rendered_where_they_are_served_or_as_one_says(policy: str, api: str, version: str | None) -> None:
    found = {each["apiVersion"] for each in policies({"gate": {"policy": policy}}, api=api)}
    assert found == ({f"admissionregistration.k8s.io/{version}"} if version else set())


@pytest.mark.parametrize("api", [POLICY_API, BETA_API, ""])
def test_the_webhook_is_always_at_hand_and_always_empty(api: str) -> None:
    documents = render({"gate": {"policy": "Never" if not api else "Auto"}}, api=api)
    (configuration,) = of_kind(documents, "MutatingWebhookConfiguration")
    assert configuration["metadata"]["name"] == "pawl"
    assert set(configuration) == {"apiVersion", "kind", "metadata"}
    assert [each["metadata"]["name"] for each in of_kind(documents, "Service")] == ["pawl-metrics", "pawl-webhook"]


def test_without_a_gate_there_is_none() -> None:
    documents = render(MATRIX["no gate"])
    assert not [each for each in documents if each["kind"] in (*KINDS, "MutatingWebhookConfiguration")]
    assert [each["metadata"]["name"] for each in of_kind(documents, "Service")] == ["pawl-metrics"]


@pytest.mark.parametrize("keep", [{"keep": True}, {"keep": False}], ids=str)
def test_the_crds_are_those_of_pawl(keep: dict[str, bool]) -> None:
    found = of_kind(render({"crds": keep}), "CustomResourceDefinition")
    assert unlabelled(found) == unlabelled(crds())
    for each in found:
        assert ("helm.sh/resource-policy" in each["metadata"].get("annotations", {})) == keep["keep"]


def test_annotations_of_a_crd_are_kept_beside_ours() -> None:
    given = {each["metadata"]["name"]: each["metadata"].get("annotations", {}) for each in crds()}
    for each in of_kind(render(), "CustomResourceDefinition"):
        wanted = merged(given[each["metadata"]["name"]], {"helm.sh/resource-policy": "keep"})
        assert each["metadata"]["annotations"] == wanted


def test_the_chart_is_of_this_version() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == __version__


def test_cert_manager_writes_the_secret_that_the_operator_reads() -> None:
    documents = render({"webhook": {"certManager": {"enabled": True}}}, "elsewhere")
    (certificate,) = of_kind(documents, "Certificate")
    (issuer,) = of_kind(documents, "Issuer")
    assert certificate["spec"]["secretName"] == "pawl-webhook"
    assert certificate["spec"]["dnsNames"][0] == "pawl-webhook.elsewhere.svc"
    assert certificate["spec"]["issuerRef"]["name"] == issuer["metadata"]["name"]
    given = {"webhook": {"certManager": {"enabled": True, "issuerRef": {"name": "corp", "kind": "ClusterIssuer"}}}}
    assert not of_kind(render(given), "Issuer")
    assert of_kind(render(given), "Certificate")[0]["spec"]["issuerRef"] == {"name": "corp", "kind": "ClusterIssuer"}
