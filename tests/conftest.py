"""How the tests are shared out among workers: whole files, and whole sets of files that share something dear.

What a set shares (real nodes, servers on which its scenarios run side by side, a world of registries) is made once a
worker, so a set that is spread is made and run twice. What fails is named at once, since the summary is half an hour
away. And what a file leaves open is told in that file, not in whichever runs when the garbage is collected. Not here:
fixtures that a test names.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

NODES = "tests/node/"
SETS = (NODES, "tests/storage/", "tests/upgrade/", "tests/cluster/test_rights_", "tests/chart/", "tests/gitops/")
"""How the ids of tests begin that one worker has to run, in the order in which they begin."""
FAULTS = "tests/faults/"
SHARED = frozenset({"play", "tale"})
"""Parameters of scenarios that run beside those of their whole folder, whichever test asks first."""


def shared_out(nodeid: str) -> str:
    """Return what goes to one worker as a whole: a set, or a file."""
    return next((each for each in SETS if nodeid.startswith(each)), nodeid.partition("::")[0])


class BySet(LoadScopeScheduling):
    """Gives a worker one set or one file at a time: sets to the first worker, files to the others, while there are any.

    The scenarios of a set run side by side and keep a core busy; tests of a file mostly wait.
    """

    def _split_scope(self, nodeid: str) -> str:
        return shared_out(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        first = node is next(iter(self.assigned_work))
        liked = next((scope for scope in self.workqueue if (scope in SETS) == first), None)
        if liked is not None:
            self.workqueue.move_to_end(liked, last=False)
        super()._assign_work_unit(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> BySet:
    return BySet(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sets in their order; then files, folder by folder, those first that may take longest; and last what is light.

    A folder has servers of its own, which end with its last test. `make test` has xdist keep this order
    (--no-loadscope-reorder); it would begin with the files of most tests.
    """
    _refuse_spread(items)
    longest: dict[Path, float] = {}
    for item in items:
        allowed = item.get_closest_marker("timeout")
        longest[item.path] = max(longest.get(item.path, 0.0), allowed.args[0] if allowed and allowed.args else 0.0)

    def turn(item: pytest.Item) -> tuple[int, int, float]:
        if (found := shared_out(item.nodeid)) in SETS:
            return 0, SETS.index(found), 0.0
        heavy = any(item.get_closest_marker(name) for name in ("cluster", "faults"))
        return (1, int(not item.nodeid.startswith(FAULTS)), -longest[item.path]) if heavy else (2, 0, 0.0)

    items.sort(key=turn)


def _refuse_spread(items: list[pytest.Item]) -> None:
    """Scenarios of one folder in two sets would all run twice, side by side."""
    places: dict[tuple[Path, str], str] = {}
    for item in items:
        given = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        for name in SHARED & given.keys():
            mine = shared_out(item.nodeid)
            if places.setdefault((item.path.parent, name), mine) != mine:
                raise pytest.UsageError(f"{mine}: every {name} of its folder runs in each set that has one; join them")


class ToldAtOnce:
    """Names a test that failed as soon as it did."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self._reporter = reporter

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            cause = getattr(getattr(report.longrepr, "reprcrash", None), "message", "").partition("\n")[0]
            self._reporter.ensure_newline()
            self._reporter.write_line(f"{report.nodeid} failed at {report.when} in {report.duration:.0f} s: {cause}")


@pytest.hookimpl(trylast=True)  # the reporter is made by the same hook
def pytest_configure(config: pytest.Config) -> None:
    if reporter := config.pluginmanager.get_plugin("terminalreporter"):
        config.pluginmanager.register(ToldAtOnce(reporter))


def pytest_collection_finish() -> None:
    """What was collected stays to the end: the collector of garbage need not walk through it after each file."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _garbage_of_a_file() -> Iterator[None]:
    yield
    gc.collect()
