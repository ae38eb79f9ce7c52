"""What README and docs say is so: paths exist, manifests validate, tables are complete.

Neighbours: `test_docs_commands` reads the commands, `test_docs_security` the tables of threats, and
`tests/cluster/test_docs_live.py` shows every manifest to an API server.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml
from prometheus_client import generate_latest

import pawl
from pawl.api.catalog import CLUSTER_IMAGE_OVERRIDE, IMAGE_OVERRIDE, IMAGE_POLICY, Kind
from pawl.api.editor import editor_schema
from pawl.api.imageoverride import ClusterImageOverride, ImageOverride
from pawl.api.imagepolicy import ImagePolicy
from pawl.api.reason_docs_override import OVERRIDE_CONDITIONS, OVERRIDE_REASONS
from pawl.api.reasons import ConditionType, Reason
from pawl.cli.main import cli
from pawl.cluster import resources
from pawl.cluster.resources import Resource
from pawl.controllers.metrics import Metrics
from pawl.decide.objects import ImageAt
from pawl.decide.rulebook import Rulebook, Stock, compile_rulebook
from pawl.decide.tables import CompiledTable, rewrite_image, subject_of

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "charts", "deploy")
PAGES = tuple(sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))]))
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
OF_THE_CHECKOUT = re.compile(
    r"(?<![\w./-])(?:operator|tests|docs|scripts|crds|schemas|bench|charts|deploy(?!/pawl\b)|\.ci)/[\w./-]*"
)
"""Paths below one of our folders; `deploy/pawl` is what kubectl calls the Deployment."""


@dataclass(frozen=True)
class Fence:
    """A fenced block: its page, its language and its text."""

    page: Path
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.text.strip().splitlines()[0][:60]}"


def fences(language: str) -> list[Fence]:
    found = [Fence(page, kind, text) for page in PAGES for kind, text in FENCE.findall(page.read_text())]
    return [fence for fence in found if fence.language == language]


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for target in LINK.findall(CODE.sub("", page.read_text())):
            if not target.startswith(("https://", "http://", "mailto:")):
                yield page, target


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_there_is_something_to_test() -> None:
    assert len(list(links())) > 30
    assert len(policies()) > 5
    assert len(overrides()) > 5
    assert len(examples()) > 10


@pytest.mark.parametrize(("page", "target"), sorted(set(links())), ids=lambda value: str(value)[-60:])
def test_every_link_leads_somewhere(page: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    assert file.exists(), f"{page.name} links to {target}"
    assert not anchor or anchor in anchors(file), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_of_the_checkout_that_is_named_exists(page: Path) -> None:
    named = {word for code in CODE.findall(page.read_text()) for word in OF_THE_CHECKOUT.findall(code)}
    # `crds/*.yaml` and the like name many files by a pattern.
    missing = [word for word in named if not (ROOT / word.split("*")[0]).exists()]
    assert not missing


def test_the_index_leads_to_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / target).resolve() for page, target in links() if page == index}
    assert {page for page in PAGES if page.is_relative_to(index.parent)} - listed == {index}


def policies() -> list[Fence]:
    return [fence for fence in fences("yaml") if "kind: ImagePolicy" in fence.text]


@pytest.mark.parametrize("fence", policies(), ids=str)
def test_every_policy_is_right(fence: Fence) -> None:
    schema = editor_schema(IMAGE_POLICY, "test")
    for document in yaml.safe_load_all(fence.text):
        ImagePolicy.model_validate(document)
        jsonschema.validate(document, schema, format_checker=jsonschema.FormatChecker())


def overrides() -> list[Fence]:
    return [fence for fence in fences("yaml") if "ImageOverride\n" in fence.text]


OVERRIDE_KINDS: dict[str, tuple[Kind, type[ImageOverride | ClusterImageOverride]]] = {
    "ImageOverride": (IMAGE_OVERRIDE, ImageOverride),
    "ClusterImageOverride": (CLUSTER_IMAGE_OVERRIDE, ClusterImageOverride),
}


def compiled(text: str) -> Rulebook:
    """Hold every document to its schema, and compile them all."""
    read = []
    for document in yaml.safe_load_all(text):
        kind, model = OVERRIDE_KINDS[document["kind"]]
        jsonschema.validate(document, editor_schema(kind, "test"), format_checker=jsonschema.FormatChecker())
        read.append(model.model_validate(document))
    return compile_rulebook(Stock(read))


@pytest.mark.parametrize("fence", overrides(), ids=str)
def test_every_override_can_be_carried_out(fence: Fence) -> None:
    assert all(judged.accepted and not judged.conflicts for judged in compiled(fence.text).judged.values())


def examples() -> list[list[str]]:
    """The rows of the table of images: image, source, target, and what becomes of it."""
    page = (ROOT / "docs/imageoverride.md").read_text()
    table = page.partition("| Image | Source | Target | Becomes |\n")[2].partition("\n\n")[0]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in table.splitlines()[1:]]


@pytest.mark.parametrize(("image", "source", "target", "becomes"), examples())
def test_every_example_of_a_rule_is_what_happens(image: str, source: str, target: str, becomes: str) -> None:
    rule = {"source": source, "target": yaml.safe_load(target)}
    override = {"apiVersion": "pawl.dev/v1alpha1", "kind": "ClusterImageOverride", "metadata": {"name": "example"}}
    book = compiled(yaml.safe_dump({**override, "spec": {"rules": [rule]}}))
    assert all(judged.accepted for judged in book.judged.values())
    ruling = rewrite_image(CompiledTable.of(book.cluster), subject_of((), {}), ImageAt("containers", "c", image))
    assert ruling.image == (image if becomes.startswith("stays") else becomes)


@pytest.mark.parametrize("fence", fences("yaml"), ids=str)
def test_every_other_yaml_can_be_read(fence: Fence) -> None:
    assert list(yaml.safe_load_all(fence.text))


def declared() -> set[str]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [item for group in project["dependency-groups"].values() for item in group if isinstance(item, str)]
    return {re.split(r"[<>=\[;! ]", item)[0].lower() for item in [*project["project"]["dependencies"], *groups]}


def test_every_dependency_has_a_row_and_no_row_is_left_over() -> None:
    page = (ROOT / "docs/design/dependencies.md").read_text()
    rows = re.findall(r"^\| ([a-z][a-z0-9-]+) \| (.+) \| (.+) \| (.+) \|$", page, re.MULTILINE)
    assert {name for name, *_ in rows} == declared()
    assert all(len(reason) > 3 and licence and other for _, reason, licence, other in rows)


def test_the_changelogs_newest_version_is_this_one() -> None:
    versions = re.findall(r"^## \[([^\]]+)\] - (\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions
    assert versions[0][0] == pawl.__version__
    assert [date for _, date in versions] == sorted((date for _, date in versions), reverse=True)


def test_the_version_is_written_once_more_in_pyproject() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == pawl.__version__


def test_the_source_root_is_no_package() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()


def metrics() -> set[str]:
    text = generate_latest(Metrics().registry).decode()
    names = set(re.findall(r"^# TYPE (pawl_\w+) (?!gauge$)\w+$", text, re.MULTILINE))
    gauges = re.findall(r"^# TYPE (pawl_\w+) gauge$", text, re.MULTILINE)
    return names | {name for name in gauges if not name.endswith("_created")}


def test_every_metric_is_listed_and_no_other() -> None:
    names = metrics()
    listed = set(re.findall(r"^\| `(pawl_\w+)` \|", (ROOT / "docs/operations.md").read_text(), re.MULTILINE))
    assert listed == names


def test_every_flag_of_run_is_listed() -> None:
    context = click.Context(cli)
    command = cli.get_command(context, "run")
    assert command is not None
    flags = {option for parameter in command.params for option in parameter.opts}
    listed = set(re.findall(r"^\| `(--[\w-]+)` \|", (ROOT / "docs/operations.md").read_text(), re.MULTILINE))
    assert listed == flags


def test_every_condition_that_holds_is_explained_twice() -> None:
    calm = {ConditionType.READY, ConditionType.RECONCILING, ConditionType.BOOTSTRAPPED}
    for page in ("README.md", "docs/imagepolicy.md"):
        told = set(re.findall(r"^\| `(\w+)`", (ROOT / page).read_text(), re.MULTILINE))
        missing = {kind.value for kind in set(IMAGE_POLICY.conditions) - calm} - told
        # A rollback in force is a task of its own on the long page, and no trouble at night.
        assert missing <= ({"RollbackActive"} if page != "README.md" else set())


def section(page: str, head: str) -> str:
    """The text below a heading, up to the next one of its level."""
    return (ROOT / page).read_text().partition(f"\n## {head}\n")[2].partition("\n## ")[0]


def test_alerts_ask_for_metrics_that_there_are() -> None:
    asked = set(re.findall(r"pawl_\w+", section("docs/operations.md", "Metrics").partition("Worth an alert")[2]))
    assert len(asked) > 8
    assert asked <= metrics()


def test_the_rights_name_every_resource_that_pawl_asks_for() -> None:
    assert "(reference/rights.md)" in section("docs/operations.md", "Rights")
    rows = (ROOT / "docs/reference/rights.md").read_text()
    asked = {each.plural for each in vars(resources).values() if isinstance(each, Resource)}
    assert len(asked) > 15
    assert {plural for plural in asked if f"`{plural}`" not in rows} == set()


def test_every_condition_of_overrides_is_explained() -> None:
    told = set(re.findall(r"^\| `(\w+)` \|", section("docs/imageoverride.md", "Conditions"), re.MULTILINE))
    assert told == {kind.value for kind in OVERRIDE_CONDITIONS}


CALM = {
    *(Reason.ACCEPTED, Reason.PROGRESSING, Reason.RESTORING, Reason.ROLLED_OUT, Reason.VERIFIED),
    *(Reason.PREFLIGHT_PASSED, Reason.PREFLIGHT_SKIPPED, Reason.PREPULLING, Reason.ROLLING_OUT, Reason.SETTLING),
    # explained as a condition
    Reason.CONFLICTING,
}


def test_every_reason_of_overrides_that_may_wake_somebody_is_explained() -> None:
    rows = section("docs/imageoverride.md", "At three in the morning").splitlines()
    told = {word for row in rows if row.startswith("| `") for word in CODE.findall(row.split(" | ")[0])}
    declared = {reason.value for reasons in OVERRIDE_REASONS.values() for reason in reasons}
    assert told <= {reason.value for reason in Reason}
    assert declared - told == {reason.value for reason in CALM}
