"""What `pawl rewrite` refuses, each with one line that says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.rewrite_samples import HUB, POD, Files, override, policy
from tests.unit.cli.run_pawl import pawl


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


BROKEN: tuple[tuple[Any, str], ...] = (
    ([{**HUB, "spec": {**HUB["spec"], "rulez": []}}], "spec.rulez"),  # type: ignore[dict-item]
    ([{**HUB, "kind": "ConfigMap"}], "ConfigMap is no override"),
    ([{"spec": {}}], "an object without kind is no override"),
    ([override("o", [("docker.io", "r.x"), ("r.x", "s.x")])], "NotIdempotent: rule 0 of o turns"),
    ([override("o", [("nginx", "r.x")])], "InvalidSource: rule 0: source 'nginx'"),
    ([override("o", [("docker.io", {})])], "target says nothing"),
    ([override("o", [])], "spec.rules"),
    ([HUB, HUB], "is given twice"),
    ([policy({})], "no ImageOverride or ClusterImageOverride"),
    ([], "no ImageOverride or ClusterImageOverride"),
    ([["a"]], "holds a list where an object is expected"),
)


@pytest.mark.parametrize(("rules", "said"), BROKEN)
def test_bad_rules_end_with_2_and_one_line(files: Files, rules: Any, said: str) -> None:
    ended = files.rewrite(rules, [POD])
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "said"), [("a: [", "is no YAML"), ("text", "holds a str"), ("[" * 200, "deeper than")]
)
def test_bad_manifests_end_with_2(files: Files, tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    ended = pawl("rewrite", "-f", files.write(HUB), str(path))
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


def test_missing_arguments_and_a_second_standard_input_end_with_2(files: Files) -> None:
    assert pawl("rewrite", files.write(POD)).code == 2
    assert pawl("rewrite", "-f", files.write(HUB)).code == 2
    assert "only once" in pawl("rewrite", "-f", "-", "-").err
