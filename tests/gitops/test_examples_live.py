"""Every example is taken by a real API server, strictly and as a dry run; nothing of it stays."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.cluster.api import Api, Json
from tests.gitops.examples import documents, files, is_foreign

from pawl.sandbox import Cluster

pytestmark = pytest.mark.cluster

SERVED = [path for path in files() if not all(is_foreign(each) for each in documents(path))]


@pytest.fixture(scope="module")
def places(api: Api, installed: list[str]) -> Iterator[list[str]]:
    """The namespaces that the examples speak of and do not bring."""
    assert installed
    named = {each["metadata"].get("namespace", "") for path in SERVED for each in documents(path)} - {""}
    made = []
    for name in sorted(named):
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        if api.post("api/v1/namespaces", body).ok:
            made.append(name)
    yield made
    for name in made:
        api.delete(f"api/v1/namespaces/{name}")


def dry_run(cluster: Cluster, text: str) -> subprocess.CompletedProcess[str]:
    command = [cluster.env.get("KUBECTL", "kubectl"), "apply", "--server-side", "--dry-run=server"]
    return subprocess.run(
        [*command, "--validate=strict", "-f", "-"],
        input=text,
        env={**os.environ, **cluster.env, "KUBECONFIG": str(cluster.kubeconfig)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("path", SERVED, ids=lambda path: path.name)
def test_an_example_is_accepted(cluster: Cluster, places: list[str], path: Path) -> None:
    assert places is not None
    done = dry_run(cluster, path.read_text())
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(documents(path))


def test_a_field_that_does_not_exist_would_be_seen(cluster: Cluster, places: list[str]) -> None:
    assert places is not None
    document: Json = documents(SERVED[0])[-1]
    done = dry_run(cluster, yaml.safe_dump({**document, "spec": {**document["spec"], "surprise": True}}))
    assert done.returncode != 0
    assert "surprise" in done.stderr
