"""One override over five hundred Deployments: until all is written, until all is proved, and the silence after."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from pathlib import Path

from bench.cluster import Place, until
from bench.replica import Replica, replica
from bench.rollout_stage import CONCURRENT, PATIENCE, WORKLOADS, arguments, override, place
from bench.rollout_watch import Deployments, Status, writes
from bench.rows import Row
from pawl.cluster.client import Cluster, Options
from pawl.cluster.resources import CLUSTER_IMAGE_OVERRIDES

SILENCE = 30.0
"""Seconds to count writes after a restart."""


def rollout(out: Path) -> list[Row]:
    """500 Deployments in 50 namespaces, maxConcurrent 50, one batch; templates Off, then Reconcile. Pods are simulated.

    The time to *proved* holds what kube-controller-manager needs to roll five hundred Deployments (its limit is raised
    from 20 to 500 requests a second here): fifty at once wait for it, so it is the greater part of both times.
    """
    return [row for templates in ("Off", "Reconcile") for row in variant(out, templates)]


def variant(out: Path, templates: str) -> list[Row]:
    """Measure with one setting of `enforcement.templates`."""
    with place(f"bench-rollout-{templates.lower()}") as where:
        return asyncio.run(_measure(where, out, templates))


async def _measure(where: Place, out: Path, templates: str) -> list[Row]:
    async with await Cluster.connect(str(where.kubeconfig), Options(timeout=60)) as cluster:
        deployments, status = Deployments(), Status()
        async with deployments.following(cluster), status.following(cluster):
            log = out / f"rollout-{templates}.log"
            with replica(where.environment, log, *arguments(where)) as leader:
                await asyncio.to_thread(leader.wait_for, '"ready"')
                rows = await _roll(cluster, (where, leader), (deployments, status), templates)
                before = await _quiet(where)
            rows += await _restart(where, out / f"rollout-{templates}-again.log", before)
            rows.append(Row("  writes a Deployment by manager pawl, the most", max(deployments.writes.values()), "", 1))
            return rows


async def _roll(
    cluster: Cluster, at: tuple[Place, Replica], seen: tuple[Deployments, Status], templates: str
) -> list[Row]:
    (where, leader), (deployments, status) = at, seen
    before, cpu = await asyncio.to_thread(writes, where), leader.cpu
    begin = time.monotonic()
    await cluster.create(CLUSTER_IMAGE_OVERRIDES, None, override(where.registry, templates))
    try:
        await until(lambda: status.proved(WORKLOADS), PATIENCE)
    finally:
        _keep(leader.log, status, begin)
    proved, made = time.monotonic() - begin, await asyncio.to_thread(writes, where) - before
    title = f"500 Deployments, maxConcurrent {CONCURRENT}, templates {templates}"
    return [
        Row(f"{title}: all written", deployments.last - begin, "s", 60),
        Row("  all proved", proved, "s"),
        Row("  Deployments written to", len(deployments.writes), ""),
        Row("  applies that the API server counted", made["APPLY deployments"], "", WORKLOADS),
        Row("  tables written", _of(made, "imagerules", "clusterimagerules"), ""),
        Row("  statuses written", _of(made, "clusterimageoverrides/status"), ""),
        Row("  operator CPU", leader.cpu - cpu, "s"),
        Row("  operator peak memory", leader.memory()[1], "MiB", 150),
    ]


async def _restart(where: Place, log: Path, before: Counter[str]) -> list[Row]:
    """A second run: everything is in place, so nothing may be written but the Lease."""
    with replica(where.environment, log, *arguments(where)) as again:
        await asyncio.to_thread(again.wait_for, "overrides are worked on")
        cpu = again.cpu
        await asyncio.sleep(SILENCE)
        used = again.cpu - cpu
        made = await asyncio.to_thread(writes, where) - before
        log.with_suffix(".json").write_text(json.dumps(made, indent=1))
        return [
            Row(f"  restart with all in place, {SILENCE:.0f} s: writes besides the Lease", made.total(), "", 0),
            Row("  CPU of these seconds, its listings included", used, "s"),
        ]


async def _quiet(where: Place) -> Counter[str]:
    """Return the counts once nobody writes any more: Events of the rollout are told late."""
    before, end = await asyncio.to_thread(writes, where), time.monotonic() + PATIENCE
    while time.monotonic() < end:
        await asyncio.sleep(5)
        now = await asyncio.to_thread(writes, where)
        if now == before:
            break
        before = now
    return before


def _of(made: Counter[str], *names: str) -> int:
    return sum(count for name, count in made.items() if name.partition(" ")[2] in names)


def _keep(log: Path, status: Status, begin: float) -> None:
    """Write down how the status went."""
    lines = [json.dumps([round(at - begin, 2), what]) for at, what in status.log]
    log.with_suffix(".status").write_text("\n".join(lines))
