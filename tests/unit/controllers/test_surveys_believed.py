"""Targets that were found are believed for a while; what was refused, or is asked on other terms, is asked again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from pawl.api.imageoverride import Preflight
from pawl.api.reasons import Reason
from pawl.controllers.sightings import Sighting, Wish
from pawl.controllers.surveys import BELIEVED, Believed
from pawl.controllers.targets import Seen, Terms
from pawl.decide.targets import Needed

DIGEST = "sha256:" + "a" * 64
REQUIRED = Terms(Preflight.REQUIRED, edition="u 1")


@dataclass
class Registry:
    """Finds everything but what is in `missing`."""

    missing: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    async def see(self, wish: Wish, _not_before: float = 0.0) -> Sighting:
        self.asked.append(f"{wish.puller.namespace} {wish.reference}")
        if wish.reference in self.missing:
            return Sighting(wish.reference, False, Reason.IMAGE_MISSING, "not there", again_in=7.0)
        return Sighting(wish.reference, True, Reason.PREFLIGHT_PASSED, "", DIGEST)


class Bench:
    """One look after the other, by a clock that is set by hand."""

    def __init__(self) -> None:
        self.registry, self.now = Registry(), 100.0
        self.believed = Believed(self.registry, lambda: self.now)  # type: ignore[arg-type]

    def look(self, *wanted: Needed, terms: Terms = REQUIRED) -> Seen:
        self.registry.asked.clear()
        return asyncio.run(self.believed.look(frozenset(wanted), lambda _label: terms))


def needed(reference: str, namespace: str = "shop") -> Needed:
    return Needed(namespace, reference, (), (), "default", frozenset({"linux/amd64"}), "one", 0)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_what_was_found_is_not_asked_for_again_for_a_while(bench: Bench) -> None:
    first = bench.look(needed("r.corp/a:1"), needed("r.corp/b:1"))
    assert len(bench.registry.asked) == 2
    bench.now += BELIEVED - 0.1
    assert bench.look(needed("r.corp/a:1"), needed("r.corp/b:1")) == first
    assert bench.registry.asked == []
    bench.now += 0.1
    assert bench.look(needed("r.corp/a:1"), needed("r.corp/b:1")) == first
    assert len(bench.registry.asked) == 2


def test_what_is_new_is_asked_for_alone(bench: Bench) -> None:
    bench.look(needed("r.corp/a:1"))
    seen = bench.look(needed("r.corp/a:1"), needed("r.corp/a:1", "other"))
    assert bench.registry.asked == ["other r.corp/a:1"]
    assert set(seen.contents) == {("shop", "r.corp/a:1"), ("other", "r.corp/a:1")}


def test_a_refused_target_is_asked_for_at_every_look_and_its_pause_is_told(bench: Bench) -> None:
    bench.registry.missing.add("r.corp/b:1")
    for _ in range(2):
        seen = bench.look(needed("r.corp/a:1"), needed("r.corp/b:1"))
        assert set(seen.refused) == {needed("r.corp/b:1")}
        assert seen.again_in == 7.0
    assert bench.registry.asked == ["shop r.corp/b:1"]
    bench.registry.missing.clear()
    assert not bench.look(needed("r.corp/a:1"), needed("r.corp/b:1")).refused


@pytest.mark.parametrize(
    "terms", [Terms(Preflight.REQUIRED, edition="u 2"), Terms(Preflight.REQUIRED, ca="another", edition="u 1")]
)
def test_other_terms_ask_again(bench: Bench, terms: Terms) -> None:
    bench.look(needed("r.corp/a:1"))
    bench.look(needed("r.corp/a:1"), terms=terms)
    assert bench.registry.asked == ["shop r.corp/a:1"]


def test_what_is_needed_no_longer_is_forgotten(bench: Bench) -> None:
    bench.look(needed("r.corp/a:1"))
    assert bench.look() == Seen({}, {})
    bench.look(needed("r.corp/a:1"))
    assert bench.registry.asked == ["shop r.corp/a:1"]


def test_without_a_preflight_nothing_is_asked_or_kept(bench: Bench) -> None:
    assert bench.look(needed("r.corp/a:1"), terms=Terms(Preflight.SKIP)) == Seen({}, {})
    assert bench.registry.asked == []
