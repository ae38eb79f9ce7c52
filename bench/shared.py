"""Many policies on one repository: one request an interval, whatever their number."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bench.cluster import Place, create, place, policy, until, watching
from bench.replica import replica
from bench.rows import Row
from bench.seed import repository, versions
from pawl.cluster.client import Cluster, Options

COUNT, SECONDS, INTERVAL = 300, 60, 10


def shared(out: Path) -> list[Row]:
    """Count what the registry is asked by 300 policies with an interval of ten seconds in one minute."""
    with place("bench-shared") as where:
        repository(where.store, "bench/one", versions(100))
        return asyncio.run(_measure(where, out))


async def _measure(where: Place, out: Path) -> list[Row]:
    async with await Cluster.connect(str(where.kubeconfig), Options(timeout=60)) as cluster:
        image = f"{where.registry}/bench/one"
        await create(cluster, [policy(f"p{n:03d}", image, f"{INTERVAL}s") for n in range(COUNT)])
        with replica(where.environment, out / "shared.log") as leader:
            async with watching(cluster, lambda body: "selection" in body.get("status", {})) as seen:
                await until(lambda: seen.done(COUNT), 60)
            first = leader.metric("pawl_registry_requests_total")
            await asyncio.sleep(SECONDS)
            polls = SECONDS / INTERVAL
            asked = leader.metric("pawl_registry_requests_total") - first
    return [
        Row(f"{COUNT} policies on one repository, first selection: registry requests", first, "", 2),
        Row("  unchanged: requests an interval, audits of digests included", asked / polls, "", 1),
    ]
