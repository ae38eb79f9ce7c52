from __future__ import annotations

import ast
from pathlib import Path

import pawl.sandbox

SOURCE = Path(pawl.sandbox.__file__).parent


def test_the_public_door_is_sorted_and_complete() -> None:
    assert pawl.sandbox.__all__ == sorted(
        pawl.sandbox.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )
    assert all(hasattr(pawl.sandbox, name) for name in pawl.sandbox.__all__)


def test_files_stay_small() -> None:
    assert {path.name for path in SOURCE.glob("*.py") if len(path.read_text().splitlines()) > 300} == set()


def test_every_module_says_what_it_is_for() -> None:
    assert all(ast.get_docstring(ast.parse(path.read_text())) for path in SOURCE.glob("*.py"))
