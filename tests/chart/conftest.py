"""A real API server for the releases of this folder, with simulated nodes that run their Pods."""

from __future__ import annotations

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest
from tests.chart.releases import Machine
from tests.cluster.api import Api

from pawl.sandbox import Cluster, SandboxOptions, cluster_for_tests


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster that the environment asks for, the embedded sandbox by default."""
    with cluster_for_tests(SandboxOptions(name=f"chart-{os.getpid()}", nodes=2)) as found:
        yield found


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Iterator[Api]:
    """A bare client with the rights of the administrator."""
    client = Api(cluster.kubeconfig)
    yield client
    client.close()


@pytest.fixture
def machine(cluster: Cluster) -> Iterator[Machine]:
    """The administrator's helm and kubectl. CRDs that a release kept go with the test."""
    found = Machine(cluster.kubeconfig, cluster.env.get("KUBECTL", "kubectl"))
    yield found
    names = [each["metadata"]["name"] for each in found.get("crd") or () if each["spec"]["group"] == "pawl.dev"]
    if names:
        found.kubectl("delete", "crd", "--ignore-not-found", *names)


@pytest.fixture
def namespace(machine: Machine) -> Iterator[str]:
    """A fresh namespace that takes restricted Pods only; it goes with the test."""
    name = f"pawl-{uuid4().hex[:8]}"
    machine.kubectl("create", "namespace", name)
    machine.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield name
    machine.kubectl("delete", "namespace", name, "--wait=false")
