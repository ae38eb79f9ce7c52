"""What a person sees while the sandbox works: one line a step, with seconds. Who wants none passes `SILENT`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import Progress as RichBar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn


class Progress(Protocol):
    """Told about each step of work and each remark."""

    def step(self, text: str) -> AbstractContextManager[None]:
        """Surround a piece of work called `text`."""

    def note(self, text: str) -> None:
        """Say something that is not a step."""


class Silent:
    """Says nothing."""

    def step(self, text: str) -> AbstractContextManager[None]:  # noqa: ARG002
        """Surround the work and stay silent."""
        return nullcontext()

    def note(self, text: str) -> None:
        """Drop the remark."""


class Plain:
    """One line at the end of each step, for logs and pipes; long steps are announced so that a build is not mute."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Announce the work, then tell how long it took."""
        begun = time.monotonic()
        self.note(f"{text} ...")
        yield
        self.note(f"{text}: {time.monotonic() - begun:.1f} s")

    def note(self, text: str) -> None:
        """Write one line."""
        self._stream.write(text + "\n")
        self._stream.flush()


class Live:
    """A spinner with running seconds on a terminal; each finished step leaves one line."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Spin while the work runs, then leave one line with its seconds."""
        begun = time.monotonic()
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with RichBar(*columns, console=self._console, transient=True) as bar:
            bar.add_task(text, total=None)
            yield
        self._console.print(f"{text} [dim]{time.monotonic() - begun:.1f} s[/dim]")

    def note(self, text: str) -> None:
        """Print one line."""
        self._console.print(text, markup=False)


SILENT: Progress = Silent()


def for_stream(stream: TextIO) -> Progress:
    """The live form on a terminal, plain lines anywhere else."""
    return Live(stream) if stream.isatty() else Plain(stream)
