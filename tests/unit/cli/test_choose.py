"""`pawl choose`: exit codes, the document for scripts, bad input, and every reason to hold that needs no registry."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.cli.run_pawl import Ended, pawl

IMAGE = "registry.example.com/shop/web"
Json = dict[str, Any]


def written(directory: Path, status: Json | None = None, **spec: object) -> Path:
    body = {"image": IMAGE, "select": {"semver": {"range": ">=1.0.0"}}} | spec
    manifest = {"apiVersion": "pawl.dev/v1alpha1", "kind": "ImagePolicy", "metadata": {"name": "web"}, "spec": body}
    path = directory / "policy.yaml"
    path.write_text(yaml.safe_dump(manifest | ({"status": status} if status else {})))
    return path


def choose(directory: Path, tags: list[str], /, *, status: Json | None = None, **spec: object) -> Ended:
    listed = directory / "tags.txt"
    listed.write_text("\n".join(tags))
    return pawl("choose", "-f", str(written(directory, status, **spec)), "--tags", str(listed), "-o", "json")


def held_at(directory: Path, tag: str, **spec: object) -> Json:
    """The status of a policy that selected `tag`, as one would paste it back."""
    return {"selection": json.loads(choose(directory, [tag], **spec).out)["selection"]}


def test_the_greatest_is_chosen(tmp_path: Path) -> None:
    ended = choose(tmp_path, ["v1.2.0", "v1.10.0", "v1.9.0", "latest"])
    answer = json.loads(ended.out)
    assert (ended.code, answer["tag"], answer["hold"], answer["considered"]) == (0, "v1.10.0", None, 4)
    assert answer["rejected"] == [{"tag": "latest", "reason": "not a version"}]


def test_the_document_has_these_fields(tmp_path: Path) -> None:
    answer = json.loads(choose(tmp_path, ["1.0.0"]).out)
    assert list(answer) == [
        "tag",
        "sortKey",
        "ordering",
        "selection",
        "hold",
        "rejected",
        "considered",
        "notEvaluated",
    ]
    assert answer["selection"]["sortKey"] == answer["sortKey"]
    assert answer["selection"]["ordering"] == answer["ordering"]
    assert answer["selection"]["reference"] == f"{IMAGE}:1.0.0"
    assert answer["selection"]["digest"] == ""


def test_nothing_selectable_is_three(tmp_path: Path) -> None:
    ended = choose(tmp_path, ["latest"])
    assert ended.code == 3
    assert json.loads(ended.out)["selection"] is None


def test_no_tags_at_all_is_three(tmp_path: Path) -> None:
    assert choose(tmp_path, []).code == 3


def test_blank_lines_and_spaces_are_no_tags(tmp_path: Path) -> None:
    assert json.loads(choose(tmp_path, ["", "  v1.0.0  ", ""]).out)["considered"] == 1


def test_a_selection_pasted_back_is_kept_and_advanced(tmp_path: Path) -> None:
    status = held_at(tmp_path, "v1.2.0")
    kept = json.loads(choose(tmp_path, ["v1.2.0"], status=status).out)
    assert (kept["tag"], kept["selection"]["sequence"]) == ("v1.2.0", 1)
    moved = json.loads(choose(tmp_path, ["v1.2.0", "v1.3.0"], status=status).out)
    assert (moved["tag"], moved["selection"]["sequence"], moved["hold"]) == ("v1.3.0", 2, None)


def test_a_shorter_list_holds(tmp_path: Path) -> None:
    ended = choose(tmp_path, ["v1.0.0"], status=held_at(tmp_path, "v1.2.0"))
    answer = json.loads(ended.out)
    assert (ended.code, answer["tag"], answer["hold"]) == (0, "v1.2.0", "TagMissing")


def test_a_lowered_range_holds(tmp_path: Path) -> None:
    status = held_at(tmp_path, "v2.0.0")
    answer = json.loads(choose(tmp_path, ["v1.0.0", "v2.0.0"], status=status, select={"semver": {"range": "<2"}}).out)
    assert (answer["tag"], answer["hold"]) == ("v2.0.0", "BelowHighWater")


def test_another_ordering_holds_until_it_is_accepted(tmp_path: Path) -> None:
    status, select = held_at(tmp_path, "2.0.0"), {"alphabetical": {}}
    held = json.loads(choose(tmp_path, ["2.0.0", "3.0.0"], status=status, select=select).out)
    assert (held["tag"], held["hold"]) == ("2.0.0", "OrderingChanged")
    consent = {"select": select, "acceptOrdering": held["ordering"]}
    accepted = json.loads(choose(tmp_path, ["2.0.0", "3.0.0"], status=status, **consent).out)
    assert (accepted["tag"], accepted["selection"]["epoch"], accepted["hold"]) == ("3.0.0", 2, None)


def test_a_tie_stays_with_what_is_selected(tmp_path: Path) -> None:
    status = held_at(tmp_path, "1.0.0")
    answer = json.loads(choose(tmp_path, ["1.0.0", "v1.0.0"], status=status).out)
    assert (answer["tag"], answer["selection"]["sequence"]) == ("1.0.0", 1)


def test_a_blocked_selection_holds(tmp_path: Path) -> None:
    status = held_at(tmp_path, "v1.2.0")
    answer = json.loads(choose(tmp_path, ["v1.0.0", "v1.2.0"], status=status, blocked=["v1.2.0"]).out)
    assert (answer["tag"], answer["hold"]) == ("v1.2.0", "Blocked")


def test_what_needs_a_registry_or_a_clock_is_named(tmp_path: Path) -> None:
    gates = {"minimumAge": "1h", "approval": "Required"}
    answer = json.loads(choose(tmp_path, ["1.0.0"], gates=gates, platforms=["linux/amd64"], bootstrap="Live").out)
    assert answer["tag"] == "1.0.0"
    assert set(answer["notEvaluated"]) == {"platforms", "gates.minimumAge", "gates.approval", "bootstrap"}


def test_people_read_text(tmp_path: Path) -> None:
    choose(tmp_path, ["v1.0.0", "latest", "edge"])
    ended = pawl("choose", "-f", str(tmp_path / "policy.yaml"), "--tags", str(tmp_path / "tags.txt"))
    assert ended.out.splitlines() == ["v1.0.0", "considered 3 tags, rejected 2", "       2  not a version"]


def test_tags_come_from_a_pipe_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pawl", "choose", "-f", str(written(tmp_path)), "--tags", "-", "-o", "json"]
    done = subprocess.run(command, input=b"v1.0.0\nv1.1.0\n\xff\n", capture_output=True, check=True)
    assert json.loads(done.stdout)["tag"] == "v1.1.0"


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"colour": "red"}, "spec.colour"),
        ({"select": {"semver": {"range": "1.2.3.4"}}}, "InvalidRange"),
        ({"select": {}}, "InvalidSpec"),
        ({"tags": {"include": "("}}, "InvalidPattern"),
        ({"tags": {"include": "^(.*)$", "extract": "$2"}}, "InvalidExtract"),
        ({"floor": {"tag": "latest"}}, "InvalidFloor"),
        ({"image": "Bad Image"}, "InvalidImage"),
        ({"interval": "soon"}, "spec.interval"),
    ],
)
def test_a_bad_policy_is_two_and_one_line(tmp_path: Path, spec: Json, word: str) -> None:
    ended = choose(tmp_path, ["1.0.0"], **spec)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("pawl: ")
    assert ended.err.count("\n") == 1
    assert word in ended.err


def test_missing_files_are_two(tmp_path: Path) -> None:
    policy, nowhere = str(written(tmp_path)), str(tmp_path / "nowhere")
    assert pawl("choose", "-f", nowhere, "--tags", policy).code == 2
    ended = pawl("choose", "-f", policy, "--tags", nowhere)
    assert (ended.code, "cannot read " in ended.err) == (2, True)


def test_two_policies_in_a_file_are_two(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(f"{path.read_text()}---\n{path.read_text()}")
    ended = pawl("choose", "-f", str(path), "--tags", str(path))
    assert (ended.code, "holds 2 objects" in ended.err) == (2, True)
