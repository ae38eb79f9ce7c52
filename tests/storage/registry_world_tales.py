"""Scenarios of registries that share one world, told several at a time: each stays a test of its own.

    @tale
    def test_it_moves(world: World) -> None: ...

The folder's conftest has the fixture `tales` that begins all that will run. A tale makes registries of names of its own
and leaves them: the last test looks whether any is still written. Neighbours: `at_once` runs them. Not here: tales.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cluster.api import Api
from tests.cluster.at_once import Outcomes, at_once
from tests.support.storageworld import World, lone_cluster, storage_world

Tale = Callable[[World], None]
HANDS = 4
"""Each registry of a tale is three processes and its clients."""


def tale(function: Tale) -> Callable[..., None]:
    """Make a test of a scenario."""

    @pytest.mark.parametrize("tale", [pytest.param(function, id=pytest.HIDDEN_PARAM)])
    def test(tale: Tale, tales: Tales) -> None:
        tales.judge(tale)

    test.__name__, test.__doc__ = function.__name__, function.__doc__
    return test


@dataclass(frozen=True)
class Tales:
    """What becomes of tales, and the world in which they are told."""

    outcomes: Outcomes[Tale]
    world: World

    def judge(self, each: Tale) -> None:
        """Wait for a tale, and raise what it raised."""
        self.outcomes.judge(each)


@contextmanager
def told(wanted: Sequence[Tale], directory: Path, name: str) -> Iterator[Tales]:
    """Tell all these in one world."""
    with lone_cluster(name) as cluster, closing(Api(cluster.kubeconfig)) as api:
        sized = os.geteuid() == 0
        with (
            storage_world(api, cluster, directory, minio=True, sized=sized) as world,
            _kept(world),
            at_once(wanted, lambda each: each(world), HANDS) as outcomes,
        ):
            yield Tales(outcomes, world)


@contextmanager
def _kept(world: World) -> Iterator[None]:
    """Start an operator again that has ended by itself, as a kubelet does: a busy machine may cost it its Lease."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(1):
            if (world.operator.process.poll() or 0) > 0:
                world.restart()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)
