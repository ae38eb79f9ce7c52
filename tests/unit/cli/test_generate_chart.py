"""What is made of the chart: rows of values from their comments, and the table between its marks."""

from __future__ import annotations

from pathlib import Path

import pytest

from pawl.cli.generate_chart import BEGIN, END, filled
from pawl.cli.generate_deploy import deploy_documents
from pawl.cli.generate_values import Value, table, values

TEXT = """\
# Of the file.

image:
  # Where it is,
  # with a port.
  registry: ""
  tag: a|b
# A whole map.
resources:
  limits: {memory: 1Gi}
replicas: 2
"""


def test_a_value_has_its_path_its_default_and_the_comment_above() -> None:
    assert values(TEXT) == [
        Value("image.registry", '""', "Where it is, with a port."),
        Value("image.tag", '"a\\|b"', ""),
        Value("resources", '{"limits": {"memory": "1Gi"}}', "A whole map."),
        Value("replicas", "2", ""),
    ]


def test_what_is_no_map_is_refused() -> None:
    with pytest.raises(ValueError, match=r"values\.yaml is no map"):
        values("- a\n")


def test_rows_stand_between_the_marks_and_nothing_else_changes() -> None:
    rows = table([Value("a", "1", "One.")])
    page = f"before\n{BEGIN}old\n{END}after\n"
    once = filled(page, rows)
    assert "| `a` | `1` | One. |" in once
    assert "old" not in once
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert filled(once, rows) == once


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="values: begin"):
        filled("nothing here", "")


def test_a_chart_that_cannot_be_rendered_says_why_in_one_line(tmp_path: Path) -> None:
    tool = tmp_path / "helm"
    tool.write_text("#!/bin/sh\necho 'Error: no\n chart' >&2\nexit 1\n")
    tool.chmod(0o755)
    with pytest.raises(Exception, match="cannot be rendered: Error: no chart"):
        deploy_documents(tmp_path, tool)
