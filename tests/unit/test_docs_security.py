"""docs/security.md keeps its rule: every threat in its tables names tests, and these are there under these names.

Neighbours: `test_docs` for the other pages. Not here: whether a test shows what the row says; that is for the reader.
"""

from __future__ import annotations

import re

import pytest
from tests.unit.test_docs import LINK, ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
HEAD = "| Threat | Defence | Tested in |"
NAMED = re.compile(r"`(test_\w+)`")


def rows() -> list[list[str]]:
    """The rows of all tables of threats: threat, defence, tests."""
    found = []
    for table in PAGE.split(HEAD)[1:]:
        lines = table.partition("\n\n")[0].strip().splitlines()[1:]
        found += [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return found


def test_there_is_something_to_test() -> None:
    assert len(rows()) > 50
    assert len(NAMED.findall(PAGE)) > 15
    assert PAGE.count("| Tested in |") == PAGE.count(HEAD)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:60])
def test_a_threat_names_tests_that_are_there(row: list[str]) -> None:
    threat, _, tested = row
    files = [(ROOT / "docs" / target).resolve() for target in LINK.findall(tested)]
    assert files, f"{threat}: no test"
    assert [
        file.name for file in files if not re.search(r"^ *(async )?def test_", file.read_text(), re.MULTILINE)
    ] == []


@pytest.mark.parametrize("row", [row for row in rows() if NAMED.search(row[2])], ids=lambda row: row[0][:60])
def test_a_test_that_is_named_stands_in_the_file_before_it(row: list[str]) -> None:
    for link, *names in (part.split("`") for part in row[2].split(", ")):
        (target,) = LINK.findall(link)
        text = (ROOT / "docs" / target).resolve().read_text()
        missing = [name for name in names if name.startswith("test_") and f"def {name}(" not in text]
        assert missing == [], f"{target} has no {missing}"


def test_a_link_shows_the_path_that_it_leads_to() -> None:
    shown = re.findall(r"\[(tests/[^\]]+)\]\(\.\./([^)]+)\)", PAGE)
    assert [(name, target) for name, target in shown if name != target] == []
