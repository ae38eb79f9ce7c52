"""Operators that die by SIGKILL right after a write that names a phase of a registry: `status:Freeze:0`.

`ledger` and `status` are where a memory is stored, in this order; the number is how many further writes live through
it: 0 dies between remembering and doing. Each line on stdin is the dooms of one life, which begins at once, as all is
imported already; its end is one line on stdout. Everything but the way to the API server is `pawl run`.
Neighbours: `override_mortal` dies at a count. Not here: what is expected after a death.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from dataclasses import dataclass
from typing import Any

import structlog
from tests.faults.override_mortal import REFUSED, Mortal, is_write

from pawl.cluster.calls import Answer, Request
from pawl.controllers.logs import LogSettings, configure
from pawl.controllers.operator import Operator
from pawl.controllers.registrywhole import Whole
from pawl.controllers.replica import build
from pawl.controllers.settings import Settings

IMPORTED = (Whole,)
"""What a term imports when it needs it: no life is to wait for that."""

log = structlog.get_logger(__name__)


@dataclass
class Foretold(Mortal):
    """Dies when one of its dooms has come. `left` counts what may still be written, -1 until then."""

    dooms: tuple[str, ...] = ()
    registry: str = ""
    doom: str = ""

    async def send(self, request: Request) -> Answer:
        answer = await self.inner.send(request)
        if is_write(request) and answer.status < REFUSED and (request.name or "").startswith(self.registry):
            self._heed(request)
            if self.left == 0:
                log.info("doomed", doom=self.doom)
                self.die(request)
        return answer

    def _heed(self, request: Request) -> None:
        if self.left > 0:
            self.left -= 1
        elif self.left < 0:
            self.doom = next((each for each in self.dooms if _has_come(each, request)), "")
            self.left = int(self.doom.rpartition(":")[2]) if self.doom else -1


def _has_come(doom: str, request: Request) -> bool:
    place, phase, _ = doom.rsplit(":", 2)
    return phase in phases(request, place)


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


async def _live(options: argparse.Namespace, dooms: tuple[str, ...]) -> None:
    configure(LogSettings())
    replica = await build(Settings(namespace=options.namespace, image=options.image))
    replica.cluster._transport = Foretold(replica.cluster._transport, -1, dooms, options.registry)
    await Operator(replica).run(asyncio.Event())


def _die(options: argparse.Namespace, dooms: tuple[str, ...]) -> int:
    """Live once, in a process of its own; the signal that ended it."""
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(_live(options, dooms))
        finally:
            os._exit(1)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


def main() -> None:
    """Live as often as a line asks for it."""
    parser = argparse.ArgumentParser(description="Operators that die at phases of a registry.")
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("--registry", required=True, help="only writes of this one count")
    options = parser.parse_args()
    for line in sys.stdin:
        sys.stdout.write(f"{_die(options, tuple(line.split()))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
