"""A replica that has nothing to do, in a cluster without policies."""

from __future__ import annotations

import time
from pathlib import Path

from bench.cluster import place
from bench.replica import replica
from bench.rows import Row

SECONDS = 20


def idle(out: Path) -> list[Row]:
    """Memory and CPU of a leader and a standby in a cluster without policies, after twenty seconds."""
    with (
        place("bench-idle") as where,
        replica(where.environment, out / "idle-leader.log") as leader,
    ):
        leader.wait_for('"ready"')
        ready = leader.age
        with replica(where.environment, out / "idle-standby.log") as standby:
            standby.wait_for('"ready"')
            time.sleep(SECONDS)
            return [
                Row("start of the process to ready", ready, "s", 3),
                Row("idle memory: leader", leader.memory()[0], "MiB", 90),
                Row("  standby", standby.memory()[0], "MiB", 90),
            ]
