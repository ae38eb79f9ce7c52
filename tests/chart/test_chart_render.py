"""What is rendered, whatever the values: one image, pull Secrets everywhere, restricted Pods, least rights."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.chart.chart_cases import CASES, DIGEST, EVERYTHING, MATRIX, nested
from tests.chart.rendering import (
    CHART,
    MINIMUM,
    REGISTRY,
    Json,
    deployment,
    merged,
    of_kind,
    operator_pod,
    pod_specs,
    render,
    run_helm,
    text,
    variables,
)

import pawl
from pawl.cli.generate_values import values

NO_CRDS: Json = {"crds": {"enabled": False}}
"""They are two thirds of the text and no value but their own concerns them."""
ALL: dict[str, Json] = {name: merged(NO_CRDS, given) for name, given in MATRIX.items()} | {
    path: merged({} if path.startswith("crds.") else NO_CRDS, case.beside, nested(path, case.value))
    for path, case in CASES.items()
}
DECLARED = [value.path for value in values((CHART / "values.yaml").read_text())]


def test_every_value_has_a_case_and_no_case_is_left_over() -> None:
    print(f"values rendered at least once: {len(set(CASES) & set(DECLARED))} of {len(DECLARED)}")  # noqa: T201 - the figure is asked for
    assert set(CASES) == set(DECLARED)


@pytest.mark.parametrize("path", CASES)
def test_every_value_shows_in_what_is_rendered(path: str) -> None:
    case = CASES[path]
    before = merged({} if path.startswith("crds.") else NO_CRDS, case.beside)
    if path == "serviceAccount.create":  # off, it asks for the name of another
        before = merged(before, {"serviceAccount": {"create": True}})
    assert text(ALL[path]) != text(before)


@pytest.mark.parametrize("case", MATRIX)
def test_lint_finds_nothing(case: str) -> None:
    run_helm("lint", "--strict", str(CHART), "--values", "-", stdin=json.dumps(merged(MINIMUM, MATRIX[case])))


@pytest.mark.parametrize("case", MATRIX)
def test_two_renderings_are_equal(case: str) -> None:
    given = json.dumps(merged(MINIMUM, MATRIX[case]))
    command = ("template", "pawl", str(CHART), "--values", "-")
    assert run_helm(*command, stdin=given) == run_helm(*command, stdin=given)


@pytest.mark.parametrize("case", ALL)
def test_every_object_is_named_once_and_labelled(case: str) -> None:
    documents = render(ALL[case])
    names = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in documents]
    assert len(set(names)) == len(names)
    for each in documents:
        if case != "extraObjects":
            labels = each["metadata"]["labels"]
            assert labels["app.kubernetes.io/instance"] == "pawl"
            assert labels["app.kubernetes.io/managed-by"] == "Helm"
            assert labels["app.kubernetes.io/version"] == pawl.__version__


@pytest.mark.parametrize("case", ALL)
def test_all_pods_run_one_image_with_all_pull_secrets(case: str) -> None:
    given = ALL[case]
    names = [*given.get("global", {}).get("imagePullSecrets", []), *given.get("imagePullSecrets", [])]
    wanted = list(dict.fromkeys(name if isinstance(name, str) else name["name"] for name in names))
    images = set()
    for name, spec in pod_specs(render(given)):
        images |= {each["image"] for each in spec["containers"] if each["name"] in {"pawl", "ready"}}
        assert [each["name"] for each in spec.get("imagePullSecrets", [])] == wanted, name
    assert len(images) == 1
    assert variables(given).get("PAWL_PULL_SECRETS", "") == ",".join(wanted)


@pytest.mark.parametrize("case", MATRIX)
def test_every_pod_satisfies_the_level_restricted(case: str) -> None:
    for name, spec in pod_specs(render(MATRIX[case])):
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")), name
        assert all("emptyDir" in volume for volume in spec["volumes"])
        for container in spec["containers"]:
            inner = container["securityContext"]
            assert inner["allowPrivilegeEscalation"] is False
            assert inner["readOnlyRootFilesystem"] is True
            assert inner["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("case", ALL)
def test_nothing_is_rendered_that_the_operator_writes(case: str) -> None:
    documents = render(ALL[case])
    assert not any("webhooks" in each for each in of_kind(documents, "MutatingWebhookConfiguration"))
    assert {each["kind"] for each in documents} & {"Secret", "Lease", "ImageRules", "ClusterImageRules"} == set()


@pytest.mark.parametrize("case", [case for case in ALL if "namespaced" in case or case == "watchNamespaces"])
def test_a_namespaced_install_has_no_right_over_the_cluster(case: str) -> None:
    documents = render(ALL[case])
    assert not of_kind(documents, "ClusterRole")
    assert not of_kind(documents, "ClusterRoleBinding")
    assert not of_kind(documents, "MutatingWebhookConfiguration")
    where = {each["metadata"]["namespace"] for each in of_kind(documents, "RoleBinding")}
    assert where == {"pawl-system", *ALL[case]["watchNamespaces"]}
    assert variables(ALL[case])["PAWL_WATCH_NAMESPACES"] == ",".join(ALL[case]["watchNamespaces"])


@pytest.mark.parametrize("case", ALL)
def test_rules_of_rbac_are_narrow_and_bound_to_the_operator_alone(case: str) -> None:
    documents = render(ALL[case])
    roles = [*of_kind(documents, "Role"), *of_kind(documents, "ClusterRole")]
    for rule in (rule for role in roles for rule in role["rules"]):
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert "secrets" not in rule["resources"] or not {"list", "watch", "deletecollection"} & set(rule["verbs"])
    (account,) = {each["serviceAccountName"] for _, each in pod_specs(documents) if "serviceAccountName" in each}
    for binding in [*of_kind(documents, "RoleBinding"), *of_kind(documents, "ClusterRoleBinding")]:
        subject = {"kind": "ServiceAccount", "name": account, "namespace": "pawl-system"}
        assert binding["subjects"] == [subject]
        kind, name = binding["roleRef"]["kind"], binding["roleRef"]["name"]
        assert (kind, name) in {(role["kind"], role["metadata"]["name"]) for role in roles}


def secret_rules(given: Json) -> dict[tuple[str, str], set[str]]:
    """Verbs on Secrets by the kind and namespace of the role that grants them."""
    found: dict[tuple[str, str], set[str]] = {}
    for role in render(given):
        for rule in role.get("rules", []):
            if "secrets" in rule["resources"] and not rule.get("resourceNames"):
                place = (role["kind"], role["metadata"].get("namespace", ""))
                found.setdefault(place, set()).update(rule["verbs"])
    return found


@pytest.mark.parametrize("watched", [[], ["shop"]])
def test_who_wants_no_registry_grants_nothing_for_one(watched: list[str]) -> None:
    def granted(wanted: bool) -> set[str]:  # noqa: FBT001
        values = {"rbac": {"registries": wanted}, "watchNamespaces": watched}
        roles = [each for each in render(values) if each["kind"] in {"Role", "ClusterRole"}]
        own = [each for each in roles if "aggregate" not in str(each["metadata"]["labels"])]
        return {name for each in own for rule in each["rules"] for name in rule["resources"]}

    only = {"registrystorages", "registrystorages/status", "persistentvolumeclaims", "services", "ingresses"}
    assert only <= granted(True)
    assert not only & granted(False)
    assert ("storageclasses" in granted(True)) is not bool(watched)


def test_secrets_can_be_granted_namespace_by_namespace_and_without_writing() -> None:
    some = secret_rules(MATRIX["Secrets of some namespaces"])
    assert ("ClusterRole", "") in secret_rules({})
    assert ("ClusterRole", "") not in some
    assert {("Role", "shop"), ("Role", "blog")} <= set(some)
    assert "create" in secret_rules({})[("ClusterRole", "")]
    assert secret_rules({"rbac": {"secrets": {"write": False}}})[("ClusterRole", "")] == {"get"}


@pytest.mark.parametrize(
    ("given", "image"),
    [
        ({}, f"{REGISTRY}/pawl:{pawl.__version__}"),
        ({"image": {"tag": "edge"}}, f"{REGISTRY}/pawl:edge"),
        ({"image": {"digest": DIGEST, "tag": "edge"}}, f"{REGISTRY}/pawl@{DIGEST}"),
        ({"global": {"imageRegistry": "mirror.corp/a/"}}, f"mirror.corp/a/pawl:{pawl.__version__}"),
        (
            {
                "global": {"imageRegistry": "mirror.corp"},
                "image": {"registry": "", "repository": "host:5000/team/pawl"},
            },
            f"mirror.corp/team/pawl:{pawl.__version__}",
        ),
        ({"image": {"registry": "", "repository": "localhost/pawl"}}, f"localhost/pawl:{pawl.__version__}"),
        ({"image": {"registry": "r.io", "repository": "team/pawl"}}, f"r.io/team/pawl:{pawl.__version__}"),
    ],
)
def test_the_image_is_put_together(given: Json, image: str) -> None:
    assert operator_pod(given)["containers"][0]["image"] == image


def test_settings_are_variables_and_never_flags() -> None:
    given = {"logLevel": "debug", "plainHTTPHosts": ["a:1", "b:2"], "bindAddress": "::"}
    assert operator_pod(given)["containers"][0]["args"] == ["run"]
    found = variables(given)
    assert (found["PAWL_LOG_LEVEL"], found["PAWL_PLAIN_HTTP_HOSTS"]) == ("debug", "a:1,b:2")
    assert (found["PAWL_BIND"], found["PAWL_WEBHOOK"]) == ("[::]:8080", "[::]:8443")
    assert "PAWL_WEBHOOK" not in variables({"gate": {"enabled": False}})
    assert variables(MATRIX["everything"])["PAWL_WEBHOOK_CERTIFICATES"] == "Secret"


def test_selectors_are_the_labels_that_never_change() -> None:
    selector = deployment()["spec"]["selector"]["matchLabels"]
    changed = {"podLabels": {"app.kubernetes.io/component": "x"}, "commonLabels": {"app.kubernetes.io/name": "x"}}
    other = merged(EVERYTHING, {"image": {"tag": "9"}}, changed)
    assert deployment(other)["spec"]["selector"]["matchLabels"] == selector
    assert selector.items() <= deployment(other)["spec"]["template"]["metadata"]["labels"].items()
    for kind, path in (("Service", ("selector",)), ("PodDisruptionBudget", ("selector", "matchLabels"))):
        for each in of_kind(render(other), kind):
            found: Any = each["spec"]
            for key in path:
                found = found[key]
            assert found == selector
    (test,) = of_kind(render(), "Pod")
    assert not selector.items() <= test["metadata"]["labels"].items()


def test_a_budget_is_there_with_more_than_one_replica_only() -> None:
    assert of_kind(render(), "PodDisruptionBudget")[0]["spec"]["minAvailable"] == 1
    assert not of_kind(render({"replicas": 1}), "PodDisruptionBudget")


def test_another_release_in_another_namespace_keeps_its_own_names() -> None:
    documents = render(name="edge", namespace="edge-system")
    assert deployment(name="edge", namespace="edge-system")["metadata"]["name"] == "edge-pawl"
    assert {each["metadata"]["namespace"] for each in documents if "namespace" in each["metadata"]} == {"edge-system"}
    assert {each["metadata"]["name"] for each in of_kind(documents, "ClusterRole")} > {"edge-pawl"}
