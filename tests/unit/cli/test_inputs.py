"""Files given to the command line: each fault is one sentence with the file's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from pawl.api.errors import InputError
from pawl.api.imagepolicy import ImagePolicy
from pawl.cli.inputs import FILE_BYTES, read_objects, validate


def test_many_documents_and_empty_ones(tmp_path: Path) -> None:
    path = tmp_path / "many.yaml"
    path.write_text("a: 1\n---\n---\n{b: 2}\n")
    assert read_objects(str(path)) == [{"a": 1}, {"b": 2}]


def test_json_is_yaml(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text('{"a": [1, null]}')
    assert read_objects(str(path)) == [{"a": [1, None]}]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"a: [1", "is no YAML"),
        (b"- 1\n", "holds a list where an object is expected"),
        (b"just words", "holds a str"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"a: !!python/object:os.system {}", "is no YAML"),
        (b" " * (FILE_BYTES + 1), "is larger than 16 MiB"),
    ],
    ids=["torn", "list", "text", "bytes", "code", "large"],
)
def test_a_bad_file_is_one_sentence(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=word) as caught:
        read_objects(str(path))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_directory(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError, match="cannot read"):
            read_objects(str(path))


def test_faults_name_their_fields_and_are_few() -> None:
    spec = {f"field{number}": 1 for number in range(5)} | {"image": "web"}
    with pytest.raises(InputError) as caught:
        validate(ImagePolicy, {"metadata": {"name": "web"}, "spec": spec}, "p.yaml")
    text = str(caught.value)
    assert text.startswith("p.yaml: spec.select: ")
    assert text.count(";") == 2
    assert text.endswith("(and 3 more)")


def test_the_value_is_not_repeated() -> None:
    document = {"metadata": {"name": "web"}, "spec": {"image": "web", "select": "s3cr3t"}}
    with pytest.raises(InputError) as caught:
        validate(ImagePolicy, document, "p.yaml")
    assert "s3cr3t" not in str(caught.value)
