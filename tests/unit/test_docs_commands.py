"""Every command in a shell block of a page, and in its text, is one that can be run: pawl, helm, kubectl, make, python.

Nothing is run here. `test_docs` finds the pages; `tests/chart/test_install_page.py` renders what helm is asked for, and
`tests/node/test_quickstart.py` runs the quickstart.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml
from tests.unit.test_docs import CODE, PAGES, ROOT, Fence, fences

from pawl.cli.main import cli

Schema = dict[str, Any]
Call = tuple[str, list[str]]

VALUES: Schema = json.loads((ROOT / "charts/pawl/values.schema.json").read_text())
CHART = "charts/pawl"
HELM = {"install", "upgrade", "rollback", "uninstall", "test", "template"}
ELSEWHERE = {"./chart"}
"""Charts of the reader's own."""


def calls(program: str) -> list[Call]:
    """Every call of a program in a shell block: the line, and its words after the program's name."""
    found = []
    for line in lines():
        words = shlex.split(line, comments=True)
        starts = [at for at, word in enumerate(words) if word == program and (at == 0 or words[at - 1] in "|&&")]
        found += [(line, until_pipe(words[at + 1 :])) for at in starts]
    return found


def lines() -> Iterator[str]:
    """Every line of a shell block; of a session at a terminal what was typed."""
    for fence in fences("sh"):
        yield from fence.text.splitlines()
    for fence in fences("console"):
        yield from (line[2:] for line in fence.text.splitlines() if line.startswith(("$ ", "# ")))


def until_pipe(words: list[str]) -> list[str]:
    ends = [at for at, word in enumerate(words) if word in {"|", ">", "&&", ";"}]
    return words[: ends[0]] if ends else words


def spans(begin: str) -> Iterator[str]:
    """Every piece of code in a page's text that begins so."""
    for page in PAGES:
        yield from (code for code in CODE.findall(page.read_text()) if code.startswith(begin))


def test_there_is_something_to_test() -> None:
    assert [len(calls(program)) > least for program, least in (("pawl", 30), ("helm", 8), ("kubectl", 30))] == [
        True
    ] * 3
    assert len(set(targets())) > 9
    assert len(settings()) > 8
    assert len(kept_values()) >= 4


def settled(words: list[str], *flags: str) -> list[str]:
    """The words that follow any of the flags."""
    return [words[at + 1] for at, word in enumerate(words[:-1]) if word in flags]


# pawl


@pytest.mark.parametrize(("line", "words"), calls("pawl"), ids=lambda value: str(value)[:70])
def test_every_command_is_understood(line: str, words: list[str]) -> None:
    assert "pawl" in line
    parse(cli, "pawl", words)


@pytest.mark.parametrize("code", sorted(set(spans("pawl "))))
def test_what_the_text_calls_a_command_is_one(code: str) -> None:
    """With its flags; what a command cannot do without may be left out where it is only named."""
    with suppress(click.MissingParameter, click.exceptions.NoArgsIsHelpError):
        parse(cli, "pawl", until_pipe(shlex.split(code.replace("\\|", "|"))[1:]))


def parse(command: click.Command, name: str, words: list[str], parent: click.Context | None = None) -> None:
    """Parse without running: raises click.UsageError for what the command line does not know."""
    with command.make_context(name, list(words), parent=parent, resilient_parsing=False) as context:
        if isinstance(command, click.Group):
            rest = [*context._protected_args, *context.args]
            found, sub, rest = command.resolve_command(context, rest)
            assert sub is not None, f"{name} knows no {found}"
            parse(sub, str(found), rest, context)


def test_a_command_that_does_not_exist_is_seen() -> None:
    with pytest.raises(click.UsageError):
        parse(cli, "pawl", ["status", "--frobnicate"])
    with pytest.raises(click.UsageError):
        parse(cli, "pawl", ["frobnicate"])


# helm


def settings() -> list[str]:
    """Every `key=value` that a page gives with --set, in a block or in its text; of a list, each."""
    in_blocks = [given for _, words in calls("helm") for given in settled(words, "--set")]
    in_text = [given for code in spans("--set ") for given in settled(shlex.split(code), "--set")]
    return [one for given in (*in_blocks, *in_text) for one in re.split(r",(?![^{]*})", given)]


