"""Two operators that do not know of each other, by mistake: they do not fight over what both understand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from uuid import uuid4

import pytest
from tests.cluster.grounds import Ground, scenario
from tests.upgrade.before import NOW
from tests.upgrade.crew import apply_crds, apply_gate, crew_of
from tests.upgrade.village import Village, village_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
QUIET = 12.0


@contextmanager
def village_on(ground: Ground) -> Iterator[Village]:
    """A village that two installs keep at the same time."""
    api, cluster, directory = ground.api, ground.cluster, ground.directory
    first, second = (f"ops-{uuid4().hex[:8]}" for _ in range(2))
    apply_crds(api, NOW)
    apply_gate(api, NOW, first)
    with ExitStack() as stack:
        made = stack.enter_context(village_of(api, cluster, directory))
        for namespace in (first, second):
            (directory / namespace).mkdir()
            crew = stack.enter_context(crew_of(api, cluster, directory / namespace, namespace))
            crew.start(NOW)
            crew.led()
        yield made


@scenario(village_on)()
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
