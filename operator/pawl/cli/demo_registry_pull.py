"""A client that pulls all the time, whatever happens to the registry, and counts how it went.

Neighbours: `demo_registry_door` pulls once. Not here: what the counts should be (`demo_registry_acts`).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pawl.cli.demo_checks import CheckFailedError
from pawl.cli.demo_registry_door import Caller, Door, WrongBytesError

PAUSE: Final = 0.05
"""Seconds between two pulls, and before one is tried again."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image to pull, and the digest that was pushed."""

    repository: str
    tag: str
    digest: str


@dataclass
class Pulls:
    """How it went. `longest` is the time of the slowest pull, tries included."""

    good: int = 0
    again: int = 0
    """Pulls that had to be tried more than once."""
    wrong: int = 0
    bytes: int = 0
    longest: float = 0.0
    last: str = ""
    """What went wrong last."""


async def pull_on(door: Door, wanted: Sequence[Wanted], seen: Pulls) -> None:
    """Pull one after the other until cancelled."""
    async with Caller(door) as caller:
        for each in itertools.cycle(wanted):
            await _pull(caller, each, seen)
            await asyncio.sleep(PAUSE)


async def _pull(caller: Caller, wanted: Wanted, seen: Pulls) -> None:
    clock = asyncio.get_running_loop().time
    begun = clock()
    for number in itertools.count(1):
        try:
            seen.bytes += await caller.pull(wanted.repository, wanted.tag, wanted.digest)
        except WrongBytesError as error:
            seen.wrong, seen.last = seen.wrong + 1, str(error)
        except CheckFailedError as error:
            seen.last = str(error)
            seen.again += number == 1
        else:
            seen.good += 1
            seen.longest = max(seen.longest, clock() - begun)
            return
        await asyncio.sleep(PAUSE)


class Puller:
    """A client at work in the background, from its making to `stop`."""

    def __init__(self, door: Door, wanted: Sequence[Wanted]) -> None:
        self.seen = Pulls()
        self._task = asyncio.create_task(pull_on(door, wanted, self.seen))

    async def stop(self) -> Pulls:
        """End it and return how it went. Raises what it ended with by itself."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        return self.seen
