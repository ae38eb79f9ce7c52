"""One world of registries for the tales of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.at_once import wanted
from tests.storage.registry_world_tales import Tales, told


@pytest.fixture(scope="package")
def tales(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tales]:
    """What becomes of every tale that will be told; they begin with the first one."""
    found = wanted(request, "tale", Path(__file__).parent)
    with told(found, tmp_path_factory.mktemp("tales"), "tales") as outcomes:
        yield outcomes
