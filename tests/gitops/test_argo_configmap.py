"""The patch of Argo CD's ConfigMap: it says what the scripts say, and it leaves what others wrote there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripts.argocd import argocd_documents, main, stale
from tests.cluster.api import Api
from tests.cluster.operators import good
from tests.gitops.argolua import GROUP, ROOT, health, run
from tests.gitops.fixtures import EXPECTED, load
from tests.gitops.forms import ACTIONS

Json = dict[str, Any]

PATCH = ROOT / "deploy/argocd/argocd-cm.yaml"


def data() -> dict[str, str]:
    found: dict[str, str] = yaml.safe_load(PATCH.read_text())["data"]
    return found


def test_the_generated_files_are_current() -> None:
    assert stale(ROOT, argocd_documents()) == []
    assert main(["--check"]) == 0


def test_a_stale_file_is_named(tmp_path: Path) -> None:
    made = argocd_documents()
    for path, text in made.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert stale(tmp_path, made) == []
    (tmp_path / "deploy/argocd/argocd-cm.yaml").write_text("old")
    assert stale(tmp_path, made) == ["deploy/argocd/argocd-cm.yaml"]


def test_it_runs_as_a_command() -> None:
    done = subprocess.run([sys.executable, "scripts/argocd.py", "--check"], cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_every_key_is_one_that_argo_reads() -> None:
    keys = {f"resource.customizations.{what}.pawl.dev_{kind}" for what in ("health", "actions") for kind in ACTIONS}
    assert set(data()) == keys


@pytest.mark.parametrize("stem", EXPECTED)
def test_the_health_in_the_configmap_is_that_of_the_files(stem: str) -> None:
    obj = load(stem)
    assert run(data()[f"resource.customizations.health.pawl.dev_{obj['kind']}"], obj) == health(obj)


@pytest.mark.parametrize("kind", ACTIONS)
def test_the_actions_in_the_configmap_are_those_of_the_files(kind: str) -> None:
    actions = yaml.safe_load(data()[f"resource.customizations.actions.pawl.dev_{kind}"])
    folder = GROUP / kind / "actions"
    assert actions["discovery.lua"] == (folder / "discovery.lua").read_text()
    found = {entry["name"]: entry["action.lua"] for entry in actions["definitions"]}
    assert found == {name: (folder / name / "action.lua").read_text() for name in found}
    assert set(found) == set(ACTIONS[kind])


@pytest.mark.cluster
@pytest.mark.parametrize("kind", ["strategic", "merge"])
def test_the_patch_leaves_what_others_wrote(api: Api, cluster: Any, namespace: str, kind: str) -> None:
    """As the first line of the file says, on a ConfigMap that has customizations of its own."""
    path = f"api/v1/namespaces/{namespace}/configmaps"
    mine = {"url": "https://argocd.example.com", "resource.customizations": "apps/Deployment: {}\n"}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"}, "data": mine}
    good(api.post(path, body))
    patch = yaml.safe_load(PATCH.read_text()) | {"metadata": {"name": "argocd-cm"}}
    command = [cluster.env.get("KUBECTL", "kubectl"), "patch", "configmap", "argocd-cm", "-n", namespace]
    done = subprocess.run(
        [*command, "--type", kind, "-p", yaml.safe_dump(patch)],
        env={**os.environ, **cluster.env, "KUBECONFIG": str(cluster.kubeconfig)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert good(api.get(f"{path}/argocd-cm")).body["data"] == mine | data()
