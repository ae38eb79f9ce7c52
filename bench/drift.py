"""Images of templates set back by hand, one after the other: how long until each is right again."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from bench.cluster import Place, until
from bench.replica import replica
from bench.rollout_stage import PATIENCE, WORKLOADS, arguments, names, override, place, source
from bench.rollout_watch import Deployments, Status, writes
from bench.rows import Row
from pawl.cluster.client import Cluster, Options
from pawl.cluster.resources import CLUSTER_IMAGE_OVERRIDES, DEPLOYMENTS

HANDS, GAP = 150, 0.5
"""Edits, each of another Deployment (a third one of the same would be a contest), and the mean seconds between two."""
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
    """500 Deployments with templates Reconcile; 150 of them are set back by hand, about two a second."""
    with place("bench-drift") as where:
        return asyncio.run(_measure(where, out))


async def _measure(where: Place, out: Path) -> list[Row]:
    async with await Cluster.connect(str(where.kubeconfig), Options(timeout=60)) as cluster:
        deployments, status = Deployments(), Status()
        async with deployments.following(cluster), status.following(cluster):
            with replica(where.environment, out / "drift.log", *arguments(where)) as leader:
                await asyncio.to_thread(leader.wait_for, '"ready"')
                await cluster.create(CLUSTER_IMAGE_OVERRIDES, None, override(where.registry, "Reconcile"))
                await until(lambda: status.proved(WORKLOADS), PATIENCE)
                before, cpu = await asyncio.to_thread(writes, where), leader.cpu
                lags = await _edit_all(cluster, deployments)
                made = await asyncio.to_thread(writes, where) - before
                rows = _rows(lags, made["APPLY deployments"])
                return [*rows, Row("  operator CPU an edit", (leader.cpu - cpu) / HANDS, "s")]


def _rows(lags: list[float], applies: int) -> list[Row]:
    return [
        Row("image set back by hand to template right again: p50", statistics.median(lags), "s"),
        Row("  p99", statistics.quantiles(lags, n=100)[98], "s", 1),
        Row("  the longest", max(lags), "s"),
        Row("  applies an edit that the API server counted", applies / HANDS, "", 1),
    ]


async def _edit_all(cluster: Cluster, deployments: Deployments) -> list[float]:
    """Edit at random times, so that edits fall into every moment of the operator's round."""
    chance, edited = random.Random(7), list[_Edited]()
    for space, name, number in chance.sample(names(), HANDS):
        edited.append(await _edit(cluster, deployments, (space, name), number))
        await asyncio.sleep(chance.uniform(0, 2 * GAP))
    await until(lambda: all(one.is_mended(deployments) for one in edited), PATIENCE)
    # An answer may come after the watch has shown the repair already: that took no time.
    return [max(0.0, deployments.seen_at[one.name] - one.answered) for one in edited]


async def _edit(cluster: Cluster, deployments: Deployments, at: tuple[str, str], number: int) -> _Edited:
    """Set the image back as `kubectl edit` does."""
    wanted, sent, (space, name) = deployments.images[at], time.monotonic(), at
    assert wanted != source(number)
    place = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": source(number)}
    await cluster.json_patch(DEPLOYMENTS, space, name, [place], manager=HAND)
    return _Edited(at, wanted, sent, time.monotonic())
