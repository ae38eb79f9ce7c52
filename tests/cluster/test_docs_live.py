"""Every manifest that a page shows is taken by a real API server, strictly: as a dry run, so nothing of it stays."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
import yaml
from tests.cluster.api import Api, Json
from tests.unit.test_docs import Fence, fences

from pawl.sandbox import Cluster

pytestmark = pytest.mark.cluster

FOREIGN = ("argoproj.io", "fluxcd.io", "cert-manager.io", "monitoring.coreos.com", "kustomize.config.k8s.io")
"""Kinds of other projects, which this API server does not serve."""


def documents(fence: Fence) -> list[Json]:
    """The whole manifests of a block; a fragment has no apiVersion or no kind, or is the values of a chart."""
    found = [each for each in yaml.safe_load_all(fence.text) if isinstance(each, dict)]
    whole = [each for each in found if "apiVersion" in each and "kind" in each]
    return [each for each in whole if not each["apiVersion"].partition("/")[0].endswith(FOREIGN)]


MANIFESTS = [fence for fence in fences("yaml") if documents(fence)]


def namespaces() -> set[str]:
    named = (each["metadata"].get("namespace", "default") for fence in MANIFESTS for each in documents(fence))
    return {*named} - {"default"}


@pytest.fixture(scope="module")
def places(api: Api, installed: list[str]) -> Iterator[list[str]]:
    """The namespaces that the pages speak of; those that were not there go again."""
    assert installed
    made = []
    for name in sorted(namespaces()):
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        if api.post("api/v1/namespaces", body).ok:
            made.append(name)
    yield made
    for name in made:
        api.delete(f"api/v1/namespaces/{name}")


def dry_run(cluster: Cluster, document: Json) -> subprocess.CompletedProcess[str]:
    command = [cluster.env.get("KUBECTL", "kubectl"), "create", "--dry-run=server", "--validate=strict", "-f", "-"]
    return subprocess.run(
        command,
        input=yaml.safe_dump(document),
        env={**os.environ, **cluster.env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("fence", MANIFESTS, ids=str)
def test_every_manifest_of_a_page_is_accepted(cluster: Cluster, places: list[str], fence: Fence) -> None:
    assert places is not None
    for document in documents(fence):
        done = dry_run(cluster, document)
        assert done.returncode == 0, f"{fence}: {done.stderr}"


def test_a_field_that_does_not_exist_would_be_seen(cluster: Cluster, places: list[str]) -> None:
    assert places is not None
    document = documents(MANIFESTS[0])[0]
    done = dry_run(cluster, {**document, "spec": {**document["spec"], "surprise": True}})
    assert done.returncode != 0
    assert "surprise" in done.stderr


def test_there_are_manifests() -> None:
    assert len(MANIFESTS) > 10
