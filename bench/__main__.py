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
from bench.registry import PARTS, Scale, registry
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
        "names", nargs="*", help="tags, idle, image, shared, world, look, rollout, drift, registry, first; default: all"
    )
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md from the last run of each")
    parser.add_argument("--idle", type=float, default=300.0, help="seconds of silence to watch in `first`")
    parser.add_argument("--gib", type=float, default=10.0, help="GiB that `registry` moves; three times that is needed")
    parser.add_argument("--scratch", default="", help="where `registry` keeps its bytes, for the next run, too")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this of `registry`; may be repeated")
    options = parser.parse_args()
    scale = Scale(options.gib, options.scratch, tuple(options.part or PARTS))
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
        "registry": partial(registry, scale=scale),
        "first": partial(first, idle_seconds=options.idle),
    }
    out = ROOT / "bench" / "out"
    out.mkdir(exist_ok=True)
    console = Console()
    console.print(machine())
    for name in options.names or scenarios:
        rows = scenarios[name](out)
        save(out, name, told(scenarios[name]), rows)
        console.print(_table(name, rows))
    if options.write:
        (ROOT / "docs" / "benchmarks.md").write_text(markdown(load(out, tuple(scenarios))))


def told(scenario: Callable[[Path], list[Row]]) -> str:
    """What a scenario says of itself."""
    return (scenario.func if isinstance(scenario, partial) else scenario).__doc__ or ""


def _table(name: str, rows: list[Row]) -> Table:
    table = Table(title=name, title_justify="left")
    for head in ("figure", "value", "bound", "", "best peer"):
        table.add_column(head, justify="right" if head in {"value", "bound"} else "left")
    for row in rows:
        table.add_row(*(cell.replace("**", "") for cell in row.cells()))
    return table


if __name__ == "__main__":
    main()
