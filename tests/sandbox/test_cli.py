from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.sandbox.support import sleeper, state_of

from pawl.cli.sandbox import sandbox
from pawl.sandbox.place import Place
from pawl.sandbox.processes import is_alive
from pawl.sandbox.state import Store


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def pawl(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"PAWL_STATE_DIR": str(home), "PATH": "/usr/bin", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "pawl", "sandbox", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


@pytest.fixture
def recorded(home: Path, place: Place) -> Place:
    """A recorded sandbox whose only process is trivial."""
    Store(home).save(state_of(place, sleeper(place.log("etcd"), "etcd"), nodes=3))
    return place


def test_status_without_any_says_how_to_start(home: Path) -> None:
    assert pawl(home, "status").stdout == "no sandbox; start one with pawl sandbox up\n"


def test_status_as_table_json_and_yaml(home: Path, recorded: Place) -> None:
    table = pawl(home, "status").stdout
    assert recorded.server in table
    assert "running" in table
    rows = json.loads(pawl(home, "status", "-o", "json").stdout)
    assert rows == yaml.safe_load(pawl(home, "status", "-o", "yaml").stdout)
    assert (rows[0]["name"], rows[0]["nodes"], rows[0]["dead"]) == (recorded.name, 3, [])
    assert json.loads(pawl(home, "status", "--name", "other", "-o", "json").stdout) == []
    pawl(home, "down", "--all")


def test_env_prints_lines_for_a_shell(home: Path, recorded: Place) -> None:
    lines = pawl(home, "env", "--name", recorded.name).stdout.splitlines()
    assert f"export KUBECONFIG={recorded.kubeconfig}" in lines
    assert f"export PAWL_REGISTRY={recorded.registry}" in lines
    pawl(home, "down", "--all")


def test_down_one_and_all(home: Path, recorded: Place) -> None:
    state = Store(home).load(recorded.name)
    assert state
    assert pawl(home, "down", "--name", recorded.name).stdout == f"sandbox {recorded.name} is down\n"
    assert not is_alive(state.processes[0])
    assert pawl(home, "down", "--name", recorded.name).stdout == f"sandbox {recorded.name} was not there\n"
    assert pawl(home, "down", "--all").stdout == "no sandbox is recorded\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["env", "--name", "x"], 1, "pawl: sandbox x is not running: start it with pawl sandbox up --name x\n"),
        (["up", "--name", "X"], 2, "pawl: sandbox name 'X': use 1 to 40 of a-z, 0-9 and '-', not '-' at an end\n"),
        (["down", "--name", ".."], 2, "pawl: sandbox name '..': use 1 to 40 of a-z, 0-9 and '-', not '-' at an end\n"),
    ],
)
def test_errors_are_one_line_on_stderr(arguments: list[str], code: int, message: str, home: Path) -> None:
    result = pawl(home, *arguments)
    assert (result.returncode, result.stdout, result.stderr) == (code, "", message)


def test_help_tells_every_option(home: Path) -> None:
    wanted = {"--name", "--nodes", "--real-nodes", "--registry", "--minio", "--provider"}
    assert wanted <= set(pawl(home, "up", "--help").stdout.replace(" /", " ").split())
    assert {"--real-nodes", "--storage"} <= set(pawl(home, "build", "--help").stdout.split())


def test_the_group_holds_its_five_commands() -> None:
    assert sorted(sandbox.commands) == ["build", "down", "env", "status", "up"]
