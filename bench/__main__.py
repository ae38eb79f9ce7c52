"""`python -m bench [NAME ...] [--write] [--idle SECONDS]`: see the package."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.admission import admission
from bench.drift import drift
from bench.idle import idle
from bench.image import image
from bench.policies import first
from bench.rollout import rollout
from bench.rollout_idle import look
from bench.rows import Row, load, machine, markdown, save
from bench.shared import shared
from bench.tags import tags
from bench.world import world

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench ARGS=")
    parser.add_argument(
        "names", nargs="*", help="tags, idle, image, shared, world, look, rollout, drift, first; default: all"
    )
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md from the last run of each")
    parser.add_argument("--idle", type=float, default=300.0, help="seconds of silence to watch in `first`")
    options = parser.parse_args()
    scenarios: dict[str, Callable[[Path], list[Row]]] = {
        "tags": tags,
        "idle": idle,
        "image": image,
        "shared": shared,
        "world": world,
        "admission": admission,
        "look": look,
        "rollout": rollout,
        "drift": drift,
        "first": partial(first, idle_seconds=options.idle),
    }
    out = ROOT / "bench" / "out"
    out.mkdir(exist_ok=True)
    console = Console()
    console.print(machine())
    for name in options.names or scenarios:
        rows = scenarios[name](out)
        save(out, name, (first if name == "first" else scenarios[name]).__doc__ or "", rows)
        console.print(_table(name, rows))
    if options.write:
        (ROOT / "docs" / "benchmarks.md").write_text(markdown(load(out, tuple(scenarios))))


def _table(name: str, rows: list[Row]) -> Table:
    table = Table(title=name, title_justify="left")
    for head in ("figure", "value", "bound", "", "best peer"):
        table.add_column(head, justify="right" if head in {"value", "bound"} else "left")
    for row in rows:
        table.add_row(*(cell.replace("**", "") for cell in row.cells()))
    return table


if __name__ == "__main__":
    main()
