"""An API server of these tests' own: some of them stop it, and it need not run Pods or a registry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest
from tests.cluster.api import Api
from tests.cluster.conftest import install

from pawl.api.crd import crds
from pawl.sandbox import Cluster, SandboxOptions, cluster_for_tests


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """The cluster that the environment asks for, the embedded sandbox by default."""
    with cluster_for_tests(SandboxOptions(name=f"faults-{os.getpid()}", nodes=0, registry=False)) as found:
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


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A fresh namespace; it goes with the test."""
    name = f"f-{uuid4().hex[:10]}"
    answer = api.post("api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    assert answer.ok, answer.message
    yield name
    api.delete(f"api/v1/namespaces/{name}")
