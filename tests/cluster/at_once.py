"""Scenarios that mostly wait, run several at a time and judged one by one: each test keeps its name and its failure.

    with at_once(wanted(request, "this", path), run) as outcomes: ...
    outcomes.judge(this)       # waits for this one; returns what it returned, raises what it raised

Not here: scenarios. They must share nothing that another one changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import pytest

T = TypeVar("T")
HANDS: Final = 5
"""More would only wait for the processors: an operator's start is work, what comes after is waiting."""


@dataclass(frozen=True)
class Outcomes(Generic[T]):
    """What became of each scenario, or will."""

    found: Mapping[T, Future[Any]]

    def judge(self, scenario: T) -> Any:
        """Wait for a scenario and return what it returned. Raises what it raised."""
        return self.found[scenario].result()


def wanted(request: pytest.FixtureRequest, name: str, place: Path) -> Sequence[Any]:
    """Return the values of a parameter in the tests of a file or folder that will be run, in their order."""
    mine = [each for each in request.session.items if each.path.is_relative_to(place)]
    called = [each.callspec.params for each in mine if hasattr(each, "callspec")]
    return tuple(dict.fromkeys(params[name] for params in called if name in params))


@contextmanager
def at_once(scenarios: Sequence[T], run: Callable[[T], Any], hands: int = HANDS) -> Iterator[Outcomes[T]]:
    """Run scenarios in their order, so many at a time. Those that nobody began at the end are left out."""
    pool = ThreadPoolExecutor(hands, thread_name_prefix="scenario")
    try:
        yield Outcomes({each: pool.submit(run, each) for each in scenarios})
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
