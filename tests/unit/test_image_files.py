"""The image's files: locks that agree, a Dockerfile that keeps its promises, and the parts of its build one by one.

Not here: the image itself (`tests/node/test_image.py`).
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from scripts import check_lock, image_root
from scripts.bootstrap import ROOT
from scripts.image import INPUTS, labels, moment, version
from scripts.image_base import Source, name_of
from scripts.image_tools import ImageError, Target, find_tool, layers_of_layout
from scripts.image_wheels import own_wheel, pins_of, platforms

DOCKERFILE = (ROOT / "Dockerfile").read_text()
PIN = "{name}=={version} \\\n    --hash=sha256:{digest}\n    # via\n    #   {via}\n"


def lock(*rows: tuple[str, str, str, str]) -> dict[str, re.Match[str]]:
    text = "".join(PIN.format(name=name, version=number, digest=digest, via=via) for name, number, digest, via in rows)
    return check_lock.pins(text)


def test_the_locks_of_this_tree_agree() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/check_lock.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_runtime_pin_must_be_the_one_that_is_tested() -> None:
    whole = lock(("one", "1.0", "aa", "pawl"), ("two", "2.0", "bb", "one"))
    assert list(check_lock.differing(whole, whole)) == []
    assert len(list(check_lock.differing(whole, lock(("one", "1.1", "aa", "pawl"))))) == 1
    assert len(list(check_lock.differing(whole, lock(("one", "1.0", "cc", "pawl"))))) == 1
    assert len(list(check_lock.differing(whole, lock(("three", "1.0", "aa", "pawl"))))) == 1


def test_nothing_comes_into_the_image_that_nothing_asks_for() -> None:
    rows = lock(
        ("one", "1.0", "aa", "pawl (pyproject.toml)"), ("two", "2.0", "bb", "one"), ("pytest", "9", "cc", "dev")
    )
    assert list(check_lock.unasked(rows, ["one>=1"])) == [
        "requirements-runtime.lock has pytest, which nothing at run time asks for"
    ]


def test_a_requirement_that_a_lock_does_not_meet_is_named() -> None:
    rows = lock(("one", "1.0", "aa", "pawl"))
    said = list(check_lock.unsatisfied("x.lock", rows, ["one>=1", "one>=2", "Two"]))
    assert said == [
        "x.lock has one 1.0, pyproject.toml wants one>=2",
        "x.lock has Two not at all, pyproject.toml wants Two",
    ]


def test_the_base_must_be_given() -> None:
    assert re.findall(r"^ARG BASE.*$", DOCKERFILE, re.MULTILINE) == ["ARG BASE"]
    assert re.findall(r"^FROM (.+)$", DOCKERFILE, re.MULTILINE) == ["${BASE} AS build", "scratch"]


def test_the_last_stage_runs_as_nobody_without_a_shell() -> None:
    last = DOCKERFILE.partition("FROM scratch")[2]
    assert "RUN" not in last
    assert re.findall(r"^(?:USER|ENTRYPOINT|CMD) .*$", last, re.MULTILINE) == [
        "USER 65532:65532",
        'ENTRYPOINT ["/opt/pawl/bin/pawl"]',
        'CMD ["run"]',
    ]
    assert f'description="{_description()}"' in DOCKERFILE


def _description() -> str:
    found = re.search(r'^description = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert found
    return found[1]


def test_what_is_copied_is_let_through_and_handed_over() -> None:
    copied = {
        word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()
    }
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_through = {line[1:].removesuffix("/*.whl") for line in ignored if line.startswith("!")}
    assert "*" in ignored
    assert copied == let_through
    assert copied - {"dist/wheels"} <= set(INPUTS)


def test_what_is_left_out_goes_from_the_tree_and_from_its_record(tmp_path: Path) -> None:
    for name in ("one/a.py", "one/b.pyx", "one/tests/t.py", "one/__pycache__/a.pyc", "two/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    record = tmp_path / "one-1.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("one/a.py,sha256=x,1\none/b.pyx,,\none/tests/t.py,,\n")
    image_root.prune(tmp_path, ["**/*.pyx", "**/tests"])
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["RECORD", "a.py", "a.py"]
    assert record.read_text() == "one/a.py,sha256=x,1\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to root, as the build stage does")
def test_files_of_every_builder_look_the_same(tmp_path: Path) -> None:
    for name in ("tmp", "bin"):
        (tmp_path / name).mkdir()
    (tmp_path / "bin/pawl").touch(0o711)
    (tmp_path / "lib.so.1").touch(0o640)
    (tmp_path / "script.py").touch(0o750)
    image_root.settle(tmp_path, 315532800)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {"tmp": 0o1777, "bin": 0o755, "pawl": 0o755, "lib.so.1": 0o755, "script.py": 0o644}
    assert {path.stat().st_mtime for path in tmp_path.rglob("*")} == {315532800}


def test_bytecode_is_used_without_a_look_at_its_source(tmp_path: Path) -> None:
    source = tmp_path / "one.py"
    source.write_text("x = {'a', 'b'}\n")
    image_root.compile_all(tmp_path, [tmp_path])
    (compiled,) = tmp_path.rglob("*.pyc")
    assert int.from_bytes(compiled.read_bytes()[4:8], "little") == 0b01  # by hash, unchecked


def test_libraries_are_those_of_the_base() -> None:
    found = set(image_root.libraries([Path(sys.executable).resolve()]))
    assert any(path.name.startswith("libc.so") for path in found)
    assert all(path.is_file() for path in found)


def test_wheels_of_this_and_of_older_glibcs_fit() -> None:
    found = list(platforms(Target((3, 13), (2, 36), "x86_64")))
    assert found[0] == "--platform=manylinux_2_36_x86_64"
    assert {"--platform=manylinux_2_17_x86_64", "--platform=manylinux2014_x86_64"} <= set(found)
    assert "--platform=manylinux_2_37_x86_64" not in found


def test_the_installer_is_pinned_like_the_rest() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert pins_of("uv", text).startswith("uv==")
    assert "--hash=sha256:" in pins_of("uv", text)
    with pytest.raises(ImageError, match=r"^requirements.lock pins no nothing; run `make lock`$"):
        pins_of("nothing", text)


def test_two_builds_of_the_wheel_are_one(tmp_path: Path) -> None:
    first, second = (own_wheel(tmp_path / name, moment()) for name in ("a", "b"))
    assert first.name == f"pawl-{version()}-py3-none-any.whl"
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as other:
        entries = {entry.filename: entry for entry in one.infolist()}
        assert "pawl/cli/main.py" in entries
        assert {entry.date_time[0] for entry in entries.values()} == {1980}
        assert [entry.filename for entry in other.infolist()] == list(entries)


def test_layers_are_read_from_a_layout(tmp_path: Path) -> None:
    blobs = tmp_path / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [{"digest": "sha256:aa"}]}))
    (blobs / "aa").write_text(json.dumps({"layers": [{"digest": "sha256:bb", "size": 7}]}))
    assert [(layer.digest, layer.size) for layer in layers_of_layout(tmp_path)] == [("sha256:bb", 7)]


def test_a_missing_program_is_a_sentence() -> None:
    with pytest.raises(ImageError, match=r"^no nothing-of-the-kind answers here: install buildah$"):
        find_tool("nothing-of-the-kind")


def test_names_and_labels() -> None:
    assert name_of("bookworm") == "localhost/pawl-base:bookworm"
    assert Source("http://x/debian/", "bookworm-security", "main", "bookworm-security").line() == (
        "deb http://x/debian/ bookworm-security main"
    )
    assert labels()["org.opencontainers.image.version"] == version()
