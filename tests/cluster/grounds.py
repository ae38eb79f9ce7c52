"""Tests that need an API server for themselves, run beside each other on several: each stays a test with its name.

    on_leaving = scenario(leaving_on)             # leaving_on(ground) is a context manager
    @on_leaving()
    def test_one(leaving): ...
    @on_leaving(first, second)                    # as parametrize does, with one parameter
    def test_many(leaving, order): ...

The folder's conftest has a fixture `outcomes` that gives `played(wanted(...), ...)`. A test returns the figures that it
has to tell, as lines. Neighbours: `at_once` is for tests that share an API server. Not here: scenarios.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
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


@contextmanager
def played(plays: Sequence[Play], name: str, number: int, directory: Path, **options: Any) -> Iterator[Outcomes[Play]]:
    """Run plays in their order on so many API servers; each server goes when there is nothing left for it."""
    number = 1 if os.environ.get("PAWL_KUBECONFIG") else min(number, len(plays))
    stage = _Stage(directory, {play: Future() for play in plays}, deque(plays))
    wanted = [SandboxOptions(name=f"{name}-{os.getpid()}-{at}", **options) for at in range(number)]
    with ThreadPoolExecutor(number, thread_name_prefix=name) as pool:
        for each in wanted:
            pool.submit(stage.serve, each)
        try:
            yield Outcomes(stage.outcomes)
        finally:
            stage.waiting.clear()


@dataclass(frozen=True)
class _Stage:
    directory: Path
    outcomes: Mapping[Play, Future[Any]]
    waiting: deque[Play]

    def serve(self, options: SandboxOptions) -> None:
        """Start one API server and run plays on it as long as there are any."""
        try:
            with cluster_for_tests(options) as cluster, closing(Api(cluster.kubeconfig)) as api:
                while play := self._next():
                    self._run(play, Ground(api, cluster, self.directory / uuid4().hex[:8]))
        except BaseException as error:
            while play := self._next():
                self.outcomes[play].set_exception(error)
            raise

    def _next(self) -> Play | None:
        with suppress(IndexError):
            return self.waiting.popleft()
        return None

    def _run(self, play: Play, ground: Ground) -> None:
        ground.directory.mkdir()
        try:
            self.outcomes[play].set_result(play.on(ground))
        except BaseException as error:  # noqa: BLE001 - the test that waits for it raises it
            self.outcomes[play].set_exception(error)


@contextmanager
def ready_on(ground: Ground) -> Iterator[Ground]:
    """A ground with our CRDs and the gate in it."""
    for document in crds():
        install(ground.api, document)
    asyncio.run(gated(ground.cluster))
    yield ground
