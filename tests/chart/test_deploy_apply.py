"""`kubectl apply -k deploy/`, as a user does it with an overlay of their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.chart.releases import Json, Machine

from pawl import __version__
from pawl.cli.generate import ROOT

pytestmark = pytest.mark.cluster

IMAGE = "registry.corp:5000/team/pawl"


@pytest.fixture
def overlay(tmp_path: Path, machine: Machine) -> Iterator[Path]:
    """A kustomization beside a copy of deploy/; what it applied goes with the test."""
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    found = tmp_path / "mine"
    found.mkdir()
    yield found
    machine.kubectl("delete", "-k", str(found), "--ignore-not-found")


def kustomization(overlay: Path, *resources: str, **more: object) -> None:
    images = [{"name": "registry.example.com/pawl", "newName": IMAGE, "newTag": "edge"}]
    (overlay / "kustomization.yaml").write_text(
        yaml.safe_dump({"resources": list(resources), "images": images, **more})
    )


def pods(machine: Machine) -> list[Json]:
    machine.kubectl("-n", "pawl-system", "rollout", "status", "deployment/pawl", "--timeout=90s")
    found: list[Json] = machine.get("pods", "-n", "pawl-system")
    return found


@pytest.mark.parametrize("flags", [(), ("--server-side",)], ids=["client-side", "server-side"])
def test_all_is_applied_and_the_image_is_the_users(machine: Machine, overlay: Path, flags: tuple[str, ...]) -> None:
    kustomization(overlay, "../deploy")
    first = machine.kubectl("apply", *flags, "-k", str(overlay))
    assert "mutatingadmissionpolicy.admissionregistration.k8s.io/pawl-namespace" in first
    assert {each["spec"]["containers"][0]["image"] for each in pods(machine)} == {f"{IMAGE}:edge"}
    if not flags:
        again = machine.kubectl("apply", "-k", str(overlay))
        changed = [line for line in again.splitlines() if not line.endswith("unchanged")]
        # kubectl replaces a budget's selector each time, by one that is equal
        assert changed in ([], ["poddisruptionbudget.policy/pawl configured"])


def test_without_policies_for_api_servers_that_do_not_serve_them(machine: Machine, overlay: Path) -> None:
    kustomization(overlay, "../deploy/webhook")
    said = machine.kubectl("apply", "-k", str(overlay))
    assert "mutatingadmissionpolic" not in said
    assert "mutatingwebhookconfiguration.admissionregistration.k8s.io/pawl" in said
    assert len(pods(machine)) == 2


def test_in_some_namespaces_only(machine: Machine, overlay: Path) -> None:
    kustomization(overlay, "../deploy/namespaced", "apps.yaml")
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "apps"}}
    (overlay / "apps.yaml").write_text(yaml.safe_dump(namespace))
    said = machine.kubectl("apply", "-k", str(overlay))
    assert "clusterrole" not in said
    assert "role.rbac.authorization.k8s.io/pawl-watched" in said
    assert len(pods(machine)) == 2


def test_the_version_is_that_of_the_chart() -> None:
    text = (ROOT / "deploy/operator/deployment.yaml").read_text()
    assert f"registry.example.com/pawl:{__version__}" in text
