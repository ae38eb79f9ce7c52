"""The reference page tells every field, rule, condition and reason."""

from __future__ import annotations

import re

import pytest

from pawl.api.catalog import KINDS, Kind
from pawl.api.crd import structural_schema
from pawl.api.reason_docs import CONDITION_DOCS, REASON_GROUPS
from pawl.api.reasons import ConditionType, Reason
from pawl.api.reference_docs import reference_page
from pawl.api.schema import walk

kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def test_every_condition_has_a_line() -> None:
    assert set(CONDITION_DOCS) == set(ConditionType)


def test_every_reason_has_a_line_under_one_heading() -> None:
    told = [reason for group in REASON_GROUPS.values() for reason in group]
    assert sorted(told) == sorted(Reason)


def test_lines_are_short_sentences() -> None:
    lines = [*CONDITION_DOCS.values(), *(line for group in REASON_GROUPS.values() for line in group.values())]
    assert all(line.endswith(".") and 10 < len(line) < 100 and "|" not in line for line in lines)


@kinds
def test_every_field_rule_condition_and_reason_is_on_the_page(kind: Kind) -> None:
    page = reference_page(kind, "from a test")
    for path, _ in walk(structural_schema(kind)):
        if path.startswith(("spec.", "status.")) and not path.endswith("[]"):
            assert f"\n| `{path}` |" in page, path
    assert all(rule.message in page for rule in kind.rules)
    assert all(f"\n| `{word}` |" in page for word in [*Reason, *ConditionType])


@kinds
def test_tables_are_well_formed(kind: Kind) -> None:
    page = reference_page(kind, "from a test")
    for block in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block


@kinds
def test_limits_and_defaults_are_told(kind: Kind) -> None:
    page = reference_page(kind, "from a test")
    assert '| `spec.interval` | duration, such as 90s or 1h30m | `"5m"` |' in page
    assert "| `spec.blocked` | list of tag |  | at most 100 items; no duplicates |" in page
    assert "| `spec.image` | string | required |" in page
