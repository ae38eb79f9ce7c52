from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from tests.sandbox.support import eventually, sleeper, stubborn

from pawl.api.errors import SandboxError
from pawl.sandbox.processes import Command, environment, is_alive, start, start_mark, stop


def test_a_process_is_detached_logged_and_recognised(tmp_path: Path) -> None:
    process = start(
        Command("talker", ("/bin/sh", "-c", "echo $WORD; exec sleep 600"), {"WORD": "hello"}), tmp_path / "log"
    )
    try:
        eventually(lambda: (tmp_path / "log").read_text() == "hello\n")
        assert is_alive(process)
        assert os.getsid(process.pid) == process.pid
    finally:
        stop([process], 5)
    assert not is_alive(process)


def test_both_outputs_go_to_the_log_and_it_is_private(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "both.log"
    process = start(Command("both", ("/bin/sh", "-c", "echo out; echo err >&2")), log)
    eventually(lambda: not is_alive(process))
    assert log.read_text().split() == ["out", "err"]
    assert log.stat().st_mode & 0o777 == 0o600


def test_settings_of_the_caller_do_not_reach_the_processes() -> None:
    caller = {"HOME": "/h", "PATH": "/bin", "ETCD_NAME": "x", "REGISTRY_HTTP_ADDR": "0.0.0.0:1", "KUBECONFIG": "/prod"}
    seen = environment(Command("registry", ("registry",), {"OWN": "1"}), caller)
    assert seen == {"HOME": "/h", "PATH": "/bin", "OWN": "1"}


def test_a_missing_binary_is_named(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"etcd: /nowhere/etcd cannot be started \(No such file"):
        start(Command("etcd", ("/nowhere/etcd",)), tmp_path / "log")


def test_a_stranger_with_the_same_pid_is_not_ours(tmp_path: Path) -> None:
    process = sleeper(tmp_path / "log")
    stranger = replace(process, mark="another boot:1")
    assert not is_alive(stranger)
    stop([stranger], 1)
    assert is_alive(process)
    stop([process], 5)


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    process = stubborn(tmp_path / "log")
    stop([process], 0.1)
    assert not is_alive(process)


def test_no_grace_means_sigkill_at_once(tmp_path: Path) -> None:
    process = stubborn(tmp_path / "log")
    stop([process], 0)
    assert not is_alive(process)


def test_stopping_what_has_ended_is_no_error(tmp_path: Path) -> None:
    process = sleeper(tmp_path / "log")
    os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: not is_alive(process))
    stop([process, process], 1)


def test_a_zombie_counts_as_gone(tmp_path: Path) -> None:
    process = sleeper(tmp_path / "log")
    os.kill(process.pid, signal.SIGKILL)
    # Not is_alive: it would reap the child, and a zombie of another parent cannot be reaped.
    eventually(lambda: start_mark(process.pid) is None)
    assert Path(f"/proc/{process.pid}").exists()
    os.waitpid(process.pid, 0)


def test_a_pid_that_is_nobody_has_no_mark() -> None:
    assert start_mark(2**22 + 1) is None
