from __future__ import annotations

import io
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.sandbox.support import Recorder

from pawl.api.errors import SandboxError
from pawl.sandbox.build import (
    GOMOD,
    NODE_PACKAGES,
    PACKAGES,
    Builder,
    binary_dir,
    build,
    build_arguments,
    cache_key,
    ldflags,
    missing,
)
from pawl.sandbox.progress import Plain

VERSION = (0, "go version go1.30.0 linux/amd64", "")


def compiler(argv: Sequence[str]) -> tuple[int, str, str]:
    """A Go that compiles by writing the package's name."""
    if argv[1] == "version":
        return VERSION
    if argv[1] == "build":
        Path(argv[argv.index("-o") + 1]).write_text(argv[-1])
    return 0, "", ""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.touch(mode=0o755)
    return {"PATH": str(go.parent), "PAWL_CACHE_DIR": str(tmp_path / "cache")}


def built(command: Recorder) -> list[str]:
    return [argv[-1] for argv in command.calls if argv[1] == "build"]


def test_all_binaries_land_in_the_directory_of_the_key(environ: dict[str, str]) -> None:
    command = Recorder(compiler)
    directory = build(Builder(environ, command=command))
    assert directory == binary_dir(environ)
    assert sorted(path.name for path in directory.iterdir()) == sorted(PACKAGES)
    assert built(command) == list(PACKAGES.values())
    assert {name: (directory / name).read_text() for name in PACKAGES} == PACKAGES


def test_a_warm_cache_runs_nothing(environ: dict[str, str]) -> None:
    build(Builder(environ, command=Recorder(compiler)))
    command = Recorder(compiler)
    build(Builder(environ, command=command))
    assert command.calls == []


def test_an_interrupted_build_goes_on_where_it_stopped(environ: dict[str, str]) -> None:
    def interrupted(argv: Sequence[str]) -> tuple[int, str, str]:
        return (
            (1, "", "signal: killed") if argv[-1].endswith("kube-scheduler") and argv[1] == "build" else compiler(argv)
        )

    with pytest.raises(SandboxError, match=r"kube-scheduler could not be built \(signal: killed\): free disk space"):
        build(Builder(environ, command=Recorder(interrupted)))
    command = Recorder(compiler)
    directory = build(Builder(environ, command=command))
    assert PACKAGES["etcd"] not in built(command)
    assert PACKAGES["kube-scheduler"] in built(command)
    assert not missing(directory)


def test_a_failed_build_leaves_no_half_binary(environ: dict[str, str]) -> None:
    def torn(argv: Sequence[str]) -> tuple[int, str, str]:
        answer = compiler(argv)
        return (1, "", "no space left on device") if argv[1] == "build" else answer

    with pytest.raises(SandboxError, match="no space left on device"):
        build(Builder(environ, command=Recorder(torn)))
    assert list(binary_dir(environ).iterdir()) == []


def test_a_download_is_tried_three_times_with_longer_pauses(environ: dict[str, str]) -> None:
    pauses: list[float] = []

    def offline(argv: Sequence[str]) -> tuple[int, str, str]:
        return VERSION if argv[1] == "version" else (1, "", "dial tcp: no route to host")

    command = Recorder(offline)
    with pytest.raises(SandboxError, match=r"in 3 tries \(dial tcp: no route to host\): check the network or GOPROXY"):
        build(Builder(environ, command=command, pause=pauses.append))
    assert pauses == [2.0, 4.0]
    assert sum(argv[1] == "list" for argv in command.calls) == 3


def test_a_download_that_recovers_is_enough(environ: dict[str, str]) -> None:
    answers = iter([(1, "", "EOF"), (0, "", "")])

    def flaky(argv: Sequence[str]) -> tuple[int, str, str]:
        return next(answers) if argv[1] == "list" else compiler(argv)

    assert not missing(build(Builder(environ, command=Recorder(flaky), pause=lambda _: None)))


def test_progress_tells_which_of_how_many(environ: dict[str, str]) -> None:
    screen = io.StringIO()
    build(Builder(environ, command=Recorder(compiler), progress=Plain(screen)))
    lines = screen.getvalue().splitlines()
    assert "build etcd (1 of 7) ..." in lines
    assert any(re.fullmatch(r"build registry \(7 of 7\): \d+\.\d s", line) for line in lines)


def test_arguments_ask_for_reproducible_static_binaries() -> None:
    argv = build_arguments(Path("/go"), Path("/mod"), "x/cmd", Path("/out"))
    assert argv[:4] == ["/go", "build", "-C", "/mod"]
    assert {"-mod=readonly", "-trimpath", "-buildvcs=false"} <= set(argv)
    assert argv[-3:] == ["-o", "/out", "x/cmd"]


def test_the_binaries_report_the_version_of_kubernetes() -> None:
    flags = ldflags("v1.36.3")
    assert "-X k8s.io/component-base/version.gitVersion=v1.36.3" in flags
    assert "-X k8s.io/component-base/version.gitMinor=36" in flags
    assert flags.startswith("-s -w ")


def test_the_key_follows_sources_and_machine(tmp_path: Path) -> None:
    copy = tmp_path / "gomod"
    shutil.copytree(GOMOD, copy)
    assert cache_key(copy) == cache_key()
    assert cache_key(copy, "Linux-riscv64") != cache_key(copy, "Linux-x86_64")
    (copy / "go.sum").write_text((copy / "go.sum").read_text() + "\n")
    assert cache_key(copy) != cache_key()


def test_the_module_lists_what_is_built_and_pins_kubernetes() -> None:
    gomod = (GOMOD / "go.mod").read_text()
    tools = set(re.findall(r"^\t(\S+)$", gomod.split("tool (")[1].split(")")[0], re.MULTILINE))
    assert tools == {*PACKAGES.values(), *NODE_PACKAGES.values()}
    replaced = re.findall(r"^\t(k8s\.io/\S+) => (\S+) (\S+)$", gomod, re.MULTILINE)
    assert len(replaced) == 33
    assert all(old == new and version == "v0.36.3" for old, new, version in replaced)
    assert "k8s.io/kubernetes v1.36.3" in gomod
