"""One figure with its bound, and the table of all."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

HEAD = """# Benchmarks

`make bench ARGS=--write` wrote this page. Figures of one run; two cores are shared by operator, API server, etcd and
registry. A bound is what we set out for; a missed one is said to be missed. The peer is the best one measured the same
way on such a machine: another run, so a hint and no proof.

"""


@dataclass(frozen=True)
class Row:
    """A figure. `bound`: at most this, None for none. `peer`: the best peer's figure, as text."""

    what: str
    value: float
    unit: str
    bound: float | None = None
    peer: str = ""

    @property
    def verdict(self) -> str:
        if self.bound is None:
            return ""
        return "met" if self.value <= self.bound else "**missed**"

    def cells(self) -> list[str]:
        bound = "" if self.bound is None else f"≤ {self.bound:g} {self.unit}".strip()
        return [self.what, f"{self.value:.3g} {self.unit}".strip(), bound, self.verdict, self.peer]


def machine() -> str:
    memory = psutil.virtual_memory().total / (1 << 30)
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "?",
    )
    names = ("kopf", "kubernetes", "httpx", "msgspec", "pydantic", "google-re2")
    return (
        f"Machine: {psutil.cpu_count()} cores ({model}), {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}; " + ", ".join(f"{name} {version(name)}" for name in names)
    )


def markdown(groups: Iterable[tuple[str, str, list[Row]]]) -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    text = [HEAD, machine(), f"; commit {commit.strip()}.\n"]
    for name, doc, rows in groups:
        text += [f"\n## {name}\n\n{doc}\n\n`make bench ARGS={name}`\n\n"]
        text += ["| figure | value | bound | | best peer |\n|---|---|---|---|---|\n"]
        text += ["| " + " | ".join(row.cells()) + " |\n" for row in rows]
    return "".join(text)
