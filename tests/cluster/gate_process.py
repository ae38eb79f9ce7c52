"""`pawl run` as a chart runs it, but quick to look: half a second for what takes a minute. A process of its own.

Neighbours: `gate_servers` has the API server. Not here: `pawl run` itself, whose flags are tested elsewhere.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Literal, cast

from tests.cluster.operators import Operator as Process

from pawl.cli.run_gate import GatePlace, GateTiming, ReplicaGate
from pawl.cluster.leaserecord import Timing
from pawl.controllers.logs import LogSettings, configure
from pawl.controllers.operator import Operator
from pawl.controllers.replica import build
from pawl.controllers.settings import Settings

LOOK = 0.5
SETTLE = 3.0


class QuickOperator(Process):
    """An operator that looks at its gate twice a second."""

    def __init__(
        self, kubeconfig: str | Path, log: Path, namespace: str, *, certificates: str = "Pawl", port: int = 0
    ) -> None:
        self.namespace, self._log, self._first = namespace, log, {}
        argv = [sys.executable, "-m", "tests.cluster.gate_process", namespace, certificates, str(port)]
        environ = {k: v for k, v in os.environ.items() if not k.startswith("PAWL_")} | {"KUBECONFIG": str(kubeconfig)}
        with log.open("wb") as stream:
            self.process = subprocess.Popen(argv, env=environ, stderr=stream, stdout=stream)


async def _run(namespace: str, certificates: Literal["Pawl", "Secret"], port: int) -> None:
    # Where there is one API server, an upgrade of it may last longer than a Lease.
    lease = Timing(duration=90.0, renew_deadline=80.0)
    settings = Settings(namespace=namespace, webhook=("127.0.0.1", port), gate_recheck=LOOK, lease=lease)
    configure(LogSettings())
    place = GatePlace(namespace, settings.webhook, certificates=certificates, timing=GateTiming(LOOK, SETTLE, 0.0))
    replica = await build(settings, lambda cluster: ReplicaGate(cluster, place))
    await Operator(replica).run(asyncio.Event())


def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(description="An operator that looks at its gate twice a second.")
    parser.add_argument("namespace")
    parser.add_argument("certificates")
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    asyncio.run(_run(options.namespace, cast('Literal["Pawl", "Secret"]', options.certificates), options.port))


if __name__ == "__main__":
    main()
