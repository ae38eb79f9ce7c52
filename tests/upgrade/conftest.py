"""An API server of these tests' own: they take away CRDs, gates and rights that others need."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.api import Api
from tests.upgrade.before import Before, extracted, missing

from pawl.sandbox import Cluster, SandboxOptions, cluster_for_tests


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster that the environment asks for, the embedded sandbox by default."""
    with cluster_for_tests(SandboxOptions(name=f"upgrade-{os.getpid()}", nodes=2, registry=True)) as found:
        yield found


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Iterator[Api]:
    """A bare client with the rights of the administrator."""
    client = Api(cluster.kubeconfig)
    yield client
    client.close()


@pytest.fixture(scope="session")
def before(tmp_path_factory: pytest.TempPathFactory) -> Before:
    """The version before this one, from the history; skipped by name where the history is not there."""
    if why := missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{why}; fetch the whole history", pytrace=False)
        pytest.skip(why)
    return extracted(Path(tmp_path_factory.mktemp("before")))
