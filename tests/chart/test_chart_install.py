"""Releases of the chart, really installed: all is taken, upgrades undo nothing, uninstalling leaves the CRDs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml
from tests.chart.releases import Json, Machine, Release, Site, on_site, wait_until
from tests.chart.rendering import RefusedError, of_kind, render
from tests.cluster.identities import kubeconfig_of

from pawl.admission.webhookconfig import Endpoint, webhook_manifest
from pawl.api.catalog import KINDS

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

WEBHOOKS = "apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/pawl"
POLICY: Json = {
    "apiVersion": "pawl.dev/v1alpha1",
    "kind": "ImagePolicy",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"image": "registry.example.com/web", "select": {"alphabetical": {}}},
}


def versions(release: Release) -> dict[str, str]:
    """What the API server counts for each object: its version, or its generation where a status has its own writers."""
    found = {}
    for (kind, name), live in release.live(release.manifest()).items():
        metadata = live["metadata"]
        counted = metadata["resourceVersion"] if "generation" not in metadata else metadata["generation"]
        found[f"{kind}/{name}"] = str(counted)
    return found


@on_site()
def test_everything_is_taken_and_the_pods_are_restricted(site: Site) -> None:
    release = site.release
    release.given = {"imagePullSecrets": ["one"], "metrics": {"dashboard": {"enabled": True}}}
    notes = release.install()
    assert "Pawl 0.1.0 runs in" in notes
    assert "WARNING" not in notes
    assert [each["status"]["phase"] for each in release.pods()] == ["Running", "Running"]
    for each in release.pods():
        assert each["spec"]["imagePullSecrets"] == [{"name": "one"}]
    wanted = {(each["kind"], each["metadata"]["name"]) for each in release.manifest()}
    assert set(release.live(release.manifest())) == wanted


@on_site()
def test_the_test_pod_is_taken_too(site: Site) -> None:
    api, release = site.api, site.release
    (pod,) = of_kind(render(release.given, release.namespace), "Pod")
    wait_until(lambda: release.machine.get("serviceaccount", "default", "-n", release.namespace))
    answer = api.post(f"api/v1/namespaces/{release.namespace}/pods?dryRun=All", pod)
    assert answer.ok, answer.message
    pod["spec"]["securityContext"]["runAsNonRoot"] = False
    assert "restricted" in api.post(f"api/v1/namespaces/{release.namespace}/pods?dryRun=All", pod).message


@on_site()
def test_an_upgrade_with_the_same_values_writes_nothing(site: Site) -> None:
    release = site.release
    release.install()
    before = versions(release)
    assert len(before) > 20
    release.upgrade()
    assert versions(release) == before
    release.upgrade({"logLevel": "debug"})
    changed = {name for name, version in versions(release).items() if version != before[name]}
    assert changed == {"Deployment/pawl"}


@on_site()
def test_what_the_operator_wrote_survives_upgrades_and_rollbacks(site: Site) -> None:
    api, release = site.api, site.release
    release.install()
    assert "webhooks" not in api.get(WEBHOOKS).body
    filled = webhook_manifest(release.namespace, Endpoint("pawl-webhook", b"an authority"))
    wanted = {key: filled[key] for key in ("apiVersion", "kind", "webhooks")} | {"metadata": {"name": "pawl"}}
    assert api.apply(WEBHOOKS, wanted, "pawl").ok
    written = api.get(WEBHOOKS).body["webhooks"]
    assert written[0]["clientConfig"]["caBundle"]
    release.upgrade({"webhook": {"annotations": {"a": "b"}}})
    assert api.get(WEBHOOKS).body["metadata"]["annotations"]["a"] == "b"
    assert api.get(WEBHOOKS).body["webhooks"] == written
    release.rollback(1)
    assert api.get(WEBHOOKS).body["webhooks"] == written
    # Helm 4 applies on the server's side, without force.
    (configuration,) = of_kind(release.manifest(), "MutatingWebhookConfiguration")
    answer = api.apply(WEBHOOKS, configuration, "helm", force=False)
    assert answer.ok, answer.message
    assert answer.body["webhooks"] == written


@on_site()
def test_uninstalling_leaves_the_crds_and_nothing_else_and_another_release_takes_them_over(site: Site) -> None:
    api, machine, release = site.api, site.machine, site.release
    release.install()
    policies = "apis/pawl.dev/v1alpha1/namespaces/default/imagepolicies"
    made = api.post(policies, POLICY)
    assert made.ok, made.message
    objects = release.manifest()
    assert "CustomResourceDefinition" in release.uninstall()
    kept = {key for key in release.live(objects) if key[0] == "CustomResourceDefinition"}
    assert len(kept) == len(KINDS)
    wait_until(lambda: set(release.live(objects)) == kept)
    other = Release(machine, release.namespace, "other")
    try:
        with pytest.raises(RefusedError, match="cannot be imported into the current release"):
            other.install()
        other.install("--take-ownership")
        found = api.get(f"{policies}/web").body
        assert found["metadata"]["uid"] == made.body["metadata"]["uid"]
    finally:
        other.uninstall()
        assert api.delete(f"{policies}/web").ok


@on_site()
def test_crds_that_are_not_kept_go(site: Site) -> None:
    release, machine = site.release, site.machine
    release.given = {"crds": {"keep": False}}
    assert "WARNING: crds.keep is false" in release.install()
    release.uninstall()
    wait_until(lambda: not [each for each in machine.get("crd") or () if each["spec"]["group"] == "pawl.dev"])


@on_site()
def test_a_second_install_in_the_cluster_is_refused_before_it_can_fight(site: Site) -> None:
    machine, release = site.machine, site.release
    release.install()
    machine.kubectl("create", "namespace", f"{release.namespace}-2")
    second = Release(machine, f"{release.namespace}-2", given={"crds": {"enabled": False}})
    try:
        with pytest.raises(RefusedError, match="invalid ownership metadata"):
            second.install()
    finally:
        second.uninstall()
        machine.kubectl("delete", "namespace", second.namespace, "--wait=false")


@on_site()
def test_a_namespaced_install_needs_no_right_over_the_cluster(site: Site) -> None:
    cluster, machine, release, tmp_path = site.ground.cluster, site.machine, site.release, site.ground.directory
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    path = asyncio.run(kubeconfig_of(cluster, release.namespace, "team", tmp_path, [everything]))
    machine.kubectl("create", "namespace", f"{release.namespace}-apps")
    try:
        grant = ("--clusterrole=cluster-admin", f"--serviceaccount={release.namespace}:team")
        machine.kubectl("create", "rolebinding", "team", *grant, "-n", f"{release.namespace}-apps")
        release.machine = Machine(Path(path), machine.kubectl_path)
        release.given = {
            "watchNamespaces": [f"{release.namespace}-apps"],
            "crds": {"enabled": False},
            "gate": {"enabled": False},
        }
        assert "WARNING: gate.enabled is false" in release.install()
        assert len(release.pods()) == 2
        release.uninstall()
    finally:
        machine.kubectl("delete", "namespace", f"{release.namespace}-apps", "--wait=false")


@on_site()
def test_bad_values_and_unknown_keys_fail_before_anything_is_made(site: Site) -> None:
    machine, release = site.machine, site.release
    for given, words in (
        ({"replicaCount": 2}, "replicaCount is not allowed"),
        ({"image": {"registry": ""}}, "say where"),
    ):
        release.given = given
        with pytest.raises(RefusedError, match=words):
            release.install()
    assert not machine.get("deployments", "-n", release.namespace)
    assert machine.helm("list", "--namespace", release.namespace, "--all", "--short") == ""


@on_site()
def test_notes_warn_of_what_is_missing(site: Site) -> None:
    release = site.release
    release.given = {"replicas": 1, "gate": {"enabled": False}, "rbac": {"create": False}, "crds": {"enabled": False}}
    notes = release.install("--dry-run=server")
    for words in ("gate.enabled is false", "with one replica", "rbac.create is false", "crds.enabled is false"):
        assert words in notes
    release.given = {"gate": {"policy": "Never"}}
    assert "the operator's webhook rewrites Pods" in release.install("--dry-run=server")
    assert yaml.safe_dump(release.given) not in notes
