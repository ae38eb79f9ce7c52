"""Whether a machine can carry real nodes, and what is installed: with a recorded apt-get, never the real one."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.sandbox.support import Recorder

from pawl.api.errors import SandboxError
from pawl.sandbox.options import Runtime
from pawl.sandbox.progress import Plain
from pawl.sandbox.realnodes import machine
from pawl.sandbox.realnodes.cgroups import NEEDED, Groups, controllers, hierarchies
from pawl.sandbox.realnodes.machine import Facts, install, judge, lacking

GOOD = Facts(
    system="linux",
    user=0,
    packages=(),
    apt=True,
    overlay=True,
    controllers=frozenset(NEEDED),
    writable=True,
    spaces=True,
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, None),
        ({"packages": ("runc",)}, None),
        ({"system": "darwin"}, "they need Linux"),
        ({"user": 1000}, "they need root; run as root, or use simulated ones with --nodes"),
        ({"packages": ("runc", "socat"), "apt": False}, "runc, socat must be installed, and there is no apt-get"),
        ({"overlay": False}, "no overlay file system here; load the module overlay"),
        ({"controllers": frozenset({"cpu", "memory"})}, "cgroup controllers cpuset, pids are not mounted"),
        ({"writable": False}, "is read-only; run in a container with more rights"),
        ({"spaces": False}, "namespaces cannot be made here"),
    ],
)
def test_the_reason_is_one_sentence_with_the_way_out(change: dict[str, object], message: str | None) -> None:
    found = judge(Facts(**{**vars(GOOD), **change}))
    assert found is None if message is None else message in str(found)
    assert "\n" not in str(found)


def test_a_machine_without_the_programs_lacks_their_packages(tmp_path: Path) -> None:
    assert "containerd" in lacking(str(tmp_path))
    for program in ("containerd", "ctr"):
        (tmp_path / program).touch(mode=0o755)
    assert "containerd" not in lacking(str(tmp_path))
    assert "runc" in lacking(str(tmp_path))


def told(answer: Callable[[Sequence[str]], tuple[int, str, str]]) -> tuple[Recorder, Runtime, io.StringIO]:
    command, screen = Recorder(answer), io.StringIO()
    return command, Runtime(environ={"HTTP_PROXY": "p"}, progress=Plain(screen), command=command), screen


def verbs(command: Recorder) -> list[str]:
    return [next(word for word in argv if word in {"install", "update"}) for argv in command.calls]


def test_packages_are_named_before_they_are_installed() -> None:
    command, runtime, screen = told(lambda _: (0, "", ""))
    install(("runc", "socat"), runtime)
    assert screen.getvalue().startswith("install with apt-get, for real nodes: runc, socat ...")
    assert verbs(command) == ["install"]
    assert command.calls[0][-3:] == ["--no-install-recommends", "runc", "socat"]
    assert command.environs[0]["DEBIAN_FRONTEND"] == "noninteractive"
    assert command.environs[0]["HTTP_PROXY"] == "p"


def test_a_missing_index_is_fetched_and_the_packages_tried_again() -> None:
    answers = iter([(100, "", "E: Unable to locate package runc"), (0, "", ""), (0, "", "")])
    command, runtime, _ = told(lambda _: next(answers))
    install(("runc",), runtime)
    assert verbs(command) == ["install", "update", "install"]


def test_packages_that_cannot_be_had_are_named_with_the_reason() -> None:
    _, runtime, _ = told(lambda _: (100, "", "W: x\nE: no route to the mirror\n"))
    with pytest.raises(
        SandboxError, match=r"apt-get install runc failed 3 times \(E: no route to the mirror\): install"
    ):
        install(("runc",), runtime)


def test_a_low_limit_of_watchers_is_raised_and_told(tmp_path: Path) -> None:
    _, runtime, screen = told(lambda _: (0, "", ""))
    limit = tmp_path / "limit"
    limit.write_text("128\n")
    machine.raise_limit(limit, runtime)
    assert limit.read_text() == "2048"
    assert "raised from 128 to 2048 until the next boot" in screen.getvalue()
    limit.write_text("9000\n")
    machine.raise_limit(limit, runtime)
    assert limit.read_text() == "9000\n"


def separate(root: Path, *names: str) -> Path:
    """A file tree as the cgroups of version 1."""
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / "cgroup.procs").write_text("")
    return root


def test_each_controller_of_version_1_gets_the_group(tmp_path: Path) -> None:
    root = separate(tmp_path, "cpu", "cpuset", "memory", "pids")
    for name, value in (("cpus", "0-1\n"), ("mems", "0\n")):
        (root / "cpuset" / f"cpuset.{name}").write_text(value)
    groups = Groups("pawl-a/1", root)
    assert controllers(root) == {"cpu", "cpuset", "memory", "pids"}
    groups.make()
    assert all(each.is_dir() for each in groups.directories())
    assert len(groups.directories()) == 4


def test_version_2_has_one_group_and_hands_controllers_down(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu cpuset memory pids\n")
    (tmp_path / "cgroup.subtree_control").write_text("cpu\n")
    assert hierarchies(tmp_path) == [tmp_path]
    assert controllers(tmp_path) == set(NEEDED)
    Groups("pawl-a", tmp_path).make()
    assert (tmp_path / "pawl-a").is_dir()
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+pids"


def test_a_group_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    root = separate(tmp_path, "pids")
    (root / "pids" / "pawl-a").write_text("a file is in the way")
    with pytest.raises(SandboxError, match="cgroup pawl-a/1 cannot be made"):
        Groups("pawl-a/1", root).make()


def test_empty_groups_are_removed_from_the_bottom(tmp_path: Path) -> None:
    root = separate(tmp_path, "pids")
    (root / "pids" / "pawl-a" / "1" / "pods" / "deep").mkdir(parents=True)
    Groups("pawl-a", root).remove()
    assert [path.name for path in (root / "pids").iterdir()] == ["cgroup.procs"]


def test_processes_are_found_at_every_depth(tmp_path: Path) -> None:
    root = separate(tmp_path, "pids")
    deep = root / "pids" / "pawl-a" / "1" / "pods"
    deep.mkdir(parents=True)
    (deep / "cgroup.procs").write_text("11\n12\n")
    (deep.parent / "cgroup.procs").write_text("13\n")
    assert Groups("pawl-a", root).processes() == {11, 12, 13}
