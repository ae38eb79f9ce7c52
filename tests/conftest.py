"""How the tests are shared out among workers: whole files, since a file's fixtures are dear; all real nodes to one.

Two sets of real nodes at once would take the cores from each other. And what a file leaves open is told in that file,
not in whichever runs when the garbage is collected. Not here: fixtures that a test names.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

NODES = "tests/node/"


class ByFile(LoadScopeScheduling):
    """Gives a worker one file at a time."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return NODES if file.startswith(NODES) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    return ByFile(config, log)


@pytest.fixture(autouse=True, scope="module")
def _garbage_of_a_file() -> Iterator[None]:
    yield
    gc.collect()
