"""A real API server for the tests of this folder: one a worker, our CRDs in it, a fresh namespace a test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.cluster.api import Api
from tests.cluster.at_once import Outcomes, wanted
from tests.cluster.grounds import Play, played
from tests.cluster.installed import install, wait_for

from pawl.api.crd import crds
from pawl.sandbox import Cluster, SandboxOptions, cluster_for_tests

SERVERS = 3

__all__ = ["install", "wait_for"]


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """The cluster that the environment asks for (`pawl.sandbox.provider`), the embedded sandbox by default."""
    with cluster_for_tests(SandboxOptions(name=f"test-{os.getpid()}", nodes=1, registry=True)) as found:
        yield found


@pytest.fixture(scope="package")
def api(cluster: Cluster) -> Iterator[Api]:
    """A bare client with the rights of the administrator."""
    client = Api(cluster.kubeconfig)
    yield client
    client.close()


@pytest.fixture(scope="package")
def installed(api: Api) -> list[str]:
    """Our CRDs, applied and served; their names."""
    return [install(api, document) for document in crds()]


@pytest.fixture(scope="package")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes[Play]]:
    """What becomes of every test of this folder that has an API server for itself; they begin with the first one."""
    plays = wanted(request, "play", Path(__file__).parent)
    with played(plays, "alone", SERVERS, tmp_path_factory.mktemp("alone"), nodes=1, registry=True) as found:
        yield found


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A fresh namespace; it goes with the test."""
    name = f"t-{uuid4().hex[:10]}"
    answer = api.post("api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    assert answer.ok, answer.message
    yield name
    api.delete(f"api/v1/namespaces/{name}")