@pytest.mark.parametrize(("line", "words"), calls("helm"), ids=lambda value: str(value)[:70])
def test_helm_is_asked_for_a_chart_that_is_here(line: str, words: list[str]) -> None:
    assert words[0] in HELM, line
    charts = [word for word in words[1:] if "/" in word and not word.startswith("-") and "=" not in word]
    assert {*charts} <= {CHART, *ELSEWHERE}
    assert (ROOT / CHART / "Chart.yaml").exists()


@pytest.mark.parametrize("given", sorted(set(settings())))
def test_a_value_that_is_set_is_one_of_the_chart(given: str) -> None:
    key, _, value = given.partition("=")
    assert value
    assert known(VALUES, key.split(".")), f"the chart has no {key}"


def known(schema: Schema, path: list[str]) -> bool:
    """Whether a schema has a value at a path; what is free in the schema has any."""
    if not path or not schema.get("properties"):
        return not path or schema.get("additionalProperties", True) is not False
    inner = schema["properties"].get(path[0])
    return inner is not None and known(inner, path[1:])


def test_a_value_that_there_is_not_would_be_seen() -> None:
    assert known(VALUES, ["image", "registry"])
    assert not known(VALUES, ["image", "registri"])
    assert not known(VALUES, ["imagePullSecret"])


def named_values() -> set[str]:
    """Every `key.key`, alone or with its value, that begins as a value of the chart does."""
    codes = [code for page in PAGES for code in CODE.findall(page.read_text())]
    found = [match[1] for code in codes if (match := re.match(r"(\w+(?:\.\w+)+)(?:: |=|$)", code))]
    return {name for name in found if name.partition(".")[0] in VALUES["properties"]}


@pytest.mark.parametrize("name", sorted(named_values()))
def test_a_value_that_the_text_names_is_one_of_the_chart(name: str) -> None:
    assert known(VALUES, name.split("."))


def kept_values() -> list[Fence]:
    return [fence for fence in fences("yaml") if fence.text.startswith("# values of the chart")]


@pytest.mark.parametrize("fence", kept_values(), ids=str)
def test_values_that_a_page_shows_are_those_of_the_chart(fence: Fence) -> None:
    jsonschema.validate(yaml.safe_load(fence.text), VALUES)


# kubectl


@pytest.mark.parametrize(("line", "words"), calls("kubectl"), ids=lambda value: str(value)[:70])
def test_kubectl_is_given_what_is_here(line: str, words: list[str]) -> None:
    ours = [Path(given) for given in settled(words, "-f", "-k", "--patch-file") if given.startswith("deploy")]
    assert [str(path) for path in ours if not (ROOT / path).exists()] == [], line
    built = [Path(given) for given in settled(words, "-k") if given != "."]
    assert [str(path) for path in built if not (ROOT / path / "kustomization.yaml").exists()] == [], line


@pytest.mark.parametrize("code", sorted(set(spans("kubectl apply -k "))))
def test_what_the_text_has_applied_is_here(code: str) -> None:
    (given,) = settled(code.split(), "-k")
    assert (ROOT / given / "kustomization.yaml").exists()


# make, and Python's modules


def targets() -> list[str]:
    in_blocks = [words[0] for _, words in calls("make")]
    return [*in_blocks, *(code.split()[1] for code in spans("make "))]


@pytest.mark.parametrize("target", sorted(set(targets())))
def test_make_knows_the_target(target: str) -> None:
    assert target in re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_contributing_names_every_target() -> None:
    phony = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    told = re.findall(r"^\| `make ([a-z-]+)", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert sorted(told) == sorted(" ".join(phony).split())


def modules() -> list[str]:
    in_blocks = [name for _, words in calls("python3") for name in settled(words, "-m")]
    return [*in_blocks, *(name for code in spans("python") for name in settled(code.split(), "-m"))]


@pytest.mark.parametrize("name", sorted(set(modules())))
def test_a_module_that_is_to_be_run_is_here(name: str) -> None:
    assert importlib.util.find_spec(name) is not None
