"""Which function carries out which task: the one table of a worker.

A task is imported when it is run, so that a probe does not pay for what copies. Neighbours: `progress` runs it and
reports, `cli.worker` is the command, one module a task beside this one. Not here: any work.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

from pawl.api.errors import InputError
from pawl.api.registrywork import Order, Report, Task
from pawl.jobs.progress import Listen, Run, Work, carry_out, until_ended

TASKS: Final = MappingProxyType(
    {
        Task.BULK: "pawl.jobs.migrate:bulk",
        Task.FINAL: "pawl.jobs.migrate:final",
        Task.DELETE: "pawl.jobs.remove:delete",
        Task.PREPARE: "pawl.jobs.collect:prepare",
        Task.ACCOUNT: "pawl.jobs.collect:account",
        Task.VERIFY: "pawl.jobs.verify:verify",
        Task.METER: "pawl.jobs.meter:serve",
        Task.PROBE: "pawl.jobs.probe:probe",
        Task.SMOKE: "pawl.jobs.smoke:smoke",
        Task.TRUST: "pawl.jobs.trust:trust",
    }
)
"""Every task and its function. All take (order, tell) but the meter, which is a server of its own."""


def function_of(task: Task) -> Callable[..., Any]:
    """Import the function of a task."""
    module, name = TASKS[task].split(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


async def work(run: Run) -> Report:
    """Carry out one order. Raises OSError where it cannot listen."""
    found = function_of(run.order.task)
    if run.order.task is not Task.METER:
        carried: Work = found
        return await carry_out(run, carried)

    async def served() -> None:
        await found(run.order, _address(run.listen), run.listen.token)

    return await until_ended(run, served)


def _address(listen: Listen) -> tuple[str, int]:
    return listen.host, listen.port


def checked(order: Order, task: Task) -> Order:
    """Return the order if it is one of this task. Raises InputError."""
    if order.task is not task:
        raise InputError(f"the order is for task {order.task}, not for {task}: start `pawl worker {order.task}`")
    return order
