"""How commands print: colours on a terminal, plain lines into a pipe, documents for scripts.

Neighbours: `status`, `plan`, `why` and `duplicates` print. Not here: what is said.
"""

from __future__ import annotations

import json
import sys

import click
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 240
"""Columns where there is no terminal: a line a row, for grep."""


def print_document(answer: object, output: str) -> None:
    """Print a document as `json` or `yaml`."""
    import yaml

    click.echo(json.dumps(answer, indent=2) if output == "json" else yaml.safe_dump(answer, sort_keys=False).rstrip())


def print_content(content: RenderableType) -> None:
    """Print with colours on a terminal, unless NO_COLOR is set; plain and unwrapped into a pipe."""
    if sys.stdout.isatty():
        Console(highlight=False).print(content)
        return
    console = Console(width=PIPE_WIDTH, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(content)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def note(text: str) -> None:
    """Print one line on standard error."""
    click.echo(f"pawl: {' '.join(text.split())}", err=True)


def head(text: str) -> RenderableType:
    """Return the headline of a section, with an empty line above it."""
    return Text(f"\n{text}", "bold")


def section(content: RenderableType) -> RenderableType:
    """Return content as it stands below a headline."""
    return Padding(content, (0, 0, 0, 2))


def rows(*heads: str) -> Table:
    """Return an empty table without lines: aligned columns under bold heads."""
    return Table(*heads, box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")


def grid(columns: int) -> Table:
    """Return an empty table without heads; the last column is folded, the others are not."""
    made = Table.grid(padding=(0, 3, 0, 0))
    for _ in range(columns - 1):
        made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    return made
