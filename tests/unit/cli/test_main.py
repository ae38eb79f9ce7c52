"""The command as a whole: lazy imports, one line for an error, exit codes, the start of `run`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from tests.unit.cli.run_pawl import pawl

from pawl import __version__
from pawl.api.errors import InputError
from pawl.cli.main import COMMANDS, cli
from pawl.cli.run import address, is_in_pod


def test_every_command_of_the_table_can_be_imported() -> None:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.help
        assert command.name == name


def test_help_lists_them_and_imports_none() -> None:
    code = "import sys; from pawl.cli.main import invoke; invoke(['--help']); print('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")
    assert all(name in done.stdout for name in COMMANDS)


def test_the_version() -> None:
    assert pawl("--version").out == f"pawl, version {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [("frobnicate",), ("status", "--frobnicate"), ("choose",), ("status", "-A", "-n", "shop")]
)
def test_what_is_not_understood_is_one_line_and_two(arguments: tuple[str, ...]) -> None:
    ended = pawl(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("pawl: ")
    assert ended.err.count("\n") == 1


def test_no_kubeconfig_is_two_with_the_way_out(tmp_path: Path) -> None:
    for command in (("status",), ("forget", "web", "--yes")):
        ended = pawl(*command, "--kubeconfig", str(tmp_path / "nowhere"))
        assert ended.code == 2
        assert "--kubeconfig" in ended.err


def test_a_broken_pipe_is_no_traceback() -> None:
    command = f"{sys.executable} -m pawl crds | head -c 10"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("bind", "in_pod", "wanted"),
    [
        (None, True, ("0.0.0.0", 8080)),
        (None, False, ("127.0.0.1", 0)),
        ("127.0.0.1:9", True, ("127.0.0.1", 9)),
        ("[::1]:65535", False, ("::1", 65535)),
        (":8080", False, ("0.0.0.0", 8080)),
    ],
)
def test_where_it_listens(bind: str | None, in_pod: bool, wanted: tuple[str, int]) -> None:  # noqa: FBT001
    assert address(bind, in_pod=in_pod) == wanted


@pytest.mark.parametrize("bind", ["8080", "host", "host:", "host:http", "host:65536", "host:-1", ""])
def test_where_it_cannot_listen(bind: str) -> None:
    with pytest.raises(InputError, match="HOST:PORT"):
        address(bind, in_pod=False)


def test_in_a_pod_means_address_and_token(tmp_path: Path) -> None:
    token, known = tmp_path / "token", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert not is_in_pod(known, token)
    token.touch()
    assert is_in_pod(known, token)
    assert not is_in_pod({}, token)
