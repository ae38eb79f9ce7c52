"""From the version before to this one and back, with everything alive: nothing restarts, nothing is forgotten."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from uuid import uuid4

import pytest
from tests.cluster.api import Json
from tests.cluster.grounds import Ground, scenario
from tests.cluster.override_scene import PUBLIC
from tests.cluster.override_stage import wait_for
from tests.upgrade.before import NOW, Version, extracted
from tests.upgrade.crew import Crew, apply_crds, apply_gate, crew_of
from tests.upgrade.prober import Prober, probing
from tests.upgrade.village import LIVING, Village, village_of

from pawl.decide.objects import FINALIZER

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), pytest.mark.usefixtures("history")]
QUIET = 12.0
"""Seconds in which a version that has settled must write nothing; every policy is scanned in them."""


class Journey:
    """A village, the crew that keeps it, and what it looked like at the start."""

    def __init__(self, village: Village, crew: Crew, before: Version) -> None:
        self.village, self.crew, self.api, self.before = village, crew, crew.api, before
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

    def probing(self) -> AbstractContextManager[Prober]:
        probes = [(f"{PUBLIC}/{name}:v1", f"{self.village.place}/{name}") for name in (*LIVING, "wide")]
        return probing(self.crew.cluster.kubeconfig, self.village.stage.namespace, probes)

    def held(self) -> set[str]:
        found = self.village.stage.find_all("imageoverrides")
        return {each["metadata"]["name"] for each in found if FINALIZER in each["metadata"].get("finalizers", [])}


@contextmanager
def journey_on(ground: Ground) -> Iterator[Journey]:
    api, cluster, directory = ground.api, ground.cluster, ground.directory
    namespace = f"ops-{uuid4().hex[:8]}"
    (directory / "before").mkdir()
    before = extracted(directory / "before")
    with village_of(api, cluster, directory) as village, crew_of(api, cluster, directory, namespace) as crew:
        yield Journey(village, crew, before)


on_journey = scenario(journey_on)


@on_journey()
def test_there_and_back(journey: Journey) -> list[str]:
    """Upgrade as a chart does (CRDs, gate, replicas one by one), then go back as `helm rollback` does."""
    journey.install(before := journey.before)
    crew = journey.crew
    with journey.probing() as prober:
        apply_crds(journey.api, NOW)
        apply_gate(journey.api, NOW, crew.namespace)
        journey.same()
        crew.replace(NOW)
        crew.led()
        wrote = journey.quiet()
        told = [f"the new version wrote, once: {dict(wrote)}"]
        journey.same()
        assert journey.held() == {"written"}
        assert wrote.keys() <= {"patch imageoverrides", "create configmaps", "patch configmaps"}
        assert crew.errors() == []
        crew.replace(before)
        apply_crds(journey.api, before)
        apply_gate(journey.api, before, crew.namespace)
        crew.led()
        wrote = journey.quiet()
        told.append(f"the old version wrote, once: {dict(wrote)}")
        journey.same()
        assert journey.held() == {*LIVING, "planned"}
        assert wrote.keys() <= {"patch imageoverrides"}
    assert crew.errors() == []
    return [*told, f"{prober.asked} Pods asked for meanwhile, all rewritten"]


@on_journey("before", "now")
def test_both_versions_side_by_side(journey: Journey, first: str) -> list[str]:
    """One leads, the other waits; the leader is killed, and again: each change of leaders writes once, then silence."""
    order = (journey.before, NOW) if first == "before" else (NOW, journey.before)
    apply_crds(journey.api, NOW)
    journey.install(order[0])
    crew, village, told = journey.crew, journey.village, []
    crew.alive.remove(follower := next(each for each in crew.alive if each is not crew.led()))
    assert follower.terminate() == 0
    with journey.probing():
        for version in (order[1], order[0]):
            crew.start(version)
            heir = crew.kill_leader()
            wait_for(village.ready, what="all to be ready")
            wrote = journey.quiet()
            told.append(f"{version.name} took over and wrote, once: {dict(wrote)}")
            journey.same()
            assert heir is crew.leader()
    assert crew.errors() == []
    return told
