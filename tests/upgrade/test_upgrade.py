"""From the version before to this one and back, with everything alive: nothing restarts, nothing is forgotten."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import tell
from tests.cluster.override_scene import PUBLIC
from tests.cluster.override_stage import wait_for
from tests.upgrade.before import NOW, Before, Version
from tests.upgrade.crew import Crew, apply_crds, apply_gate, crew_of
from tests.upgrade.prober import probing
from tests.upgrade.village import LIVING, Village, village_of

from pawl.decide.objects import FINALIZER
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]
QUIET = 12.0
"""Seconds in which a version that has settled must write nothing; every policy is scanned in them."""


class Journey:
    """A village, the crew that keeps it, and what it looked like at the start."""

    def __init__(self, village: Village, crew: Crew) -> None:
        self.village, self.crew, self.api = village, crew, crew.api
        self.start: Json = {}

    def install(self, version: Version) -> None:
        apply_crds(self.api, version)
        apply_gate(self.api, version, self.crew.namespace)
        for _ in range(2):
            self.crew.start(version)
        self.crew.led()
        self.village.settle()
        self.quiet()
        self.start = self.village.image()

    def quiet(self, seconds: float = 60) -> Counter[str]:
        """Wait until nothing is written any more, and then for the whole of QUIET; what the leader wrote till then."""
        end, since, seen = time.monotonic() + seconds, time.monotonic(), self.village.versions()
        while time.monotonic() - since < QUIET:
            time.sleep(0.5)
            now = self.village.versions()
            if now != seen:
                moved = {name for name in now if now[name] != seen.get(name)}
                assert time.monotonic() < end, f"still being written: {sorted(moved)}"
                since, seen = time.monotonic(), now
        assert self.village.ready()
        return self.crew.writes(self.crew.led())

    def same(self) -> None:
        """Assert that all is as it was at the start, part by part."""
        now = self.village.image()
        for part, was in self.start.items():
            assert now[part] == was, part

    def probes(self) -> list[tuple[str, str]]:
        return [(f"{PUBLIC}/{name}:v1", f"{self.village.place}/{name}") for name in (*LIVING, "wide")]

    def held(self) -> set[str]:
        found = self.village.stage.find_all("imageoverrides")
        return {each["metadata"]["name"] for each in found if FINALIZER in each["metadata"].get("finalizers", [])}


@pytest.fixture
def journey(api: Api, cluster: Cluster, tmp_path: Path) -> Iterator[Journey]:
    namespace = f"ops-{uuid4().hex[:8]}"
    with village_of(api, cluster, tmp_path) as village, crew_of(api, cluster, tmp_path, namespace) as crew:
        yield Journey(village, crew)


def test_there_and_back(journey: Journey, before: Before, cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    """Upgrade as a chart does (CRDs, gate, replicas one by one), then go back as `helm rollback` does."""
    journey.install(before)
    crew, village = journey.crew, journey.village
    with probing(cluster.kubeconfig, village.stage.namespace, journey.probes()) as prober:
        apply_crds(journey.api, NOW)
        apply_gate(journey.api, NOW, crew.namespace)
        journey.same()
        crew.replace(NOW)
        crew.led()
        wrote = journey.quiet()
        tell(capsys, f"the new version wrote, once: {dict(wrote)}")
        journey.same()
        assert journey.held() == {"written"}
        assert wrote.keys() <= {"patch imageoverrides", "create configmaps", "patch configmaps"}
        assert crew.errors() == []
        crew.replace(before)
        apply_crds(journey.api, before)
        apply_gate(journey.api, before, crew.namespace)
        crew.led()
        wrote = journey.quiet()
        tell(capsys, f"the old version wrote, once: {dict(wrote)}")
        journey.same()
        assert journey.held() == {*LIVING, "planned"}
        assert wrote.keys() <= {"patch imageoverrides"}
    tell(capsys, f"{prober.asked} Pods asked for meanwhile, all rewritten")
    assert crew.errors() == []


@pytest.mark.parametrize("first", ["before", "now"])
def test_both_versions_side_by_side(
    first: str, journey: Journey, before: Before, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """One leads, the other waits; the leader is killed, and again: each change of leaders writes once, then silence."""
    order = (before, NOW) if first == "before" else (NOW, before)
    apply_crds(journey.api, NOW)
    journey.install(order[0])
    crew, village = journey.crew, journey.village
    crew.alive.remove(follower := next(each for each in crew.alive if each is not crew.led()))
    assert follower.terminate() == 0
    with probing(cluster.kubeconfig, village.stage.namespace, journey.probes()):
        for version in (order[1], order[0]):
            crew.start(version)
            heir = crew.kill_leader()
            wait_for(village.ready, what="all to be ready")
            wrote = journey.quiet()
            tell(capsys, f"{version.name} took over and wrote, once: {dict(wrote)}")
            journey.same()
            assert heir is crew.leader()
    assert crew.errors() == []
