"""An operator that dies by SIGKILL right after a write that names a phase of a registry: `--dies status:Freeze:0`.

`ledger` and `status` are where a memory is stored, in this order; the number is how many further writes live through
it: 0 dies between remembering and doing. Everything but the way to the API server is `pawl run`.
Neighbours: `override_mortal` dies at a count. Not here: what is expected after its death.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import dataclass
from typing import Any

from tests.faults.override_mortal import REFUSED, Mortal, is_write

from pawl.cluster.calls import Answer, Request
from pawl.controllers.logs import LogSettings, configure
from pawl.controllers.operator import Operator
from pawl.controllers.replica import build
from pawl.controllers.settings import Settings


@dataclass(frozen=True)
class Doom:
    """Where which phase is told, and how many writes follow."""

    place: str
    phase: str
    more: int


@dataclass
class Foretold(Mortal):
    """Dies when its doom has come. `left` counts what may still be written, -1 until then."""

    doom: Doom | None = None

    async def send(self, request: Request) -> Answer:
        answer = await self.inner.send(request)
        if self.doom is not None and is_write(request) and answer.status < REFUSED:
            if self.left < 0 and self.doom.phase in phases(request, self.doom.place):
                self.left = self.doom.more
            elif self.left > 0:
                self.left -= 1
            if self.left == 0:
                self.die(request)
        return answer


def phases(request: Request, place: str) -> set[str]:
    """Phases of machines that a write stores: `Freeze` of a migration, `collection/Freeze` of a collection."""
    told = json.loads(request.body or b"{}")
    if place == "status" and request.right == "registrystorages/status":
        return _phases(told.get("status") or {})
    if place == "ledger" and (request.name or "").endswith("-registry-ledger"):
        return _phases(json.loads((told.get("data") or {}).get("memory") or "{}"))
    return set()


def _phases(memory: dict[str, Any]) -> set[str]:
    migration, collection = memory.get("migration") or {}, memory.get("collection") or {}
    return {str(migration.get("phase", "")), f"collection/{collection.get('phase', '')}"}


async def _run(options: argparse.Namespace) -> None:
    configure(LogSettings())
    replica = await build(Settings(namespace=options.namespace, image=options.image))
    place, phase, more = options.dies.rsplit(":", 2)
    replica.cluster._transport = Foretold(replica.cluster._transport, -1, Doom(place, phase, int(more)))
    await Operator(replica).run(asyncio.Event())


def main() -> None:
    """Run until death."""
    parser = argparse.ArgumentParser(description="An operator that dies at a phase of a registry.")
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("--dies", required=True, help="<ledger|status>:<phase>:<writes after it>")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
