"""The reference page tells every field, rule, condition and reason."""

from __future__ import annotations

import re

import pytest

from pawl.api.catalog import KINDS, Kind
from pawl.api.crd import structural_schema
from pawl.api.reasons import ConditionType, Reason
from pawl.api.reference_docs import reference_page
from pawl.api.schema import walk

kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@kinds
def test_a_kind_with_a_status_has_words_and_no_word_twice(kind: Kind) -> None:
    told = [reason for group in kind.reasons.values() for reason in group]
    assert len(told) == len(set(told))
    assert bool(told) is bool(kind.conditions) is kind.has_status
    assert not kind.has_status or {"Ready", "Reconciling", "Stalled"} <= set(kind.conditions)


def test_every_condition_and_reason_has_a_line_somewhere() -> None:
    assert {word for kind in KINDS for word in kind.conditions} == set(ConditionType)
    assert {word for kind in KINDS for group in kind.reasons.values() for word in group} == set(Reason)


@kinds
def test_lines_are_short_sentences(kind: Kind) -> None:
    lines = [*kind.conditions.values(), *(line for group in kind.reasons.values() for line in group.values())]
    assert [line for line in lines if not (line.endswith(".") and 10 < len(line) < 100 and "|" not in line)] == []


@kinds
def test_every_field_rule_condition_and_reason_is_on_the_page_and_no_other(kind: Kind) -> None:
    page = reference_page(kind, "from a test")
    for path, _ in walk(structural_schema(kind)):
        if path.startswith(("spec.", "status.")) and not path.endswith(("[]", "{}")):
            assert f"\n| `{path}` |" in page, path
    assert all(rule.message in page for rule in kind.rules)
    reasons = {reason for group in kind.reasons.values() for reason in group}
    words = page.partition("## Conditions")[2]
    assert set(re.findall(r"^\| `(\w+)` \|", words, re.MULTILINE)) == reasons | set(kind.conditions)


@kinds
def test_tables_are_well_formed(kind: Kind) -> None:
    page = reference_page(kind, "from a test")
    for block in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block


TOLD = {
    "ImagePolicy": [
        '| `spec.interval` | duration, such as 90s or 1h30m | `"5m"` |',
        "| `spec.blocked` | list of tag |  | at most 100 items; no duplicates |",
        "| `spec.image` | string | required |",
    ],
    "ImageOverride": [
        "| `spec.rules` | list of object | required | at least 1 items; at most 1000 items |",
        '| `spec.enforcement.templates` | `Off` \\| `Admission` \\| `Reconcile` | `"Off"` |  | Off (or false',
        "| `spec.rollout.batches` | list of number or string |  | at least 1 items; at most 10 items; each at most 6",
        "| `spec.workloads.selector.matchLabels` | map to string |  | at most 16 entries; each at most 63 characters",
    ],
    "ClusterImageOverride": ["| `spec.mandatory` | boolean | `false` |"],
    "ImageRules": ["| `spec.rules` | map to list of object |  | at most 20000 entries;", "| `spec.rules{}[].to` |"],
    "ClusterImageRules": ["| `spec.own` | map to boolean |  | at most 20000 entries |"],
    "RegistryStorage": [
        '| `spec.storage.filesystem.size` | string | `"100Gi"` |',
        '| `spec.access.users.rotateEvery` | duration, such as 90s or 1h30m | `"720h"` |',
        "| `status.migration.phase` | `Preflight` \\| `Bulk` \\| `Freeze`",
    ],
}


@kinds
def test_limits_and_defaults_are_told(kind: Kind) -> None:
    page = reference_page(kind, "from a test")
    assert [line for line in TOLD[kind.name] if line not in page] == []


@kinds
def test_empty_parts_are_left_out(kind: Kind) -> None:
    page = reference_page(kind, "from a test")
    assert ("## Status" in page) is ("## Conditions" in page) is kind.has_status
    assert ("Compared with the stored object" in page) is any(rule.transition for rule in kind.rules)
    assert ("## What the API server refuses" in page) is bool(kind.rules)
