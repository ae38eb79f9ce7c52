"""A thousand policies on a thousand repositories of a hundred tags, and what follows from there."""

from __future__ import annotations

import asyncio
import re
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.cluster import Place, create, place, policy, until, watching
from bench.replica import Replica, replica
from bench.rows import Row
from bench.seed import repository, versions
from pawl.cluster.client import Cluster, Options
from pawl.cluster.resources import IMAGE_POLICIES

COUNT, TAGS = 1000, 100


@dataclass
class Run:
    """Figures of one sandbox with all policies."""

    rows: list[Row] = field(default_factory=list)

    def add(self, what: str, value: float, unit: str, bound: float | None = None, peer: str = "") -> None:
        self.rows.append(Row(what, value, unit, bound, peer))


def first(out: Path, idle_seconds: float) -> list[Row]:
    """All of it, in one sandbox: first selection, new tags, silence, memory."""
    run = Run()
    with place("bench-first") as where:
        for number in range(COUNT):
            repository(where.store, f"bench/r{number:04d}", versions(TAGS), f"r{number}")
        asyncio.run(_measure(where, run, out, idle_seconds))
    return run.rows


async def _measure(where: Place, run: Run, out: Path, idle_seconds: float) -> None:
    async with await Cluster.connect(str(where.kubeconfig), Options(timeout=60)) as cluster:
        await create(cluster, [policy(f"p{n:04d}", f"{where.registry}/bench/r{n:04d}") for n in range(COUNT)])
        with replica(where.environment, out / "leader.log") as leader:
            await _selected(cluster, leader, run)
            with replica(where.environment, out / "standby.log") as standby:
                standby.wait_for('"ready"')
                await _new_tags(cluster, where, run)
                await _silence(where, leader, standby, run, idle_seconds)
        with replica(where.environment, out / "restart.log") as again:
            await _restart(again, run)


async def _selected(cluster: Cluster, leader: Replica, run: Run) -> None:
    async with watching(cluster, lambda body: "selection" in body.get("status", {})) as seen:
        begin = time.monotonic()
        await until(lambda: seen.done(COUNT), 180)
        run.add(
            "1,000 policies, 1,000 repositories of 100 tags: all selected", time.monotonic() - begin, "s", 10, "29 s"
        )
    run.add("  operator CPU for that, start-up included", leader.cpu, "s", 8, "8.4 s")
    run.add("  operator peak memory", leader.memory()[1], "MiB", 150, "181 MB")
    requests = leader.metric("pawl_registry_requests_total")
    run.add("  registry requests", requests, "", 2 * COUNT)


async def _new_tags(cluster: Cluster, where: Place, run: Run) -> None:
    """Push a greater tag, ask for a look by annotation, one after the other, in groups of 20 at once."""
    lags: list[float] = []
    names = [f"p{number:04d}" for number in range(0, COUNT, 5)]
    async with watching(cluster, lambda body: body["status"].get("selection", {}).get("tag") == "v9.9.9") as seen:
        for start in range(0, len(names), 20):
            group = names[start : start + 20]
            begins = dict(zip(group, await asyncio.gather(*(_push(cluster, where, one) for one in group)), strict=True))
            await until(lambda group=group: all(one in seen.at for one in group), 60)  # type: ignore[misc]
            lags += [seen.at[one] - begins[one] for one in group]
    run.add("new tag to status at 1,000 policies, by annotation: p50", statistics.median(lags), "s")
    run.add("  p99", statistics.quantiles(lags, n=100)[98], "s", 1)


async def _push(cluster: Cluster, where: Place, name: str) -> float:
    repository(where.store, f"bench/r{name[1:]}", ["v9.9.9"], f"r{int(name[1:])}")
    begin = time.monotonic()
    note: dict[str, Any] = {"metadata": {"annotations": {"reconcile.pawl.dev/requestedAt": str(begin)}}}
    await cluster.merge_patch(IMAGE_POLICIES, "default", name, note)
    return begin


async def _silence(where: Place, leader: Replica, standby: Replica, run: Run, seconds: float) -> None:
    """Nothing changes: nothing may be written but the Lease. Counted by the API server itself."""
    await _drained(where)
    before, cpu, requests = (
        await asyncio.to_thread(_writes, where),
        leader.cpu,
        leader.metric("pawl_registry_requests_total"),
    )
    await asyncio.sleep(seconds)
    after = await asyncio.to_thread(_writes, where)
    run.add(f"{seconds / 60:.0f} idle minutes at 1,000 policies: writes besides the Lease", after - before, "", 0)
    asked = leader.metric("pawl_registry_requests_total") - requests
    run.add("  registry requests a policy and interval", asked / COUNT / (seconds / 300), "", 1)
    run.add("  leader CPU", 100 * (leader.cpu - cpu) / seconds, "% of a core")
    run.add("idle memory at 1,000 policies: leader", leader.memory()[0], "MiB", 90)
    run.add("  standby", standby.memory()[0], "MiB", 90)


async def _drained(where: Place) -> None:
    """Wait until the Events of a thousand first selections are told: they are sent at ten a second."""
    last, seconds = -1.0, 0
    while (now := await asyncio.to_thread(_writes, where)) != last and seconds < 300:
        last, seconds = now, seconds + 15
        await asyncio.sleep(15)


def _writes(where: Place) -> float:
    """Sum the API server's own count of writes to our objects, ConfigMaps and Events."""
    raw = subprocess.run(
        [where.environment["KUBECTL"], "--kubeconfig", where.kubeconfig, "get", "--raw", "/metrics"],
        capture_output=True,
        check=True,
    ).stdout
    pattern = re.compile(
        rb'apiserver_request_total\{[^}]*resource="(imagepolicies|configmaps|events)"[^}]*verb="(\w+)"'
    )
    total = 0.0
    for line in raw.splitlines():
        found = pattern.match(line)
        if found and found[2] not in {b"GET", b"LIST", b"WATCH"}:
            total += float(line.rpartition(b" ")[2])
    return total


async def _restart(again: Replica, run: Run) -> None:
    """From the start of the process: its memory is empty, the cluster's is not."""
    again.wait_for('"ready"')
    looked = r'pawl_reconcile_total\{kind="ImagePolicy",result="ok"'
    await until(lambda: again.metric(looked) >= COUNT, 60)
    run.add("restart with 1,000 selections: all looked at", again.age, "s")
    run.add("  operator CPU", again.cpu, "s")
