"""Generated files: the same bytes each time, the same as in the repository, and `--check` names what is stale."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml
from click.testing import CliRunner, Result

from pawl.api.crd import crds as crd_documents
from pawl.cli.crds import crds
from pawl.cli.generate import MARK, ROOT, everything, main


def run(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), *arguments])


def test_repository_is_up_to_date() -> None:
    result = run(ROOT, "--check")
    assert result.exit_code == 0, result.output


def test_first_line_names_the_command() -> None:
    for path, content in everything().items():
        assert MARK in content.splitlines()[0], path
        assert content.endswith("\n"), path
        assert not content.endswith("\n\n"), path


def test_same_bytes_under_another_hash_seed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pawl.cli.generate", "--root", str(tmp_path)]
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT / "operator")}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    assert {path: (tmp_path / path).read_text() for path in everything()} == everything()


def test_check_writes_nothing_and_names_what_is_missing(tmp_path: Path) -> None:
    result = run(tmp_path, "--check")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert all(path in result.stderr for path in everything())
    assert "run python -m pawl.cli.generate" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_check_names_only_the_stale_file(tmp_path: Path) -> None:
    assert run(tmp_path).exit_code == 0
    assert run(tmp_path, "--check").exit_code == 0
    stale = tmp_path / "crds" / "pawl.dev_imagepolicies.yaml"
    stale.write_text(stale.read_text().replace("maxItems: 25", "maxItems: 26"))
    result = run(tmp_path, "--check")
    assert result.exit_code == 1
    assert result.stderr == "stale: crds/pawl.dev_imagepolicies.yaml; run python -m pawl.cli.generate\n"
    assert run(tmp_path).output == f"{len(everything())} files, 1 written, 0 removed\n"
    assert run(tmp_path, "--check").exit_code == 0


def test_left_over_files_are_named_and_removed_but_hand_written_ones_stay(tmp_path: Path) -> None:
    run(tmp_path)
    old, own = tmp_path / "crds" / "pawl.dev_old.yaml", tmp_path / "crds" / "own.yaml"
    old.write_text(f"# {MARK}\n")
    own.write_text("a: 1\n")
    assert "stale: crds/pawl.dev_old.yaml;" in run(tmp_path, "--check").stderr
    assert "1 removed" in run(tmp_path).output
    assert not old.exists()
    assert own.exists()


def test_pawl_crds_prints_them_all() -> None:
    in_yaml = CliRunner().invoke(crds, [])
    in_json = CliRunner().invoke(crds, ["-o", "json"])
    assert list(yaml.safe_load_all(in_yaml.output)) == crd_documents()
    assert json.loads(in_json.output)["items"] == crd_documents()
