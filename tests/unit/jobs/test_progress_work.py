"""A worker at its work: what it tells while it works, how it ends, and that no secret gets into a report."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from pawl.api.errors import PawlError
from pawl.api.reasons import Reason
from pawl.api.registrywork import Order, Progress, Report, Task
from pawl.jobs.progress import INTERRUPTED, Board, Listen, Run, Tell, Work, admitted, carry_out, serving, until_ended
from pawl.jobs.store import StoreFull

TOKEN = "only-for-the-operator"


def run_of(tmp_path: Path, task: Task = Task.BULK, out: io.StringIO | None = None) -> Run:
    order = Order(task=task, id="m1")
    return Run(order, Listen("127.0.0.1", 0, TOKEN), tmp_path / "report", out or io.StringIO())


def raising(error: Exception) -> Work:
    async def work(order: Order, tell: Tell) -> Report:
        tell(Report(task=order.task, progress=Progress(bytes_done=7)))
        raise error

    return work


async def test_the_newest_report_is_told_to_who_shows_the_token() -> None:
    board = Board(Report(task=Task.BULK))
    async with serving(Listen("127.0.0.1", 0, TOKEN), board) as port, aiohttp.ClientSession() as session:
        url, shown = f"http://127.0.0.1:{port}/progress", {"Authorization": f"Bearer {TOKEN}"}
        board.tell(Report(task=Task.BULK, progress=Progress(bytes=10, bytes_done=5)))
        async with session.get(url, headers=shown) as answer:
            assert Report.model_validate_json(await answer.read()) == board.newest
        for header in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": f"Basic {TOKEN}"}):
            async with session.get(url, headers=header) as answer:
                assert answer.status == 401
                assert await answer.read() == b""
        for method in ("POST", "HEAD", "DELETE"):
            async with session.request(method, url, headers=shown) as answer:
                assert answer.status == 405


@pytest.mark.parametrize("header", ["Bearer é", "", "Bearer ", "bearer only-for-the-operator"])
def test_another_token_is_none(header: str) -> None:
    assert not admitted(header, TOKEN)
    assert admitted(header, "")


async def test_a_task_that_ends_leaves_its_report_and_prints_it(tmp_path: Path) -> None:
    async def work(order: Order, tell: Tell) -> Report:
        del tell
        return Report(task=order.task, ok=True, message="all is there")

    out = io.StringIO()
    report = await carry_out(run_of(tmp_path, out=out), work)
    assert (report.ok, report.done, report.id) == (True, True, "m1")
    assert Report.model_validate_json((tmp_path / "report").read_bytes()) == report
    assert out.getvalue().count("\n") == 1
    assert Report.model_validate_json(out.getvalue()) == report


@pytest.mark.parametrize(
    ("error", "task", "reason"),
    [
        (PawlError("bucket images: no such bucket: make it"), Task.BULK, Reason.COPY_FAILED),
        (StoreFull("claim main: no space left"), Task.BULK, Reason.NO_SPACE),
        (PawlError("broken"), Task.PREPARE, Reason.COLLECTION_FAILED),
        (PawlError("broken"), Task.SMOKE, Reason.NOT_PROVED),
    ],
)
async def test_an_error_is_told_with_the_figures_so_far(
    tmp_path: Path, error: Exception, task: Task, reason: Reason
) -> None:
    report = await carry_out(run_of(tmp_path, task), raising(error))
    assert (report.ok, report.done, report.reason, report.message) == (False, True, reason, str(error))
    assert report.progress.bytes_done == 7


async def test_a_fault_is_told_by_its_place_never_by_its_text(tmp_path: Path) -> None:
    secret = "X-Amz-Signature=5ecret"
    report = await carry_out(run_of(tmp_path), raising(RuntimeError(secret)))
    assert "5ecret" not in (tmp_path / "report").read_text()
    assert report.message.startswith("RuntimeError at pawl/jobs/progress.py:")


async def ended_by(number: signal.Signals, start: Callable[[Work], Awaitable[Report]]) -> Report:
    """Send a signal to this process once a task works."""
    working = asyncio.Event()

    async def work(order: Order, tell: Tell) -> Report:
        tell(Report(task=order.task, progress=Progress(bytes_done=3)))
        working.set()
        await asyncio.Event().wait()
        raise AssertionError

    done = asyncio.ensure_future(start(work))
    await asyncio.wait_for(working.wait(), 10)
    os.kill(os.getpid(), number)
    return await asyncio.wait_for(done, 10)


async def test_sigterm_interrupts_and_the_figures_stay(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    report = await ended_by(signal.SIGTERM, lambda work: carry_out(run_of(tmp_path), work))
    assert (report.ok, report.reason, report.progress.bytes_done) == (False, INTERRUPTED, 3)
    assert json.loads((tmp_path / "report").read_text())["reason"] == INTERRUPTED
    assert signal.getsignal(signal.SIGTERM) == before


async def test_a_server_ends_well_at_sigterm(tmp_path: Path) -> None:
    async def start(work: Work) -> Report:
        async def served() -> None:
            await work(Order(task=Task.METER, id="m"), lambda _report: None)

        return await until_ended(run_of(tmp_path, Task.METER), served)

    assert (await ended_by(signal.SIGTERM, start)).ok
