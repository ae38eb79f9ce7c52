"""Images of templates changed by hand, one after the other: how long until each is right again.

Where a source is written, the gate's layer for templates rewrites the edit itself, and nothing is left to mend. What
is measured is the edit that it lets pass: an older image of the target's own repository.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cluster import Place, until
from bench.replica import replica
from bench.rollout_stage import IMAGES, PATIENCE, SOURCE, WORKLOADS, arguments, names, older, override, place, source
from bench.rollout_watch import Deployments, Status, writes
from bench.rows import Row
from bench.seed import digest, image
from pawl.cluster.client import Cluster, Options
from pawl.cluster.resources import CLUSTER_IMAGE_OVERRIDES, DEPLOYMENTS

HANDS, GAP = 150, 0.5
"""Edits, each of another Deployment (a third one of the same would be a contest), and the mean seconds between two."""
SOURCES = 50
"""Edits that write a source again."""
HAND = "kubectl-edit"


@dataclass(frozen=True)
class _Edited:
    """One edit: whose, the image that must come back, when it was sent and when the API server had answered."""

    name: tuple[str, str]
    wanted: str
    sent: float
    answered: float

    def is_mended(self, deployments: Deployments) -> bool:
        """Whether the image came back since."""
        return deployments.images[self.name] == self.wanted and deployments.seen_at[self.name] > self.sent


def drift(out: Path) -> list[Row]:
    """500 Deployments with templates Reconcile; 150 get an older image by hand, about two a second."""
    with place("bench-drift") as where:
        return asyncio.run(_measure(where, out))


async def _measure(where: Place, out: Path) -> list[Row]:
    async with await Cluster.connect(str(where.kubeconfig), Options(timeout=60)) as cluster:
        deployments, status = Deployments(), Status()
        async with deployments.following(cluster), status.following(cluster):
            with replica(where.environment, out / "drift.log", *arguments(where)) as leader:
                await asyncio.to_thread(leader.wait_for, '"ready"')
                await cluster.create(CLUSTER_IMAGE_OVERRIDES, None, _pinned(where.registry))
                await until(lambda: status.proved(WORKLOADS), PATIENCE)
                before, cpu, stored = await asyncio.to_thread(writes, where), leader.cpu, deployments.writes.total()
                lags = await _edit_all(cluster, deployments, where.registry)
                made, cpu = await asyncio.to_thread(writes, where) - before, leader.cpu - cpu
                stored = deployments.writes.total() - stored
                passed = await _sources(cluster)
    return [
        Row("image changed by hand to template right again: p50", statistics.median(lags), "s"),
        Row("  p99", statistics.quantiles(lags, n=100)[98], "s", 1),
        Row("  the longest", max(lags), "s"),
        Row("  versions an edit that change what Pawl holds: the edit, its repair", stored / HANDS, "", 2),
        Row("  applies an edit, those included that came upon a newer version", made["APPLY deployments"] / HANDS, ""),
        Row("  operator CPU an edit", cpu / HANDS, "s"),
        Row(f"{SOURCES} edits that write a source: stored so, past the gate", passed, "", 0),
    ]


def _pinned(registry: str) -> dict[str, Any]:
    """An override with tag and digest in each rule: an older image of a target is then known to be wrong."""
    body = override(registry, "Reconcile")
    body["spec"]["rules"] = [
        {
            "source": f"{SOURCE}/r{kind:02d}",
            "target": {
                "repository": f"{registry}/bench/r{kind:02d}",
                "tag": "v1.0.0",
                "digest": digest(image(f"r{kind}")[1]),
            },
        }
        for kind in range(IMAGES)
    ]
    return body


async def _edit_all(cluster: Cluster, deployments: Deployments, registry: str) -> list[float]:
    """Edit at random times, so that edits fall into every moment of the operator's round."""
    chance, edited = random.Random(7), list[_Edited]()
    for space, name, number in chance.sample(names(), HANDS):
        before = older(registry, number)
        wanted, sent = deployments.images[space, name], time.monotonic()
        stored = await _edit(cluster, (space, name), before)
        assert stored == before != wanted, f"the gate rewrote {before} to {stored}"
        edited.append(_Edited((space, name), wanted, sent, time.monotonic()))
        await asyncio.sleep(chance.uniform(0, 2 * GAP))
    await until(lambda: all(one.is_mended(deployments) for one in edited), PATIENCE)
    # An answer may come after the watch has shown the repair already: that took no time.
    return [max(0.0, deployments.seen_at[one.name] - one.answered) for one in edited]


async def _sources(cluster: Cluster) -> int:
    """Return how many of some edits that write a source were stored as they were written."""
    passed = 0
    for space, name, number in names()[:SOURCES]:
        passed += await _edit(cluster, (space, name), source(number)) == source(number)
    return passed


async def _edit(cluster: Cluster, at: tuple[str, str], value: str) -> str:
    """Write an image as `kubectl edit` does, and return what the API server stored."""
    place = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": value}
    raw = await cluster.json_patch(DEPLOYMENTS, *at, [place], manager=HAND)
    return str(json.loads(raw)["spec"]["template"]["spec"]["containers"][0]["image"])
