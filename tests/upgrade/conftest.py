"""API servers of these tests' own, several at a time: they take away CRDs, gates and rights that others need."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.at_once import Outcomes, wanted
from tests.cluster.grounds import Play, played
from tests.upgrade.before import missing

SERVERS = 4
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The journeys first: they take longest and mostly wait, and the rest goes on beside them."""
    places = [at for at, item in enumerate(items) if item.path.parent == HERE]
    ordered = sorted((items[at] for at in places), key=lambda item: item.path.name != "test_upgrade.py")
    for at, item in zip(places, ordered, strict=True):
        items[at] = item


@pytest.fixture(scope="package")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes[Play]]:
    """What becomes of every test of this folder that will be run; they begin with the first one."""
    plays = wanted(request, "play", HERE)
    directory = tmp_path_factory.mktemp("upgrade")
    with played(plays, "upgrade", SERVERS, directory, nodes=2, registry=True) as found:
        yield found


@pytest.fixture(scope="package")
def history() -> None:
    """Skip by name where the version before is not at hand."""
    if why := missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{why}; fetch the whole history", pytrace=False)
        pytest.skip(why)
