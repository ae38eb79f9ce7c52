"""An operator that dies by SIGKILL at its n-th write: `python -m tests.faults.override_mortal --help`.

Everything but the way to the API server is `pawl run`. Writes to Leases, Events and the dry runs by which the gate is
tried are not counted: nothing of a rollout is in them. Not here: what is expected after its death.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import structlog

from pawl.cli.run_gate import GatePlace, ReplicaGate
from pawl.cluster.calls import Answer, ConnectionValues, Request, Transport
from pawl.controllers.logs import LogSettings, configure
from pawl.controllers.operator import Operator
from pawl.controllers.replica import build
from pawl.controllers.settings import Settings

WRITES = frozenset({"create", "update", "patch", "delete"})
REFUSED = 300
UNCOUNTED = frozenset({"leases", "events", "namespaces"})

log = structlog.get_logger(__name__)


@dataclass
class Mortal:
    """A way to the API server on which the process dies when its n-th write (`left`) was stored; 0: never.

    Others may be under way then: they arrive or do not, as it happens.
    """

    inner: Transport
    left: int

    async def send(self, request: Request) -> Answer:
        answer = await self.inner.send(request)
        if is_write(request) and answer.status < REFUSED:
            self.left -= 1
            if self.left == 0:
                self.die(request)
        return answer

    def die(self, request: Request) -> None:
        log.info("dies", verb=request.verb, right=request.right, name=request.name, namespace=request.namespace)
        os.kill(os.getpid(), signal.SIGKILL)

    def stream(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self.inner.stream(request)

    async def connection_info(self) -> ConnectionValues:
        return await self.inner.connection_info()

    async def close(self) -> None:
        await self.inner.close()


def is_write(request: Request) -> bool:
    """Whether a request changes what the API server stores, as far as rollouts go."""
    tried = "dryRun" in (request.query or {})
    return request.verb in WRITES and request.resource.plural not in UNCOUNTED and not tried


async def _run(options: argparse.Namespace) -> None:
    settings = Settings(
        namespace=options.namespace,
        manage_gate=True,
        plain_http_hosts=frozenset(options.plain_http_hosts.split(",")),
    )
    configure(LogSettings())
    place = GatePlace(settings.namespace, None, in_pod=False)
    replica = await build(settings, lambda cluster: ReplicaGate(cluster, place))
    replica.cluster._transport = Mortal(replica.cluster._transport, options.writes)
    await Operator(replica).run(asyncio.Event())


def main() -> None:
    """Run until death."""
    parser = argparse.ArgumentParser(description="An operator that dies at its n-th write.")
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--plain-http-hosts", default="")
    parser.add_argument("--writes", type=int, required=True, help="0: never")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
