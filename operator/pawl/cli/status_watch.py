"""`pawl status --watch`: what is shown is drawn anew every two seconds, a move of a registry as a bar.

On a terminal the picture stays in its place; into a pipe there is one line whenever a move got further. It ends at
Ctrl-C. Neighbours: `status` reads and renders the rest. Not here: the cluster.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Protocol, TypeVar

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pawl.api.errors import ApiUnavailable
from pawl.cli.status_print import note
from pawl.cli.table_registry import SeenRegistry, moved, moving, place_of
from pawl.cli.units import percent

EVERY: Final = 2.0
"""Seconds between two looks."""
_BAR: Final = 40


class Picture(Protocol):
    """One look."""

    @property
    def registries(self) -> Sequence[SeenRegistry]:
        """The registries that were seen."""
        ...


P = TypeVar("P", bound=Picture)
Pause = Callable[[float], Awaitable[None]]


async def watch(
    look: Callable[[], Awaitable[P]], render: Callable[[P], Sequence[RenderableType]], *, pause: Pause = asyncio.sleep
) -> None:
    """Show what is seen until interrupted. An API server that is away for a while is waited for."""
    if sys.stdout.isatty():
        await _drawn(look, render, pause)
    else:
        await _told(look, pause)


async def _drawn(
    look: Callable[[], Awaitable[P]], render: Callable[[P], Sequence[RenderableType]], pause: Pause
) -> None:
    with Live(console=Console(highlight=False), auto_refresh=False) as live:
        while True:
            try:
                seen = await look()
                live.update(Group(*render(seen), *bars(seen.registries)), refresh=True)
            except ApiUnavailable as error:
                live.update(Text(str(error), "yellow"), refresh=True)
            await pause(EVERY)


async def _told(look: Callable[[], Awaitable[Picture]], pause: Pause) -> None:
    told: dict[str, str] = {}
    while True:
        try:
            seen = await look()
        except ApiUnavailable as error:
            note(str(error))
        else:
            lines = dict(_lines(seen.registries))
            for name, line in lines.items():
                if told.get(name) != line:
                    click.echo(f"{name}: {line}")
            told = lines
        await pause(EVERY)


def _lines(registries: Iterable[SeenRegistry]) -> Iterable[tuple[str, str]]:
    """Yield name and state of each registry: how far it moved, or its phase."""
    for seen in registries:
        under_way = moving(seen)
        phase = getattr(getattr(seen, "status", None), "phase", "") or "not looked at yet"
        yield "/".join(place_of(seen)), f"migrating: {moved(under_way)}" if under_way else phase


def bars(registries: Sequence[SeenRegistry]) -> list[RenderableType]:
    """Return a bar for each registry that moves."""
    made = Table.grid(padding=(0, 2, 0, 0))
    for seen in registries:
        found = moving(seen)
        if found is not None:
            bar = ProgressBar(total=100, completed=percent(found.bytes_done, found.bytes) if found.bytes else 0)
            bar.width = _BAR
            made.add_row(Text("/".join(place_of(seen)), "bold"), bar, Text(moved(found)))
            made.add_row("", Text(f"{found.source.label} -> {found.target.label}", "dim"), Text(found.message, "dim"))
    return [Text(""), made] if made.row_count else []
