"""An API server for the live tests of this folder: our CRDs in it, a registry beside it, a fresh namespace a test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.cluster.api import Api
from tests.cluster.at_once import Outcomes, at_once, wanted
from tests.cluster.conftest import install
from tests.cluster.grounds import Play
from tests.cluster.override_scene import keeper_of
from tests.gitops.places import Place

from pawl.api.crd import crds
from pawl.sandbox import Cluster, SandboxOptions, cluster_for_tests


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """The cluster that the environment asks for, the embedded sandbox by default."""
    with cluster_for_tests(SandboxOptions(name=f"gitops-{os.getpid()}", nodes=1, registry=True)) as found:
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
    name = f"g-{uuid4().hex[:10]}"
    answer = api.post("api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    assert answer.ok, answer.message
    yield name
    api.delete(f"api/v1/namespaces/{name}")


@pytest.fixture(scope="package")
def outcomes(
    request: pytest.FixtureRequest,
    api: Api,
    cluster: Cluster,
    installed: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Outcomes[Play]]:
    """What becomes of every scene of this folder that will be played, under one operator."""
    assert installed
    directory = tmp_path_factory.mktemp("gitops")
    plays = wanted(request, "play", Path(__file__).parent)
    with keeper_of(cluster, directory) as pawl:
        place = Place(api, cluster, pawl, directory)
        with at_once(plays, lambda play: play.on(place)) as found:
            yield found
