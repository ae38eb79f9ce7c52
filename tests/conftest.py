"""How the tests are shared out among workers: whole files, since a file's fixtures are dear; all real nodes to one.

Two sets of real nodes at once would take the cores from each other. And what a file leaves open is told in that file,
not in whichever runs when the garbage is collected. Not here: fixtures that a test names.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real nodes first, and beside them what is light; then the files that may take longest, so that none is left over.

    `make test` has xdist keep this order (--no-loadscope-reorder); it would begin with the files of most tests.
    """
    longest: dict[Path, float] = {}
    for item in items:
        allowed = item.get_closest_marker("timeout")
        longest[item.path] = max(longest.get(item.path, 0.0), allowed.args[0] if allowed and allowed.args else 0.0)

    def turn(item: pytest.Item) -> tuple[int, float]:
        if item.nodeid.startswith(NODES):
            return 0, 0.0
        heavy = any(item.get_closest_marker(name) for name in ("cluster", "faults"))
        return (2, -longest[item.path]) if heavy else (1, 0.0)

    items.sort(key=turn)


@pytest.fixture(autouse=True, scope="module")
def _garbage_of_a_file() -> Iterator[None]:
    yield
    gc.collect()
