"""`pawl run` by variables, as charts set them: each flag has one, bad values are one line, strange ones are ignored."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import click
import pytest
from tests.unit.cli.run_pawl import pawl

from pawl.cli.main import cli

READ = """
import json, os, sys
from pawl.cli.run import run
found = []
for variables in json.load(sys.stdin):
    os.environ.update(variables)
    found.append(run.make_context("run", []).params)
    for name in variables:
        del os.environ[name]
print(json.dumps(found))
"""

GOOD: dict[str, tuple[str, Any]] = {
    "namespace": ("images", "images"),
    "bind": ("0.0.0.0:8080", "0.0.0.0:8080"),
    "webhook": ("0.0.0.0:8443", "0.0.0.0:8443"),
    "webhook_certificates": ("secret", "Secret"),
    "manage_gate": ("true", True),
    "plain_http_hosts": ("a.lan:5000,b.lan:80", "a.lan:5000,b.lan:80"),
    "pull_secrets": ("regcred,other", "regcred,other"),
    "image": ("registry.lan:5000/pawl:1.0", "registry.lan:5000/pawl:1.0"),
    "watch_namespaces": ("shop,pay", "shop,pay"),
    "kubeconfig": ("/nowhere", "/nowhere"),
    "log_level": ("debug", "debug"),
}


def read(*variables: dict[str, str]) -> list[dict[str, Any]]:
    """What `pawl run` makes of variables, for each set of them."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PAWL_")}
    done = subprocess.run(
        [sys.executable, "-c", READ],
        input=json.dumps(variables),
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def run(**variables: str) -> subprocess.CompletedProcess[str]:
    """`pawl run` where there is no cluster: it ends before it asks anybody."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PAWL_", "KUBE"))}
    environ["KUBECONFIG"] = "/nowhere"
    return subprocess.run(
        [sys.executable, "-m", "pawl", "run"], env=environ | variables, capture_output=True, text=True, check=False
    )


def test_every_flag_has_a_variable() -> None:
    command = cli.get_command(click.Context(cli), "run")
    assert command is not None
    assert {parameter.name for parameter in command.params} == set(GOOD)
    (found,) = read({f"PAWL_{name.upper()}": text for name, (text, _) in GOOD.items()})
    assert found == {name: value for name, (_, value) in GOOD.items()}


def test_an_empty_variable_and_one_of_another_version_are_no_variables() -> None:
    empty = {f"PAWL_{name.upper()}": "" for name in GOOD}
    plain, *others = read({}, empty, {"PAWL_FLUX_CAPACITOR": "1.21", "PAWL_FEATURE_GATES": "x=y"})
    assert others == [plain, plain]


def test_truth_has_many_words() -> None:
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "False": False}
    found = read(*({"PAWL_MANAGE_GATE": word} for word in words))
    assert [each["manage_gate"] for each in found] == list(words.values())


@pytest.mark.parametrize(
    ("flag", "value", "says"),
    [
        ("--bind", "8080", "--bind 8080 is not HOST:PORT"),
        ("--webhook", "0.0.0.0:https", "--webhook 0.0.0.0:https is not HOST:PORT"),
        ("--webhook-certificates", "cert-manager", "'cert-manager' is not one of"),
        ("--log-level", "loud", "'loud' is not one of"),
        ("--pull-secrets", "Reg_Cred", "--pull-secrets: Reg_Cred is no name"),
        ("--pull-secrets", "a b", "--pull-secrets: a b is no name"),
        ("--watch-namespaces", "*", "--watch-namespaces: * is no name"),
        ("--namespace", "Pawl System", "--namespace: Pawl System is no name"),
    ],
)
def test_a_bad_value_is_one_line_and_two(flag: str, value: str, says: str) -> None:
    ended = pawl("run", flag, value)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("pawl: ")
    assert ended.err.count("\n") == 1
    assert says in ended.err


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"PAWL_MANAGE_GATE": "maybe"}, "'maybe' is not a valid boolean"),
        ({"PAWL_WEBHOOK": "8443"}, "--webhook 8443 is not HOST:PORT"),
        ({f"PAWL_{name.upper()}": text for name, (text, _) in GOOD.items()}, "kubeconfig"),
    ],
    ids=["boolean", "place", "good, but there is no cluster"],
)
def test_a_process_ends_with_one_line(variables: dict[str, str], says: str) -> None:
    ended = run(**variables)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
    assert says in ended.stderr
