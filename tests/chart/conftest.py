"""Real API servers for the releases of this folder, with simulated nodes that run their Pods.

A release has names of the whole cluster, so each has a server to itself. They go on while charts are rendered.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.at_once import Outcomes, wanted
from tests.cluster.grounds import Play, played

SERVERS = 2


@pytest.fixture(scope="package")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes[Play]]:
    """What becomes of every release of this folder that is asked for."""
    plays = wanted(request, "play", Path(__file__).parent)
    with played(plays, "chart", SERVERS, tmp_path_factory.mktemp("chart"), nodes=2) as found:
        yield found


@pytest.fixture(scope="package", autouse=True)
def _begun(request: pytest.FixtureRequest) -> None:
    """Begin with the first test of the folder, whichever that is."""
    if wanted(request, "play", Path(__file__).parent):
        request.getfixturevalue("outcomes")
