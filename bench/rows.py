"""One figure with its bound, and the table of all."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

HEAD = """# Benchmarks

Written by `make bench ARGS=--write`. Figures of single runs; two cores are shared by operator, API server, etcd and
registry. A bound is what we set out for; a missed one is said to be missed. The peer is the best one measured the same
way on such a machine: another run, so a hint and no proof.

"""


FOOT = """
## Why an interval costs a little more than one request

A poll of an unchanged repository is one request. Every tenth interval the digest of the selected tag is audited, by one
more request for all policies of an image, and the jitter of the interval lets a window hold a few polls more or less.

## Why the memory at 1,000 policies misses its bound

A replica that watches nothing is nearly all imported code: resident memory grows by 14 MiB with the standard library's
part, 13 MiB with pydantic and the models, 13 MiB with aiohttp, 4 MiB with kopf and, outside a Pod, 13 MiB with the
Kubernetes client, which reads the kubeconfig. Of 1,000 policies 1.5 MiB are kept as bytes. `tracemalloc` shows 50 MiB
of live objects in such a replica, 21 MiB of them code; the rest is what the first listing leaves in fragments (glibc's
`malloc_trim` gives 4 MiB of it back) and, in the leader, buffers of its TLS connections.

## Why a push misses its bound in some runs

Distribution writes a push through the kernel's cache. Filling it with 4 GiB cost 3.4 s of the kernel's time in one run
and 14 s in another on this machine, as the hypervisor has to find the pages first; `perf` of a copy that goes through
it shows nothing above that. The ratio was 1.27 in one run and 1.45 in the recorded one. A move writes past the cache.
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
    names = ("kopf", "kubernetes", "httpcore", "msgspec", "pydantic", "google-re2")
    return (
        f"Machine: {psutil.cpu_count()} cores ({model}), {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}; " + ", ".join(f"{name} {version(name)}" for name in names)
    )


@dataclass(frozen=True)
class Group:
    """The last run of one benchmark."""

    name: str
    doc: str
    commit: str
    rows: list[Row]


def save(out: Path, name: str, doc: str, rows: list[Row]) -> None:
    """Keep a run, so that the page can be made of the last run of each."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    (out / f"{name}.json").write_text(json.dumps(asdict(Group(name, doc, commit, rows))))


def load(out: Path, names: tuple[str, ...]) -> list[Group]:
    files = [out / f"{name}.json" for name in names]
    found = [json.loads(file.read_text()) for file in files if file.exists()]
    return [Group(one["name"], one["doc"], one["commit"], [Row(**row) for row in one["rows"]]) for one in found]


def markdown(groups: Iterable[Group]) -> str:
    text = [HEAD, machine(), ".\n"]
    for group in groups:
        text += [f"\n## {group.name}\n\n{group.doc}\n\n`make bench ARGS={group.name}`, commit {group.commit}\n\n"]
        text += ["| figure | value | bound | | best peer |\n|---|---|---|---|---|\n"]
        text += ["| " + " | ".join(row.cells()) + " |\n" for row in group.rows]
    return "".join([*text, FOOT])
