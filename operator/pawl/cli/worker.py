"""`pawl worker TASK`: what the Pods of a RegistryStorage run. Hidden in help: an order is made by the operator.

Exit code 0 if the task went well, 1 if not, 2 for an order that cannot be read. Neighbours: `jobs.worker` knows the
tasks, `jobs.progress` tells how far they are. Not here: any task.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click
from pydantic import ValidationError

from pawl.api.errors import InputError
from pawl.api.registrywork import ORDER_DIRECTORY, ORDER_FILE, TOKEN_VARIABLE, WORK_PORT, Order, Task

_ORDER_BYTES = 1024 * 1024
"""A ConfigMap holds no more."""


@click.command(hidden=True)
@click.argument("task", type=click.Choice([task.value for task in Task]))
@click.option(
    "--order", "order_file", default=f"{ORDER_DIRECTORY}/{ORDER_FILE}", show_default=True, envvar="PAWL_WORK_ORDER"
)
@click.option("--listen", default=f"0.0.0.0:{WORK_PORT}", show_default=True, envvar="PAWL_WORK_LISTEN")
@click.option("--termination-log", default="/pawl/out/report", show_default=True, envvar="PAWL_WORK_REPORT")
def worker(task: str, order_file: str, listen: str, termination_log: str) -> int:
    """Carry out one order of the operator."""
    from pawl.jobs.progress import Listen, Run
    from pawl.jobs.worker import checked, work

    order = checked(read_order(Path(order_file)), Task(task))
    host, port = place(listen)
    run = Run(order, Listen(host, port, os.environ.get(TOKEN_VARIABLE, "")), Path(termination_log), sys.stdout)
    try:
        report = asyncio.run(work(run))
    except OSError as error:
        raise InputError(f"cannot listen on {listen} ({error.strerror}); see --listen and PAWL_WORK_LISTEN") from error
    return 0 if report.ok else 1


def read_order(path: Path) -> Order:
    """Read an order. Raises InputError, which names the field and shows no value."""
    try:
        with path.open("rb") as file:
            raw = file.read(_ORDER_BYTES + 1)
        return Order.model_validate_json(raw)
    except OSError as error:
        raise InputError(f"cannot read the order {path}: {error.strerror}") from error
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"])) or "order"
        raise InputError(f"{path} is no order: {where}: {fault['msg']}") from None


def place(listen: str) -> tuple[str, int]:
    """Split HOST:PORT. Raises InputError."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise InputError(f"--listen {listen} is not HOST:PORT; write it like 0.0.0.0:{WORK_PORT}")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - the operator asks the Pod's address
