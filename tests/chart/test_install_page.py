"""docs/install.md is true: its commands render, its values are taken, its directories are there."""

from __future__ import annotations

import re
import shlex

import pytest
import yaml
from tests.chart.rendering import CHART, RefusedError, run_helm

from pawl.cli.generate import ROOT
from pawl.cli.generate_deploy import REGISTRY

PAGE = (ROOT / "docs" / "install.md").read_text()
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FENCES = FENCE.findall(PAGE)
VALUES = [text for language, text in FENCES if language == "yaml" and text.startswith("# values of the chart")]
COMMANDS = [
    line
    for language, text in [*FENCES, *FENCE.findall((CHART / "README.md").read_text())]
    for line in text.splitlines()
    if language == "sh" and line.startswith(("helm install", "helm upgrade"))
]


def test_there_is_something_to_test() -> None:
    assert len(VALUES) >= 4
    assert len(COMMANDS) >= 5


@pytest.mark.parametrize("given", VALUES, ids=range(len(VALUES)))
def test_values_are_taken(given: str) -> None:
    assert yaml.safe_load_all(run_helm("template", "pawl", str(CHART), "--values", "-", stdin=given))


def test_values_that_are_wrong_would_be_seen() -> None:
    with pytest.raises(RefusedError, match="enable is not allowed"):
        run_helm("template", "pawl", str(CHART), "--values", "-", stdin=VALUES[0].replace("enabled", "enable"))


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_render(line: str) -> None:
    _, verb, name, chart, *flags = shlex.split(line)
    assert verb in {"install", "upgrade"}
    assert chart == "charts/pawl"
    assert "kind: Deployment" in run_helm("template", name, str(CHART), *flags)


def test_directories_that_are_named_are_there() -> None:
    named = {path for cell in re.findall(r"`(deploy[\w/]*)`", PAGE) for path in [cell.rstrip("/")]}
    assert {"deploy", "deploy/webhook", "deploy/namespaced", "deploy/crds", "deploy/gate"} <= named
    assert [path for path in named if not (ROOT / path / "kustomization.yaml").exists()] == []


def test_the_kustomization_replaces_the_image_that_is_there() -> None:
    (given,) = [yaml.safe_load(text) for language, text in FENCES if text.startswith("# kustomization.yaml")]
    assert given["resources"] == ["../deploy"]
    assert [image["name"] for image in given["images"]] == [f"{REGISTRY}/pawl"]
