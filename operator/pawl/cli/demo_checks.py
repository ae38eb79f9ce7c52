"""How the demo looks at the world: ask until it is so, within a deadline, and say what was seen where it is not.

Neighbours: `demo_acts` says what is expected. Not here: what is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pawl.api.errors import ClusterError, PawlError

T = TypeVar("T")

POLL = 0.05
"""Seconds between two questions."""


class CheckFailedError(PawlError):
    """The world is not as the demo says it is."""


@dataclass(frozen=True)
class Check(Generic[T]):
    """An expectation: `what` as half a sentence, `seconds` in which it comes true, `show` for what was seen instead."""

    what: str
    seconds: float
    good: Callable[[T], bool]
    show: Callable[[T], str] = repr


async def until(check: Check[T], ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until the answer is good and return it. Raises CheckFailedError after `check.seconds`.

    A server that does not answer yet is no answer: what it said last is told if the time runs out.
    """
    loop = asyncio.get_running_loop()
    end, seen = loop.time() + check.seconds, "nothing"
    while loop.time() < end:
        try:
            answer = await ask()
        except ClusterError as error:
            seen = str(error)
        else:
            if check.good(answer):
                return answer
            seen = check.show(answer)
        await asyncio.sleep(POLL)
    raise CheckFailedError(f"expected {check.what} within {check.seconds:g} s; saw {seen}")


def expect(good: bool, what: str, seen: object) -> None:  # noqa: FBT001 - it is what is expected
    """Raise CheckFailedError unless `good`."""
    if not good:
        raise CheckFailedError(f"expected {what}; saw {seen}")
