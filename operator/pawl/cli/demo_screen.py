"""How the demo looks: numbered acts, one line a check with its seconds on the right, and a table at the end.

On a terminal with colours and a spinner, unless NO_COLOR is set; anywhere else plain lines of the same words.
Neighbours: `demo_story` calls. Not here: what is shown.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol, TextIO

from rich.console import Console
from rich.padding import Padding
from rich.status import Status
from rich.table import Table
from rich.text import Text

from pawl.cli.demo_board import Workload
from pawl.cli.demo_screen_board import Board

WIDTH: Final = 110
"""Columns at most: longer lines are hard to follow to their time on the right."""
PLAIN_WIDTH: Final = 160
"""Columns of the table at the end where there is no terminal."""
LONG: Final = 5.0
"""Seconds after which a step of the set-up, such as a build, is worth a line of its own on a terminal."""


class Row(Protocol):
    """A line of the summary."""

    @property
    def number(self) -> int:
        """Number of the act."""
        ...

    @property
    def title(self) -> str:
        """Its title."""
        ...

    @property
    def proof(self) -> str:
        """What it proved."""
        ...

    @property
    def seconds(self) -> float:
        """How long it took."""
        ...


class Screen:
    """Shows the play on a stream."""

    def __init__(self, stream: TextIO, *, live: bool, width: int | None = None) -> None:
        self._live = live
        self._console = Console(file=stream, width=width, highlight=False, soft_wrap=not live)
        self._width = min(self._console.width, WIDTH)
        self._board = Board(self._console, live=live)
        self._status: Status | None = None
        self._doing = ""

    @classmethod
    def on(cls, stream: TextIO) -> Screen:
        """The form that fits a stream: lively on a terminal, plain lines elsewhere."""
        live = stream.isatty()
        return cls(stream, live=live, width=None if live else PLAIN_WIDTH)

    def title(self, text: str) -> None:
        """Show the first line."""
        self._console.print(Text(text, "bold"))

    def act(self, number: int, title: str, sentence: str) -> None:
        """Announce an act."""
        self._console.print()
        self._console.print(Text.assemble((f"{number}  ", "bold cyan"), (title, "bold")))
        self._print(Text(sentence, "dim"), indent=3)

    @contextmanager
    def working(self, doing: str) -> Iterator[None]:
        """Show that something is being done: a spinner on a terminal, nothing elsewhere."""
        if not self._live:
            yield
            return
        with self._console.status(Text(doing, "dim"), spinner="dots") as status:
            self._doing, self._status = doing, status
            try:
                yield
            finally:
                self._status = None

    def board(self, rows: Sequence[Workload]) -> None:
        """Show how far workloads are, as long as a step works."""
        self._board.update(rows, self._doing, self._status)

    def observed(self, text: str, seconds: float) -> None:
        """Show what a check found: one line, or more where what was found is worth reading word for word."""
        self._line(Text("✓" if self._unicode else "ok", "green"), Text(text), seconds)
        self._board.leave()

    def failed(self, text: str, seconds: float) -> None:
        """Show the check that failed; the reason follows as the command's error."""
        self._line(Text("✗" if self._unicode else "FAILED", "bold red"), Text(text, "red"), seconds)
        self._board.leave()

    def note(self, text: str) -> None:
        """Say something that is no check. As `pawl.sandbox.Progress` has it."""
        self._print(Text(text, "dim"), indent=3)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Surround a step of the sandbox's set-up; long ones leave a line. As `pawl.sandbox.Progress` has it."""
        begun = time.monotonic()
        if not self._live:
            self.note(f"{text} ...")
        with self.working(text):
            yield
        seconds = time.monotonic() - begun
        if self._live and seconds > LONG:
            self._line(Text("·", "dim"), Text(text, "dim"), seconds)

    def summary(self, rows: Sequence[Row]) -> None:
        """Show the table of what was proved."""
        table = Table("", "act", "what was proved", box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("time", justify="right", header_style="dim")
        for row in rows:
            table.add_row(Text(str(row.number), "cyan"), row.title, row.proof, Text(f"{row.seconds:.1f} s", "dim"))
        total = f"{sum(row.seconds for row in rows):.1f} s"
        table.add_row("", "", Text("all of it", "bold"), Text(total, "bold"))
        self._console.print()
        self._console.print(table, width=self._width if self._live else None)

    def closing(self, lines: Sequence[str]) -> None:
        """Show what can be done next."""
        self._console.print()
        for line in lines:
            self._console.print(Text(line))

    @property
    def _unicode(self) -> bool:
        return "utf" in self._console.encoding.lower()

    def _line(self, mark: Text, text: Text, seconds: float) -> None:
        took = f"{seconds:.1f} s"
        if not self._live:
            head, *rest = text.plain.split("\n")
            self._console.print("\n     ".join([f"   {mark.plain} {head} ({took})", *rest]), markup=False)
            return
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(width=2)
        grid.add_column(ratio=1)
        grid.add_column(justify="right")
        grid.add_row(mark, text, Text(took, "dim"))
        self._console.print(Padding(grid, (0, 0, 0, 3)), width=self._width)

    def _print(self, text: Text, indent: int) -> None:
        if self._live:
            self._console.print(Padding(text, (0, 0, 0, indent)), width=self._width)
        else:
            self._console.print(Text.assemble(" " * indent, text))
