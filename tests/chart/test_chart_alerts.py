"""Alerts and dashboard ask for metrics that there are; the PromQL parses; the operations page says the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import generate_latest
from tests.chart.rendering import CHART, Json, of_kind, render

from pawl.cli.generate import ROOT
from pawl.controllers.metrics import Metrics

RULE: Json = {"metrics": {"prometheusRule": {"enabled": True}}}
ALERTS: list[Json] = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["alerts"]
BOARD: Json = json.loads((CHART / "files" / "dashboard.json").read_text())
NAME = re.compile(r"\b(?:pawl|process)_\w+")


def series() -> set[str]:
    """Every name under which a sample can be asked for."""
    metrics = Metrics()
    metrics.reconciled("ImagePolicy", "done", 1)
    names: set[str] = set()
    for family, kind in re.findall(r"^# TYPE (\w+) (\w+)$", generate_latest(metrics.registry).decode(), re.MULTILINE):
        endings = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        names |= {f"{family}{ending}" for ending in endings}
    return names


def selectors(expression: Any) -> Iterator[Any]:
    """Every selector of series in a parsed expression."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    for part in ("expr", "lhs", "rhs", "vector_selector", "param"):
        if (below := getattr(expression, part, None)) is not None:
            yield from selectors(below)
    for argument in getattr(expression, "args", None) or ():
        yield from selectors(argument)


def test_selectors_are_found_wherever_they_stand() -> None:
    parsed = promql_parser.parse("sum by (a) (increase(one[5m])) > 0 and histogram_quantile(0.9, sum(rate(two[1m])))")
    assert {each.name for each in selectors(parsed)} == {"one", "two"}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert["alert"]))
def test_an_alert_asks_for_metrics_that_there_are(alert: Json) -> None:
    found = {each.name for each in selectors(promql_parser.parse(alert["expr"]))}
    assert found
    assert found <= series()
    assert alert["severity"] in {"critical", "warning"}
    assert all(len(alert[key]) > 10 for key in ("summary", "action"))


def shown() -> list[tuple[str, str]]:
    return [(panel["title"], target["expr"]) for panel in BOARD["panels"] for target in panel["targets"]]


@pytest.mark.parametrize(("title", "expression"), shown(), ids=[f"{title}-{i}" for i, (title, _) in enumerate(shown())])
def test_a_panel_asks_for_metrics_that_there_are(title: str, expression: str) -> None:
    parsed = promql_parser.parse(expression.replace("$__rate_interval", "5m"))
    found = {each.name for each in selectors(parsed)}
    assert found, title
    assert {name for name in found if name.startswith("pawl_")} <= series()


def test_panels_do_not_cover_each_other() -> None:
    fields = [
        (panel["gridPos"]["x"] + right, panel["gridPos"]["y"] + down)
        for panel in BOARD["panels"]
        for right in range(panel["gridPos"]["w"])
        for down in range(panel["gridPos"]["h"])
    ]
    assert len(set(fields)) == len(fields)
    assert max(across for across, _ in fields) < 24


def test_every_metric_of_the_operations_page_with_an_alert_has_one_here() -> None:
    rows = (ROOT / "docs/operations.md").read_text().partition("Worth an alert:")[2].partition("\n## ")[0]
    told = {name for row in rows.splitlines() if row.startswith("| `") for name in NAME.findall(row.split(" | ")[0])}
    asked = {name for alert in ALERTS for name in NAME.findall(alert["expr"])}
    assert told
    assert told <= asked
    assert asked - told <= {"pawl_build_info"}


def rules(given: Json) -> list[Json]:
    (rule,) = of_kind(render(given), "PrometheusRule")
    found: list[Json] = rule["spec"]["groups"][0]["rules"]
    return found


def test_rules_are_rendered_as_they_stand_in_the_file() -> None:
    found = rules(RULE)
    assert [(each["alert"], each["expr"], each["for"]) for each in found] == [
        (each["alert"], each["expr"], each["for"]) for each in ALERTS
    ]
    assert all(set(each["annotations"]) == {"summary", "action"} for each in found)


def test_alerts_can_be_left_out_labelled_added_and_linked() -> None:
    more = {"alert": "Mine", "expr": "pawl_leader == 0"}
    own = {
        "enabled": True,
        "disabled": ["PawlScansHang"],
        "alertLabels": {"team": "images"},
        "extraRules": [more],
        "runbookURL": "https://runbooks.corp/pawl#",
    }
    found = rules({"metrics": {"prometheusRule": own}})
    assert more in found
    names = [each["alert"] for each in found]
    assert "PawlScansHang" not in names
    assert len(names) == len(ALERTS)
    first = found[0]
    assert first["labels"] == {"severity": "warning", "team": "images"}
    assert first["annotations"]["runbook_url"] == "https://runbooks.corp/pawl#PawlAbsent"


def test_the_dashboard_reaches_grafana_whole() -> None:
    (found,) = [
        each
        for each in of_kind(render({"metrics": {"dashboard": {"enabled": True}}}), "ConfigMap")
        if each["metadata"]["labels"].get("grafana_dashboard") == "1"
    ]
    assert json.loads(found["data"]["pawl.json"]) == BOARD
