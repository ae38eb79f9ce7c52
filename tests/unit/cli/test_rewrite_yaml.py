"""Values that YAML would guess wrong come out as they went in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pawl.cli.rewrite_yaml import read_manifests, write_manifests


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("22:22", "22:22"),
        ("1:30.5", "1:30.5"),
        ("2026-01-02", "2026-01-02"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("=", "="),
        ("0644", 0o644),
        ("1.5", 1.5),
        ("true", True),
        ("'1'", "1"),
        ("~", None),
        ("{2026-01-02: 1}", {"2026-01-02": 1}),
    ],
)
def test_scalars_are_read_as_kubectl_reads_them(tmp_path: Path, written: str, value: object) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(f"a: {written}\n")
    (document,) = read_manifests(str(path))
    assert document == {"a": value}
    path.write_text(write_manifests([document]))
    assert read_manifests(str(path)) == [document]
    assert list(yaml.safe_load_all(path.read_text())) == [document]


def test_text_of_several_lines_is_a_block() -> None:
    text = write_manifests([{"b": "one\ntwo\n", "a": "x" * 300}])
    assert text == "b: |\n  one\n  two\na: " + "x" * 300 + "\n"


scalars = (
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8", exclude_characters="\x85\ufeff"))
)
documents = st.dictionaries(
    st.text("ab-c=:", min_size=1, max_size=5),
    st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3)
    ),
    max_size=4,
)


@given(documents)
def test_what_is_written_is_read_again(document: dict[str, Any]) -> None:
    assert list(yaml.safe_load_all(write_manifests([document]))) == [document]
