"""An API server for the live tests of this folder: our CRDs in it, a registry beside it, a fresh namespace a test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest
from tests.cluster.api import Api
from tests.cluster.conftest import install

from pawl.api.crd import crds
from pawl.sandbox import Cluster, SandboxOptions, cluster_for_tests


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster that the environment asks for, the embedded sandbox by default."""
    with cluster_for_tests(SandboxOptions(name=f"gitops-{os.getpid()}", nodes=1, registry=True)) as found:
        yield found


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Iterator[Api]:
    """A bare client with the rights of the administrator."""
    client = Api(cluster.kubeconfig)
    yield client
    client.close()


@pytest.fixture(scope="session")
def installed(api: Api) -> list[str]:
    """Our CRDs, applied and served; their names."""
    return [install(api, document) for document in crds()]


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A fresh namespace; it goes with the test."""
    name = f"g-{uuid4().hex[:10]}"
    answer = api.post("api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    assert answer.ok, answer.message
    yield name
    api.delete(f"api/v1/namespaces/{name}")
