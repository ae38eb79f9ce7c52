"""`pawl worker`: hidden, refuses what is no order of its task, and knows a function for every task."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.cli.run_pawl import pawl

from pawl.api.errors import InputError
from pawl.api.registrywork import Task
from pawl.cli.worker import place
from pawl.jobs.worker import TASKS, function_of


def test_people_do_not_see_it() -> None:
    assert "worker" not in pawl("--help").out
    assert "Carry out one order" in pawl("worker", "--help").out


def test_every_task_has_a_function() -> None:
    assert set(TASKS) == set(Task)
    for task in Task:
        assert callable(function_of(task))


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ({"task": "smoke", "id": "m"}, "the order is for task smoke, not for probe"),
        ({"id": "m"}, "is no order: task: Field required"),
        ({"task": "probe", "id": "m", "parallel": "secret"}, "is no order: parallel"),
    ],
)
def test_an_order_that_is_none(tmp_path: Path, order: dict[str, str], said: str) -> None:
    file = tmp_path / "order.json"
    file.write_text(json.dumps(order))
    ended = pawl("worker", "probe", "--order", str(file))
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert "secret" not in ended.err


def test_an_order_that_is_not_there(tmp_path: Path) -> None:
    ended = pawl("worker", "bulk", "--order", str(tmp_path / "none"))
    assert (ended.code, ended.err.count("\n")) == (2, 1)


def test_a_probe_that_fails_is_one(tmp_path: Path) -> None:
    """From the command to the report: nothing listens at port 9."""
    file, report = tmp_path / "order.json", tmp_path / "report"
    file.write_text(json.dumps({"task": "probe", "id": "p1", "endpoint": {"url": "http://127.0.0.1:9"}}))
    ended = pawl("worker", "probe", "--order", str(file), "--listen", "127.0.0.1:0", "--termination-log", str(report))
    assert ended.code == 1
    left = json.loads(report.read_text())
    assert [step["ok"] for step in left["steps"]] == [True, False, False, False, False, False]
    assert left["steps"][-1]["message"] == "not tried"
    assert json.loads(ended.out) == left


def test_a_place_that_is_taken_is_said(tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_text('{"task": "probe", "id": "p1", "endpoint": {"url": "http://127.0.0.1:9"}}')
    ended = pawl("worker", "probe", "--order", str(file), "--listen", "192.0.2.1:1")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "cannot listen on 192.0.2.1:1" in ended.err


def test_where_it_listens() -> None:
    assert place("127.0.0.1:8099") == ("127.0.0.1", 8099)
    assert place("[::1]:1") == ("::1", 1)
    with pytest.raises(InputError):
        place("8099")
