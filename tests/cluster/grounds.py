"""Tests that need an API server for themselves, run beside each other on several: each stays a test with its name.

    on_leaving = scenario(leaving_on)             # leaving_on(ground) is a context manager
    @on_leaving()
    def test_one(leaving): ...
    @on_leaving(first, second)                    # as parametrize does, with one parameter
    def test_many(leaving, order): ...

The folder's conftest has a fixture `outcomes` that gives `at_once(plays(...), grounds.play)`. A test returns
the figures that it has to tell, as lines. Neighbours: `at_once` is the pool. Not here: scenarios.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from uuid import uuid4

import pytest
from tests.cluster.api import Api
from tests.cluster.at_once import Outcomes
from tests.cluster.grants import gated
from tests.cluster.installed import install
from tests.cluster.operators import tell

from pawl.api.crd import crds
from pawl.sandbox import Cluster, SandboxOptions, cluster_for_tests

Subject = Callable[[Any], AbstractContextManager[Any]]
Said = Sequence[str] | None
Test = Callable[..., Said | Coroutine[Any, Any, Said]]


@dataclass(frozen=True)
class Ground:
    """An API server that nobody else uses now, and a directory."""

    api: Api
    cluster: Cluster
    directory: Path


@dataclass(frozen=True)
class Play:
    """One test with its parameters, to be run on any ground."""

    function: Test
    subject: Subject
    values: tuple[Any, ...] = ()

    def on(self, ground: Any) -> Sequence[str]:
        with self.subject(ground) as subject:
            said = self.function(subject, *self.values)
            return (asyncio.run(said) if inspect.iscoroutine(said) else said) or ()


def scenario(subject: Subject) -> Callable[..., Any]:
    """Return a decorator for tests whose first argument is made by `subject`."""

    def cases(*values: Any, ids: Callable[[Any], str] = str) -> Callable[[Test], Callable[..., None]]:
        def decorate(function: Test) -> Callable[..., None]:
            params = [pytest.param(Play(function, subject, (each,)), id=ids(each)) for each in values]
            params = params or [pytest.param(Play(function, subject), id=pytest.HIDDEN_PARAM)]

            @pytest.mark.parametrize("play", params)
            def test(play: Play, outcomes: Outcomes[Play], capsys: pytest.CaptureFixture[str]) -> None:
                for line in outcomes.judge(play):
                    tell(capsys, line)

            test.__name__, test.__doc__ = function.__name__, function.__doc__
            return test

        return decorate

    return cases


@dataclass(frozen=True)
class Grounds:
    """Some API servers, each lent to one play at a time."""

    number: int
    directory: Path
    _free: SimpleQueue[tuple[Cluster, Api]] = field(default_factory=SimpleQueue)

    def play(self, play: Play) -> Sequence[str]:
        """Run a play where there is room."""
        cluster, api = self._free.get()
        directory = self.directory / uuid4().hex[:8]
        directory.mkdir()
        try:
            return play.on(Ground(api, cluster, directory))
        finally:
            self._free.put((cluster, api))


@contextmanager
def grounds_of(name: str, number: int, directory: Path, **options: Any) -> Iterator[Grounds]:
    """So many API servers with these options, started together; one where the environment names a cluster."""
    number = 1 if os.environ.get("PAWL_KUBECONFIG") else number
    wanted = [SandboxOptions(name=f"{name}-{os.getpid()}-{at}", **options) for at in range(number)]
    made = Grounds(number, directory)
    with ExitStack() as stack, ThreadPoolExecutor(number) as pool:
        contexts = [cluster_for_tests(each) for each in wanted]
        started: Sequence[Cluster] = list(pool.map(stack.enter_context, contexts))
        for cluster in started:
            api = Api(cluster.kubeconfig)
            stack.callback(api.close)
            made._free.put((cluster, api))
        yield made


@contextmanager
def ready_on(ground: Ground) -> Iterator[Ground]:
    """A ground with our CRDs and the gate in it."""
    for document in crds():
        install(ground.api, document)
    asyncio.run(gated(ground.cluster))
    yield ground
