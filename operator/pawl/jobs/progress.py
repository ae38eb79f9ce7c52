"""A worker at its work: the newest report is told at `/progress`, the last one where the kubelet looks for it.

One run is one task. SIGTERM cancels it; whatever it raises becomes a report, and no text of a foreign error gets into
one, since it may hold a URL with a signature. Neighbours: `worker` says what a task is, `termination` shortens,
`cli.worker` is the command. Not here: any task.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import signal
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, TextIO

from aiohttp import web

from pawl.api.errors import PawlError
from pawl.api.reasons import Reason
from pawl.api.registrywork import Order, Report, Task
from pawl.jobs.store import StoreFull
from pawl.jobs.termination import encoded, leave

Tell = Callable[[Report], None]
"""Called by a task with its newest report, as often as it likes."""

Work = Callable[[Order, Tell], Awaitable[Report]]
"""A task. It may raise, and it is cancelled at SIGTERM."""

INTERRUPTED: Final = Reason.INTERRUPTED
"""Reason of a report whose worker was told to end before it was done."""

_FAILED: Final = MappingProxyType(
    {
        Task.PREPARE: Reason.COLLECTION_FAILED,
        Task.ACCOUNT: Reason.COLLECTION_FAILED,
        Task.METER: Reason.USAGE_UNKNOWN,
        Task.PROBE: Reason.NOT_PROVED,
        Task.SMOKE: Reason.NOT_PROVED,
        Task.TRUST: Reason.NOT_PROVED,
    }
)
"""What an error is called, by task; every other task copies or deletes objects. Another try may mend all of these."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where `/progress` is served. `token` empty: nobody is asked for one."""

    host: str
    port: int
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Run:
    """One order and where its reports go."""

    order: Order
    listen: Listen
    termination_log: Path
    stdout: TextIO


async def carry_out(run: Run, work: Work) -> Report:
    """Do the work, telling how far it is, and return the last report. Raises OSError where it cannot listen."""
    board = Board(Report(task=run.order.task, id=run.order.id))
    async with serving(run.listen, board):
        report = await _done(run.order, work, board)
    return _last_words(run, report)


def _last_words(run: Run, report: Report) -> Report:
    """Leave a report for the kubelet, and print it as one line."""
    leave(report, run.termination_log)
    run.stdout.write(encoded(report).decode() + "\n")
    run.stdout.flush()
    return report


async def until_ended(run: Run, served: Callable[[], Awaitable[None]]) -> Report:
    """Run something that serves until SIGTERM and has its own server: to be ended is how it ends well."""

    async def work(order: Order, tell: Tell) -> Report:
        del tell
        await served()
        return Report(task=order.task, id=order.id, done=True, ok=True)

    report = await _done(run.order, work, Board(Report(task=run.order.task, id=run.order.id)))
    return _last_words(run, report)


class Board:
    """Holds the newest report."""

    def __init__(self, first: Report) -> None:
        self.newest = first

    def tell(self, report: Report) -> None:
        """Take a newer report."""
        self.newest = report


async def _done(order: Order, work: Work, board: Board) -> Report:
    """Run a task to its end, whatever that is."""
    task = asyncio.ensure_future(work(order, board.tell))
    with _cancelled_by_signals(task):
        try:
            report = await task
        except asyncio.CancelledError:
            if _self_cancelled():
                raise
            return _ended(order, board.newest)
        except PawlError as error:
            reason = Reason.NO_SPACE if isinstance(error, StoreFull) else failed(order.task)
            return _over(board.newest, reason, _line(str(error)))
        except Exception as error:  # noqa: BLE001 - the operator learns of a worker's fault by its report only
            return _over(board.newest, failed(order.task), unexpected(error))
    return report.model_copy(update={"task": order.task, "id": order.id, "done": True})


def failed(task: Task) -> Reason:
    """What a failure of a task is called."""
    return _FAILED.get(task, Reason.COPY_FAILED)


def _ended(order: Order, newest: Report) -> Report:
    if order.task in {Task.METER, Task.TRUST}:
        return newest.model_copy(update={"done": True, "ok": True, "message": "ended when it was told to"})
    return _over(newest, INTERRUPTED, "the worker was told to end before it was done; what it did stays done")


def _over(newest: Report, reason: str, message: str) -> Report:
    """Keep the figures of the newest report, and say why there will be no newer one."""
    return newest.model_copy(update={"done": True, "ok": False, "reason": str(reason), "message": message})


def unexpected(error: BaseException) -> str:
    """Name a fault of ours by its kind and place, never by its text: that may hold anything."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/pawl/" in frame.filename] or frames
    place = f" at {_short(own[-1].filename)}:{own[-1].lineno} in {own[-1].name}" if own else ""
    return f"{type(error).__name__}{place}: a fault of Pawl or of this machine; it is tried again"


def _short(filename: str) -> str:
    return filename[filename.rfind("pawl/") :] if "pawl/" in filename else Path(filename).name


def _self_cancelled() -> bool:
    """Whether it is the run itself that is to end, and not its task alone."""
    this = asyncio.current_task()
    return this is not None and this.cancelling() > 0


def _line(text: str) -> str:
    return " ".join(text.split())


@contextmanager
def _cancelled_by_signals(task: asyncio.Future[Report]) -> Iterator[None]:
    loop, taken = asyncio.get_running_loop(), list[signal.Signals]()
    for number in _SIGNALS:
        with contextlib.suppress(RuntimeError, ValueError):  # not in the main thread, as in tests
            loop.add_signal_handler(number, task.cancel)
            taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)


@asynccontextmanager
async def serving(listen: Listen, board: Board) -> AsyncIterator[int]:
    """Serve `/progress` and yield the port, chosen by the system where `listen.port` is 0. Raises OSError."""

    async def progress(request: web.Request) -> web.Response:
        if not admitted(request.headers.get("Authorization", ""), listen.token):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        return web.Response(body=encoded(board.newest), content_type="application/json")

    app = web.Application(client_max_size=1)
    app.router.add_get("/progress", progress, allow_head=False)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, listen.host, listen.port, reuse_address=True).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def admitted(header: str, token: str) -> bool:
    """Whether an Authorization header shows the token, compared in constant time. No token: everybody is admitted."""
    return not token or hmac.compare_digest(header.encode(), f"Bearer {token}".encode())
