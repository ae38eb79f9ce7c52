"""What the chart grants is enough, for an operator with the token of the release's ServiceAccount."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from tests.chart.releases import Json, Machine, Release, Site, on_site, wait_until
from tests.cluster.operators import Operator

from pawl.cli.generate import ROOT
from pawl.cli.main import invoke

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


@contextmanager
def operator_of_release(release: Release, directory: Path, *flags: str) -> Iterator[Operator]:
    """One operator as the release's ServiceAccount, as simulated Pods run nothing."""
    config = yaml.safe_load(release.machine.kubeconfig.read_text())
    token = release.machine.kubectl("create", "token", "pawl", "-n", release.namespace).strip()
    config["users"][0]["user"] = {"token": token}
    path = directory / "release.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    running = Operator(path, directory / "log", release.namespace, "--no-manage-gate", *flags)
    try:
        wait_until(lambda: running.get("readyz").status_code == 200)
        yield running
    finally:
        running.close()


def override(namespace: str) -> Json:
    rules = [{"source": "docker.io/team", "target": {"repository": "registry.corp/team"}}]
    return {
        "apiVersion": "pawl.dev/v1alpha1",
        "kind": "ImageOverride",
        "metadata": {"name": "m", "namespace": namespace},
        "spec": {"rules": rules},
    }


def apply(machine: Machine, document: Json) -> None:
    machine.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(document))


def is_ready(machine: Machine, namespace: str) -> bool:
    found = machine.get("imageoverride", "m", "-n", namespace)
    conditions = found.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def image_of_a_new_pod(machine: Machine, namespace: str) -> str:
    flags = ("--image=docker.io/team/app:1", "--dry-run=server", "-o", "jsonpath={.spec.containers[0].image}")
    return machine.kubectl("-n", namespace, "run", "x", *flags)


@on_site()
def test_an_override_is_carried_out_with_the_rights_of_the_release(site: Site) -> None:
    machine, release, tmp_path = site.machine, site.release, site.ground.directory
    apps = f"{release.namespace}-apps"
    release.install()
    machine.kubectl("create", "namespace", apps)
    try:
        with operator_of_release(release, tmp_path) as operator:
            assert invoke(["ready", operator.url]) == 0
            apply(machine, override(apps))
            wait_until(lambda: is_ready(machine, apps))
            assert image_of_a_new_pod(machine, apps) == "registry.corp/team/app:1"
            assert operator.metric("pawl_api_requests_total", code="403") == 0
            assert not operator.lines("left out")
            machine.kubectl("delete", "imageoverride", "m", "-n", apps, "--timeout=60s")
            wait_until(lambda: not machine.get("imagerules", "-n", apps))
            assert operator.metric("pawl_api_requests_total", code="403") == 0
    finally:
        machine.kubectl("delete", "namespace", apps, "--wait=false")


@on_site()
def test_a_namespaced_release_works_in_its_namespaces(site: Site) -> None:
    machine, release, tmp_path = site.machine, site.release, site.ground.directory
    apps = f"{release.namespace}-apps"
    for place in ("crds", "gate"):
        machine.kubectl("apply", "-k", str(ROOT / "deploy" / place))
    machine.kubectl("create", "namespace", apps)
    try:
        release.given = {"watchNamespaces": [apps], "crds": {"enabled": False}, "gate": {"enabled": False}}
        release.install()
        with operator_of_release(release, tmp_path, "--watch-namespaces", apps):
            apply(machine, override(apps))
            wait_until(lambda: is_ready(machine, apps))
            assert image_of_a_new_pod(machine, apps) == "registry.corp/team/app:1"
            machine.kubectl("delete", "imageoverride", "m", "-n", apps, "--timeout=60s")
    finally:
        machine.kubectl("delete", "namespace", apps, "--wait=false")
        machine.kubectl("delete", "-k", str(ROOT / "deploy" / "gate"))
