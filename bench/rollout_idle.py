"""One look at an override with 2,000 workloads and 10,000 Pods: gather, decide, compare the status. No cluster at all.

Neighbours: `rollout_idle_world` fills the rows by hand, `pawl.controllers.imageoverride` takes the same steps.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

from bench.rollout_idle_world import PODS_EACH, WORKLOADS, Scene, pod, scene
from bench.rows import Row
from pawl.controllers.overridereport import Look, status_of, status_patch
from pawl.decide.rollout import Stage

LOOKS = 20


def look(_out: Path) -> list[Row]:
    """2,000 Deployments with 10,000 Pods in 50 namespaces, all proved: what one look at their override costs."""
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    made = scene()
    first = await _seconds(made)
    idle = [await _seconds(made) for _ in range(LOOKS)]
    changed = []
    for number in range(LOOKS):
        made.world.put(pod(number, 0, version=f"2{number:03d}"))
        changed.append(await _seconds(made))
    return [
        Row(f"{WORKLOADS} workloads, {WORKLOADS * PODS_EACH} Pods: first look", first, "s"),
        Row("  a look when nothing changed", 1000 * statistics.median(idle), "ms", 50),
        Row("  a look after one Pod changed", 1000 * statistics.median(changed), "ms", 50),
    ]


async def _seconds(made: Scene) -> float:
    begin = time.process_time()
    gathered = await made.gatherer.gather(made.override, made.standing, made.memory)
    decision = made.memory.decide(gathered.facts, made.now())
    after = status_of(Look(made.override, made.standing, decision, "MutatingAdmissionPolicy"), made.now())
    status_patch(made.override.status, after)
    used = time.process_time() - begin
    assert decision.stage is Stage.DONE, decision.stage
    assert decision.counts.compliant == WORKLOADS
    return used
