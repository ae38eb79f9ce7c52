"""The demo's table of workloads: it lives while a step works on a terminal; elsewhere, a line for each change.

Neighbours: `demo_screen` holds the terminal, `demo_board` judges. Not here: what a state means.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from rich.console import Console, Group
from rich.padding import Padding
from rich.status import Status
from rich.table import Table
from rich.text import Text

from pawl.cli.demo_board import State, Workload, short

COLOURS: Final = MappingProxyType(
    {
        State.STARTS: "dim",
        State.RUNS: "",
        State.STUCK: "bold red",
        State.STALE: "yellow",
        State.ROLLING: "cyan",
        State.VERIFIED: "green",
    }
)
ARROW: Final = " → "


class Board:
    """What is shown of workloads. `live` on a terminal."""

    def __init__(self, console: Console, *, live: bool) -> None:
        self._console = console
        self._live = live
        self._paths: dict[str, list[State]] = {}
        self._shown: dict[str, Workload] = {}

    def update(self, rows: Sequence[Workload], doing: str, status: Status | None) -> None:
        """Show the rows as they are now."""
        changed = [row for row in rows if self._is_news(row)]
        for row in changed:
            self._note(row)
        self._shown = {row.name: row for row in rows}
        if status is not None:
            status.update(Group(Text(doing, "dim"), Padding(self._table(), (0, 0, 0, 1))))
        elif not self._live:
            for row in changed:
                self._console.print(self._line(row), markup=False)

    def leave(self) -> None:
        """Let the table stand where it is, and begin anew."""
        if self._live and self._shown:
            self._console.print(Padding(self._table(), (0, 0, 0, 6)))
        self._paths, self._shown = {}, {}

    def _is_news(self, row: Workload) -> bool:
        known = self._shown.get(row.name)
        return known is None or known.state is not row.state

    def _note(self, row: Workload) -> None:
        path = self._paths.setdefault(row.name, [])
        if row.state not in path[-1:]:
            path.append(row.state)

    def _table(self) -> Table:
        """Images are cut before states are: the end of a digest says least."""
        table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("workload", no_wrap=True)
        table.add_column("image", no_wrap=True, overflow="ellipsis", style="dim", ratio=1)
        table.add_column("state", no_wrap=True)
        table.add_column("Pods", justify="right", no_wrap=True)
        for row in self._shown.values():
            table.add_row(row.name, Text(short(row.image)), self._path(row), row.proved)
        return table

    def _path(self, row: Workload) -> Text:
        parts = [Text(state.value, COLOURS[state]) for state in self._paths[row.name]]
        return Text(ARROW, "dim").join(parts)

    def _line(self, row: Workload) -> str:
        path = ARROW.join(self._paths[row.name])
        return f"     {row.name:<30} {path:<26} {row.proved}  {short(row.image)}".rstrip()
