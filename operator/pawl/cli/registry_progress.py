"""A line on standard error that says that a long look goes on: on a terminal only, and gone when it ends.

Neighbours: the commands of `pawl registry`. Not here: what is looked at.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pawl.api.registrywork import Progress
from pawl.cli.units import rate, size, span


@contextmanager
def reading(label: str) -> Iterator[None]:
    """Show that a store is read, and for how long already: how much it holds is known at the end only."""
    from rich.console import Console
    from rich.progress import Progress as Lines
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    if not sys.stderr.isatty():
        yield
        return
    columns = (SpinnerColumn(), TextColumn("reading {task.description}"), TimeElapsedColumn())
    with Lines(*columns, console=Console(stderr=True), transient=True) as lines:
        lines.add_task(label, total=None)
        yield


@contextmanager
def moving(doing: str) -> Iterator[Callable[[Progress], None]]:
    """Show a bar of bytes. Yields what is to be called with the newest figures."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    if not sys.stderr.isatty():
        yield lambda _progress: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}"))
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(doing, total=None, words="")
        yield lambda now: bars.update(
            task, total=now.bytes or now.objects or None, completed=now.bytes_done or now.objects_done, words=said(now)
        )


def said(now: Progress) -> str:
    """Say how far something is: `1.0 GiB of 4.0 GiB, 300.0 MiB/s, 10s left`."""
    parts = [f"{now.objects_done:,} of {now.objects:,} objects"] if now.objects else []
    if now.bytes:
        parts.append(f"{size(now.bytes_done)} of {size(now.bytes)}")
    if now.bytes_per_second:
        parts.append(rate(now.bytes_per_second))
    if now.eta_seconds is not None:
        parts.append(f"{span(now.eta_seconds)} left")
    return ", ".join(parts)
