"""`kubectl apply -k deploy/`, as a user does it with an overlay of their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from tests.chart.releases import Json, Machine, machine_on
from tests.cluster.grounds import Ground, scenario

from pawl import __version__
from pawl.cli.generate import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

IMAGE = "registry.corp:5000/team/pawl"


@dataclass(frozen=True)
class Mine:
    """A kustomization beside a copy of deploy/, and who applies it."""

    machine: Machine
    overlay: Path


@contextmanager
def mine_on(ground: Ground) -> Iterator[Mine]:
    """What it applied goes with the test."""
    shutil.copytree(ROOT / "deploy", ground.directory / "deploy")
    overlay = ground.directory / "mine"
    overlay.mkdir()
    with machine_on(ground) as machine:
        try:
            yield Mine(machine, overlay)
        finally:
            machine.kubectl("delete", "-k", str(overlay), "--ignore-not-found")


on_mine = scenario(mine_on)


def kustomization(overlay: Path, *resources: str, **more: object) -> None:
    images = [{"name": "registry.example.com/pawl", "newName": IMAGE, "newTag": "edge"}]
    (overlay / "kustomization.yaml").write_text(
        yaml.safe_dump({"resources": list(resources), "images": images, **more})
    )


def pods(machine: Machine) -> list[Json]:
    machine.kubectl("-n", "pawl-system", "rollout", "status", "deployment/pawl", "--timeout=90s")
    found: list[Json] = machine.get("pods", "-n", "pawl-system")
    return found


@on_mine((), ("--server-side",), ids=lambda flags: "server-side" if flags else "client-side")
def test_all_is_applied_and_the_image_is_the_users(mine: Mine, flags: tuple[str, ...]) -> None:
    machine, overlay = mine.machine, mine.overlay
    kustomization(overlay, "../deploy")
    first = machine.kubectl("apply", *flags, "-k", str(overlay))
    assert "mutatingadmissionpolicy.admissionregistration.k8s.io/pawl-namespace" in first
    assert {each["spec"]["containers"][0]["image"] for each in pods(machine)} == {f"{IMAGE}:edge"}
    if not flags:
        again = machine.kubectl("apply", "-k", str(overlay))
        changed = [line for line in again.splitlines() if not line.endswith("unchanged")]
        # kubectl replaces a budget's selector each time, by one that is equal
        assert changed in ([], ["poddisruptionbudget.policy/pawl configured"])


@on_mine()
def test_without_policies_for_api_servers_that_do_not_serve_them(mine: Mine) -> None:
    machine, overlay = mine.machine, mine.overlay
    kustomization(overlay, "../deploy/webhook")
    said = machine.kubectl("apply", "-k", str(overlay))
    assert "mutatingadmissionpolic" not in said
    assert "mutatingwebhookconfiguration.admissionregistration.k8s.io/pawl" in said
    assert len(pods(machine)) == 2


@on_mine()
def test_in_some_namespaces_only(mine: Mine) -> None:
    machine, overlay = mine.machine, mine.overlay
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
