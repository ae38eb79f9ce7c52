"""A real API server for the tests of this folder: one a session, our CRDs in it, a fresh namespace a test."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from tests.cluster.api import Answer, Api, Json

from pawl.api.crd import crds
from pawl.sandbox import Cluster, SandboxOptions, cluster_for_tests

CRDS = "apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster that the environment asks for (`pawl.sandbox.provider`), the embedded sandbox by default."""
    with cluster_for_tests(SandboxOptions(name=f"test-{os.getpid()}", nodes=1, registry=True)) as found:
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
    name = f"t-{uuid4().hex[:10]}"
    answer = api.post("api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    assert answer.ok, answer.message
    yield name
    api.delete(f"api/v1/namespaces/{name}")


def install(api: Api, document: Json) -> str:
    """Apply one CRD and wait until its kind is served. Returns its name."""
    name, spec = str(document["metadata"]["name"]), document["spec"]
    answer = api.apply(f"{CRDS}/{name}", document)
    assert answer.ok, answer.message
    wait_for(lambda: api.get(f"apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"))
    return name


def wait_for(ask: Callable[[], Answer], seconds: float = 30) -> None:
    """Ask until the answer is good."""
    end = time.monotonic() + seconds
    while not (answer := ask()).ok:
        assert time.monotonic() < end, answer.body
        time.sleep(0.05)
