"""An install without any ClusterRole: policies select, overrides roll, and nothing else of the cluster is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from tests.cluster.audit import Audit, auditing
from tests.cluster.grants import Account, granted
from tests.cluster.grounds import Ground, ready_on, scenario
from tests.cluster.operators import Operator, Shop, good, operator_of, selected, spec
from tests.cluster.override_scene import Scene
from tests.cluster.override_stage import Stage, stage_of, wait_for
from tests.cluster.override_stage_specs import cluster_override, rollout, rule
from tests.cluster.override_stage_workloads import deployment
from tests.support.registry import FakeRegistry

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

TOLERATED = {
    ("", "nodes", "list"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies", "get"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", "get"),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "get"),
}
"""Asked for in case somebody grants it; refused, Pawl does without."""


@dataclass(frozen=True)
class Install:
    """One operator that watches one namespace, and what it asked for."""

    stage: Stage
    other: Stage
    account: Account
    audit: Audit
    pawl: Operator

    @property
    def scene(self) -> Scene:
        return Scene(self.stage, self.pawl)


@contextmanager
def install_on(ground: Ground) -> Iterator[Install]:
    api, cluster, directory = ground.api, ground.cluster, ground.directory
    with (
        ready_on(ground),
        stage_of(api, cluster, directory, tier="gold") as stage,
        stage_of(api, cluster, directory) as other,
        granted(cluster, api, directory, watched=[stage.namespace]) as account,
        auditing(account.kubeconfig) as audit,
    ):
        flags = ("--no-manage-gate", "--plain-http-hosts", stage.registry, "--watch-namespaces", stage.namespace)
        with operator_of(account.through(audit.url), directory, *flags, namespace=account.namespace) as pawl:
            yield Install(stage, other, account, audit, pawl)


on_install = scenario(install_on)


@on_install()
async def test_a_policy_selects_and_an_override_rolls_with_roles_alone(install: Install) -> None:
    stage, scene = install.stage, install.scene
    scene.push()
    async with FakeRegistry() as registry:
        registry.push("shop/web", "v1.0.0")
        shop = Shop(stage.api, stage.namespace, install.pawl)
        shop.create(spec(registry.host))
        assert (await shop.tag("v1.0.0"))["digest"]
        good(
            stage.api.post(
                f"apis/pawl.dev/v1alpha1/namespaces/{install.other.namespace}/imagepolicies", other(registry)
            )
        )
        scene.start(deployment("web", scene.source()))
        install.other.apply(deployment("web", scene.source()))
        stage.apply(scene.mirror(rollout=rollout(prepull=True)))
        scene.done()
        assert scene.pod_images("web") == [scene.target()]
        assert "for which platforms is not known" in scene.message("Preflight")
        assert scene.conditions()["Prepulled"] == "Unknown/NodesUnknown"
        good(stage.delete("imageoverrides", "private"))
        scene.wait(lambda: scene.pod_images("web") == [scene.source()], "the old image to run")
        wait_for(lambda: stage.find("imagerules", "pawl") is None, what="the table to go")
        assert "selection" not in good(
            stage.api.get(f"apis/pawl.dev/v1alpha1/namespaces/{install.other.namespace}/imagepolicies/web")
        ).body.get("status", {})
    assert selected(shop.read())
    nothing_else(install)


def other(registry: FakeRegistry) -> dict[str, object]:
    body = {"apiVersion": "pawl.dev/v1alpha1", "kind": "ImagePolicy", "metadata": {"name": "web"}}
    return body | {"spec": spec(registry.host)}


def nothing_else(install: Install) -> None:
    """Nothing was asked for outside, but for what is tolerated, and the log has no error and says nothing twice."""
    places = {install.stage.namespace, install.account.namespace}
    outside = {one.right for one in install.audit.asked if one.namespace not in places}
    assert outside <= TOLERATED
    assert {one.right for one in install.audit.refused} <= TOLERATED
    assert Counter(one.resource for one in install.audit.refused)["nodes"] == 1
    lines = install.pawl.lines()
    assert [line for line in lines if line["level"] == "error"] == []
    said = Counter((line["event"], str(line.get("error"))) for line in lines if line["level"] == "warning")
    assert {what: times for what, times in said.items() if times > 1} == {}


@on_install()
def test_cluster_wide_overrides_are_not_looked_at(install: Install) -> None:
    stage, scene = install.stage, install.scene
    scene.push()
    scene.start(deployment("web", scene.source()))
    name = f"wide-{stage.namespace}"
    stage.apply_cluster(cluster_override(rule("quay.example.com", scene.place), namespaces={"tier": "gold"}, name=name))
    try:
        stage.apply(scene.mirror(rollout=rollout(mode="AdmissionOnly")))
        scene.until("Ready", "True")
        found = good(stage.api.get(f"apis/pawl.dev/v1alpha1/clusterimageoverrides/{name}")).body
        assert "conditions" not in found.get("status", {})
        assert not [one for one in install.audit.asked if one.resource.startswith("clusterimage")]
    finally:
        stage.api.delete(f"apis/pawl.dev/v1alpha1/clusterimageoverrides/{name}")


@on_install()
def test_status_shows_what_its_user_may_see(install: Install) -> None:
    scene = install.scene
    scene.push()
    scene.start(deployment("web", scene.source()))
    install.stage.apply(scene.mirror())
    scene.done()
    argv = [sys.executable, "-m", "pawl", "status", "-n", install.stage.namespace]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PAWL_")}
    environ["KUBECONFIG"] = str(install.account.kubeconfig)
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "private" in done.stdout
    assert "Traceback" not in done.stderr


@on_install()
def test_labels_of_the_namespace_are_followed(install: Install) -> None:
    """They are read by name: a namespace that is to be left alone is, at the next reading."""
    scene = install.scene
    scene.push()
    scene.start(deployment("web", scene.source()))
    install.stage.apply(scene.mirror())
    scene.done()
    path = f"api/v1/namespaces/{install.stage.namespace}"
    good(install.stage.api.merge(path, {"metadata": {"labels": {"pawl.dev/ignore": "true"}}}))
    scene.until("Accepted", "True/NamespaceMissing")
