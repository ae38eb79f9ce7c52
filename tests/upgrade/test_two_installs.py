"""Two operators that do not know of each other, by mistake: they do not fight over what both understand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from tests.cluster.api import Api
from tests.upgrade.before import NOW
from tests.upgrade.crew import apply_crds, apply_gate, crew_of
from tests.upgrade.village import Village, village_of

from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]
QUIET = 12.0


@pytest.fixture
def village(api: Api, cluster: Cluster, tmp_path: Path) -> Iterator[Village]:
    """A village that two installs keep at the same time."""
    first, second = (f"ops-{uuid4().hex[:8]}" for _ in range(2))
    apply_crds(api, NOW)
    apply_gate(api, NOW, first)
    with ExitStack() as stack:
        made = stack.enter_context(village_of(api, cluster, tmp_path))
        for namespace in (first, second):
            (tmp_path / namespace).mkdir()
            crew = stack.enter_context(crew_of(api, cluster, tmp_path / namespace, namespace))
            crew.start(NOW)
            crew.led()
        yield made


def test_two_installs_of_one_version_come_to_one_end_and_are_silent(village: Village) -> None:
    village.settle()
    end, seen, since = time.monotonic() + 90, village.versions(), time.monotonic()
    while time.monotonic() - since < QUIET:
        time.sleep(0.5)
        now = village.versions()
        if now != seen:
            moved = sorted(name for name in now if now[name] != seen.get(name))
            assert time.monotonic() < end, f"they write against each other: {moved}"
            seen, since = now, time.monotonic()
    assert village.ready()
