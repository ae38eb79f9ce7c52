"""Tells one node's containerd which authority vouches for a registry, as long as it runs.

It writes `<certs.d>/<host>` again whenever the mounted authorities change or somebody changed its files, and removes it
at SIGTERM. Neighbours: `hostsdirectory` owns the files; `progress` tells what came of it. Not here: Kubernetes.
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
    directory = Path(order.target.path if order.target else CERTS_DIRECTORY) / order.host
    if "/" in order.host or order.host in {".", ".."}:
        raise InputError(f"{order.host} is no host[:port]")
    try:
        while True:
            tell(_report(order, _kept(order, directory)))
            await asyncio.sleep(every)
    finally:
        _gone(directory)


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
    return Step(name="Trust", ok=not said, message=said or f"{order.host} is trusted by this node")


def _gone(directory: Path) -> None:
    try:
        remove(directory)
    except OSError:
        return  # the node is going, or its disk: there is nobody to tell


def _report(order: Order, step: Step) -> Report:
    reason = Reason.PROVED if step.ok else Reason.NOT_PROVED
    message = "" if step.ok else step.message
    return Report(task=Task.TRUST, id=order.id, ok=step.ok, reason=reason, message=message, steps=[step])
