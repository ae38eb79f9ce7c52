from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from tests.sandbox.support import Recorder

from pawl.api.errors import SandboxError
from pawl.sandbox import Runtime, SandboxOptions, down, status, up
from pawl.sandbox.kind import config


class Docker:
    """A machine with Docker and kind, in memory."""

    def __init__(self) -> None:
        self.clusters: set[str] = set()

    def __call__(self, argv: Sequence[str]) -> tuple[int, str, str]:
        if argv[:3] == ["kind", "create", "cluster"]:
            Path(argv[argv.index("--kubeconfig") + 1]).write_text(
                yaml.safe_dump({"clusters": [{"cluster": {"server": "https://127.0.0.1:6443"}}]})
            )
            self.clusters.add(argv[argv.index("--name") + 1])
        if argv[:3] == ["kind", "delete", "cluster"]:
            self.clusters.discard(argv[argv.index("--name") + 1])
        return 0, "\n".join(self.clusters), ""


@pytest.fixture
def docker() -> Docker:
    return Docker()


@pytest.fixture
def runtime(tmp_path: Path, docker: Docker) -> Runtime:
    return Runtime(environ={"PAWL_STATE_DIR": str(tmp_path)}, command=Recorder(docker))


OPTIONS = SandboxOptions(name="k", nodes=2, provider="kind")


def test_up_status_and_down(runtime: Runtime, docker: Docker) -> None:
    found = up(OPTIONS, runtime)
    assert (found.context, found.server, found.registry) == ("kind-pawl-k", "https://127.0.0.1:6443", None)
    assert [each.state for each in status(runtime=runtime)] == ["running"]
    assert not up(OPTIONS, runtime).started
    assert down("k", runtime=runtime)
    assert docker.clusters == set()
    assert status(runtime=runtime) == []


def test_a_cluster_deleted_behind_our_back_is_made_again(runtime: Runtime, docker: Docker) -> None:
    up(OPTIONS, runtime)
    docker.clusters.clear()
    assert [each.state for each in status(runtime=runtime)] == ["stopped"]
    assert up(OPTIONS, runtime).started


def test_workers_beside_the_control_plane() -> None:
    assert yaml.safe_load(config(2))["nodes"] == [{"role": "control-plane"}, {"role": "worker"}, {"role": "worker"}]


@pytest.mark.parametrize(
    ("failing", "message"),
    [("docker", "Docker does not answer; start Docker"), ("version", "kind is not on PATH; install it")],
)
def test_what_is_missing_is_named(failing: str, message: str, tmp_path: Path) -> None:
    command = Recorder(lambda argv: (1 if failing in argv else 0, "", ""))
    with pytest.raises(SandboxError, match=message):
        up(OPTIONS, Runtime(environ={"PAWL_STATE_DIR": str(tmp_path)}, command=command))
    assert not (tmp_path / "sandboxes").exists()


def test_a_failed_creation_leaves_nothing_behind(tmp_path: Path) -> None:
    command = Recorder(lambda argv: (1, "", "x\nport taken") if "create" in argv else (0, "", ""))
    with pytest.raises(SandboxError, match=r"kind create cluster failed \(port taken\)"):
        up(OPTIONS, Runtime(environ={"PAWL_STATE_DIR": str(tmp_path)}, command=command))
    assert list((tmp_path / "sandboxes").iterdir()) == []
    assert command.calls[-1][:3] == ["kind", "delete", "cluster"]
