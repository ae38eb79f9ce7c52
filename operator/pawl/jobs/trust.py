"""Tells one node's containerd which authority vouches for a registry, as long as it runs.

It writes `<certs.d>/<host>` again whenever the mounted authorities change or somebody changed its files, and removes it
at SIGTERM. Names that the registry had before lead to the same server: images that are named so are pulled on.
Neighbours: `hostsdirectory` owns the files; `progress` tells what came of it. Not here: Kubernetes.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from pawl.api.errors import InputError
from pawl.api.reasons import Reason
from pawl.api.registrywork import Order, Report, Step, Task
from pawl.jobs.hostsdirectory import HostFiles, NotOurs, remove, unread, write
from pawl.jobs.progress import Tell

CERTS_DIRECTORY: Final = "/pawl/certs.d"
"""Where the node's certs.d is mounted, unless the order's target names another path."""
CONTAINERD_CONFIG: Final = "/pawl/containerd/config.toml"
"""Where containerd's configuration is mounted, if it is."""

_EVERY: Final = 5.0
"""Seconds between two looks at the mounted authorities."""


async def trust(order: Order, tell: Tell, every: float = _EVERY) -> Report:
    """Keep the files until cancelled. Raises InputError where the order says too little."""
    if order.endpoint is None or not order.host:
        raise InputError("the order names no host to trust")
    directories = _directories(order)
    try:
        while True:
            steps = [_kept(order, directory) for directory in directories]
            tell(_report(order, next((step for step in steps if not step.ok), steps[0])))
            await asyncio.sleep(every)
    finally:
        for directory in directories:
            _gone(directory)


def _directories(order: Order) -> list[Path]:
    """Return the directory of each name; the first is that of the address that is told now."""
    root, names = Path(order.target.path if order.target else CERTS_DIRECTORY), (order.host, *order.also)
    wrong = next((name for name in names if "/" in name or name in {"", ".", ".."}), None)
    if wrong is not None:
        raise InputError(f"{wrong} is no host[:port]")
    return [root / name for name in dict.fromkeys(names)]


def _kept(order: Order, directory: Path) -> Step:
    """Make the files right and say how it went."""
    endpoint = order.endpoint
    ca_file = endpoint.ca_file if endpoint else ""
    try:
        ca_pem = Path(ca_file).read_text(encoding="utf-8") if ca_file else ""
        write(directory, HostFiles(endpoint.url if endpoint else f"https://{order.host}", ca_pem))
    except NotOurs as error:
        return Step(name="Trust", ok=False, message=str(error))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no text"
        return Step(name="Trust", ok=False, message=f"{directory} cannot be kept: {why}")
    said = unread(Path(CONTAINERD_CONFIG))
    return Step(name="Trust", ok=not said, message=said or f"{directory.name} is trusted by this node")


def _gone(directory: Path) -> None:
    try:
        remove(directory)
    except OSError:
        return  # the node is going, or its disk: there is nobody to tell


def _report(order: Order, step: Step) -> Report:
    reason = Reason.PROVED if step.ok else Reason.NOT_PROVED
    message = "" if step.ok else step.message
    return Report(task=Task.TRUST, id=order.id, ok=step.ok, reason=reason, message=message, steps=[step])
