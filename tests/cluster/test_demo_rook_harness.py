"""The harness of the scenarios, before anything is judged with it: recorder, stage, GitOps tools.

A recorder that misses a write, or an applier that sees no diff where its model shows one, would make a scenario pass
that should not. Neighbours: `test_demo_rook_builders` for images and manifests.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cluster.api import Api, Json
from tests.cluster.appliers import FLUX, argo_like, flux_like, unlike
from tests.cluster.operators import good
from tests.cluster.override_stage import Stage, is_settled, stage_of, wait_for
from tests.cluster.override_stage_recorder import Recorder

from pawl.cli.demo_rook_chart import account
from pawl.cli.demo_rook_chart import cluster as config
from pawl.cli.demo_rook_chart import operator as operator_deployment
from pawl.cli.demo_rook_objects import CLUSTER, OPERATOR
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

GIT, THEIRS = "registry.example.com/git/web:v1", "registry.example.com/foreign/web:v1"
REWRITTEN = "registry.corp:5000/git/web:v1"
NEVER = 3600.0
"""Seconds between two looks of an applier that a test lets look by hand."""
WEB = operator_deployment(GIT)
DEPLOYMENT = ("deployments", OPERATOR)


@pytest.fixture
def stage(api: Api, cluster: Cluster, tmp_path: Path) -> Iterator[Stage]:
    with stage_of(api, cluster, tmp_path, team="storage") as made:
        yield made


# the recorder


def test_every_write_is_recorded_with_its_manager(stage: Stage) -> None:
    with stage.recording() as recorder:
        stage.apply(WEB)
        stage.apply(operator_deployment(THEIRS), manager="other")
        stage.edit(*DEPLOYMENT, {"metadata": {"annotations": {"a": "b"}}})
        stage.delete(*DEPLOYMENT)
        stage.wait(lambda: recorder.deleted("Deployment"), "the deletion to be seen")
    assert recorder.images("Deployment", OPERATOR) == [GIT, THEIRS]
    assert recorder.generations("Deployment", OPERATOR) == [
        1,
        2,
        3,
    ]  # a Deployment's annotations count, by its strategy
    assert [change.image for change in recorder.writes("Deployment", OPERATOR)] == [GIT, THEIRS, THEIRS]
    assert [change.image for change in recorder.writes("Deployment", OPERATOR, "other")] == [THEIRS]
    assert recorder.writes("Deployment", OPERATOR, "pawl") == []


def test_what_is_made_anew_under_its_name_is_another_object(stage: Stage) -> None:
    with stage.recording() as recorder:
        for image in (GIT, THEIRS):
            stage.apply(account(OPERATOR), operator_deployment(image))
            stage.wait(lambda: stage.settled(*DEPLOYMENT), "its Pod")
            stage.delete(*DEPLOYMENT, propagation="Foreground")
            stage.wait(lambda: stage.find(*DEPLOYMENT) is None, "it to be gone")
        stage.wait(lambda: len(recorder.deleted("Pod")) == 2, "both Pods to be seen going")
    assert [change.image for change in recorder.writes("Deployment", OPERATOR)] == [GIT, THEIRS]
    assert recorder.generations("Deployment", OPERATOR) == [1, 2, 1, 2]  # a foreground deletion raises it
    assert len(recorder.created("Deployment", OPERATOR)) == len(recorder.deleted("Deployment")) == 2
    assert len(recorder.created("ReplicaSet")) == 2
    assert [change.image for change in recorder.changes("Pod") if change.type == "ADDED"] == [GIT, THEIRS]


def test_nothing_of_another_namespace_is_recorded(stage: Stage, api: Api, cluster: Cluster, tmp_path: Path) -> None:
    with stage_of(api, cluster, tmp_path) as other, stage.recording() as recorder:
        other.apply(account(OPERATOR), WEB)
        other.wait(lambda: other.settled(*DEPLOYMENT), "the other's Pod")
        stage.apply(account(OPERATOR), WEB)
        stage.wait(lambda: recorder.changes("Pod"), "the own Pod")
    assert {change.body["metadata"]["namespace"] for change in recorder.changes()} == {stage.namespace}


def test_a_recorder_that_cannot_watch_says_so(tmp_path: Path) -> None:
    nowhere = tmp_path / "kubeconfig"
    nowhere.write_text("{}")
    with pytest.raises(AssertionError, match="recorder broke"):
        Recorder(nowhere, "default").start()


# the stage


def test_waiting_ends_with_words(stage: Stage) -> None:
    with pytest.raises(AssertionError, match="not yet: rain; seen: dust"):
        wait_for(lambda: False, 0.1, "rain", seen=lambda: "dust")
    assert stage.wait(lambda: 7, "nothing") == 7


def test_a_workload_is_settled_with_all_pods_of_the_newest_template(stage: Stage) -> None:
    stage.install(GIT)
    found = stage.read(*DEPLOYMENT)
    assert is_settled(found)
    assert not is_settled(found | {"metadata": found["metadata"] | {"generation": 99}})
    assert not is_settled(found | {"status": found["status"] | {"updatedReplicas": 0}})
    assert not is_settled(found | {"status": found["status"] | {"replicas": 2}})
    assert stage.images(OPERATOR) == {stage.pods(OPERATOR)[0]["metadata"]["name"]: {OPERATOR: GIT}}


# GitOps


@pytest.mark.parametrize("applier", [argo_like, flux_like])
def test_an_applier_heals_what_differs_and_tells_it(stage: Stage, applier: type) -> None:
    with applier(stage, WEB, config("a"), heal=0.5) as git:
        stage.wait(lambda: git.report.looks >= 2, "two looks")
        assert not git.report.saw_a_diff
        stage.set_image(*DEPLOYMENT, THEIRS)
        stage.wait(lambda: git.report.applies, "it to heal")
        stage.delete("configmaps", CLUSTER)
        stage.wait(lambda: stage.find("configmaps", CLUSTER), "what is gone to come back")
    assert stage.image(*DEPLOYMENT) == GIT
    assert [line for line in git.report.diffs if THEIRS in line]
    assert f"ConfigMap/{CLUSTER}: gone" in git.report.diffs


@pytest.mark.parametrize("applier", [argo_like, flux_like])
def test_fields_that_git_does_not_name_are_no_diff(stage: Stage, applier: type) -> None:
    with applier(stage, WEB, heal=NEVER) as git:
        stage.edit(*DEPLOYMENT, {"metadata": {"annotations": {"pawl.dev/original": "{}"}}, "spec": {"paused": True}})
        assert git.look() == []
    assert stage.read(*DEPLOYMENT)["spec"]["paused"]


@pytest.mark.parametrize("applier", [argo_like, flux_like])
def test_a_new_commit_is_applied_without_a_diff(stage: Stage, applier: type) -> None:
    with applier(stage, WEB, heal=NEVER) as git:
        git.commit(operator_deployment(THEIRS))
        assert git.look() == []
    assert stage.image(*DEPLOYMENT) == THEIRS
    assert git.report.applies == 0


def test_each_applies_in_its_own_way(stage: Stage) -> None:
    with argo_like(stage, WEB, heal=NEVER), flux_like(stage, config("a"), heal=NEVER):
        pass
    metadata = stage.read(*DEPLOYMENT)["metadata"]
    assert "kubectl.kubernetes.io/last-applied-configuration" in metadata["annotations"]
    entries = stage.read("configmaps", CLUSTER)["metadata"]["managedFields"]
    assert [(entry["manager"], entry["operation"]) for entry in entries] == [(FLUX, "Apply")]


@pytest.mark.usefixtures("rewriting")
def test_an_admission_that_rewrites_templates_is_a_diff_for_argo_and_none_for_flux(stage: Stage) -> None:
    """As Argo CD and Flux treat a mutating webhook: the one compares with Git, the other asks the server."""
    with argo_like(stage, WEB, heal=NEVER) as argo, flux_like(stage, WEB, heal=NEVER) as flux:
        assert stage.image(*DEPLOYMENT) == REWRITTEN
        generation = stage.read(*DEPLOYMENT)["metadata"]["generation"]
        assert [line for line in argo.look() if REWRITTEN in line]
        assert flux.look() == []
        assert argo.report.server_diffs == []  # kubectl passes admission, as Argo CD's ServerSideDiff does
    assert stage.read(*DEPLOYMENT)["metadata"]["generation"] == generation  # healing in vain makes no rollout


def rewritten_in_dry_run(stage: Stage) -> bool:
    answer = good(stage.api._send("POST", stage.path("deployments"), WEB, params={"dryRun": "All"}))
    return str(answer.body["spec"]["template"]["spec"]["containers"][0]["image"]) == REWRITTEN


@pytest.fixture
def rewriting(api: Api, stage: Stage) -> Iterator[None]:
    """A policy that rewrites the Deployments of the namespace as they are written."""
    group, name = "apis/admissionregistration.k8s.io/v1", stage.namespace
    named = {"metadata": {"name": name}, "apiVersion": "admissionregistration.k8s.io/v1"}
    policy = named | {"kind": "MutatingAdmissionPolicy", "spec": policy_spec(name)}
    binding = named | {"kind": "MutatingAdmissionPolicyBinding", "spec": {"policyName": name}}
    good(api.post(f"{group}/mutatingadmissionpolicies", policy))
    good(api.post(f"{group}/mutatingadmissionpolicybindings", binding))
    stage.wait(lambda: rewritten_in_dry_run(stage), "the policy to act")
    yield
    good(api.delete(f"{group}/mutatingadmissionpolicybindings/{name}"))
    good(api.delete(f"{group}/mutatingadmissionpolicies/{name}"))


def policy_spec(namespace: str) -> Json:
    only = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    rules = [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["deployments"]}]
    path = "/spec/template/spec/containers/0/image"
    patch = f'[JSONPatch{{op: "replace", path: "{path}", value: "{REWRITTEN}"}}]'
    return {
        "reinvocationPolicy": "Never",
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": rules, "namespaceSelector": only},
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(JSON)
def test_nothing_is_unlike_itself(value: object) -> None:
    assert list(unlike(value, value, "")) == []


@given(st.dictionaries(st.text(max_size=3), JSON, min_size=1, max_size=3), st.data())
def test_one_changed_field_is_told_by_its_path_and_one_more_is_not(wanted: Json, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(wanted)))
    changed = wanted | {key: ["another", wanted[key]]}
    assert any(line.startswith(f".{key}") for line in unlike(wanted, changed, "")) or wanted[key] in ({}, [])
    assert list(unlike(wanted, wanted | {"added": 1, **wanted}, "")) == []


def test_named_things_are_compared_by_name() -> None:
    git = [{"name": "app", "image": "a"}]
    assert list(unlike(git, [{"name": "sidecar", "image": "s"}, {"name": "app", "image": "a", "x": 1}], "c")) == []
    assert list(unlike(git, [{"name": "app", "image": "b"}], "c")) == ["c[app].image: 'b' instead of 'a'"]
    assert list(unlike(git, [{"name": "other", "image": "a"}], "c")) == [
        "c[app]: None instead of {'name': 'app', 'image': 'a'}"
    ]
