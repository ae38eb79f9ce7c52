from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sandbox.support import place_at

from pawl.sandbox import Running, Runtime, SandboxOptions, running
from pawl.sandbox.build import Builder, build
from pawl.sandbox.place import Place
from pawl.sandbox.state import Store


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A Place with all binaries, as empty files."""
    return place_at(tmp_path, "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "registry")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state")


@pytest.fixture(scope="session")
def binaries() -> Path:
    """The real binaries; built on first use, which takes minutes."""
    return build(Builder(os.environ))


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    """A Runtime whose sandboxes live below the test's own directory, with the real cache of binaries."""
    return Runtime(environ={**os.environ, "PAWL_STATE_DIR": str(tmp_path / "state")})


@pytest.fixture(scope="session")
def cluster(binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One sandbox with a simulated node and a registry, shared by tests that only add objects of their own."""
    state = tmp_path_factory.mktemp("state")
    options = SandboxOptions(name=f"shared-{os.getpid()}", nodes=1, state_dir=state, binaries=binaries)
    with running(options) as found:
        yield found
