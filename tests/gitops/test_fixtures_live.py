"""The committed fixtures look as what the running operator writes today; with PAWL_WRITE_FIXTURES they are renewed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from tests.cluster.api import Api, Json
from tests.gitops import override_scenes, policy_scenes
from tests.gitops.fixtures import EXPECTED, HOME, NAMESPACE, load, normalised, save, shape
from tests.gitops.forms import forms, read
from tests.gitops.kstatus import kstatus
from tests.gitops.places import Place, on_place
from tests.support.registry import FakeRegistry

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(200)]

WRITE = bool(os.environ.get("PAWL_WRITE_FIXTURES"))
PATIENCE = 30.0
OVERRIDES = [stem for stem in EXPECTED if "override" in stem]


def judge(stem: str, found: Json) -> None:
    """Renew the fixture where that was asked for, and compare it with what was found."""
    if WRITE:
        save(HOME / f"{stem}.yaml", found)
    assert kstatus(found).value == EXPECTED[stem].kstatus
    assert shape(found) == shape(load(stem))


def test_a_policy_that_nobody_saw(api: Api, namespace: str, installed: list[str]) -> None:
    assert installed
    judge("imagepolicy-new", normalised(policy_scenes.untouched(api, namespace), **{namespace: NAMESPACE}))


@on_place(*policy_scenes.PLAYS)
async def test_a_policy(place: Place, stem: str) -> None:
    async with FakeRegistry() as registry:
        found = await policy_scenes.PLAYS[stem](policy_scenes.Counter(place.shop, registry))
    judge(stem, normalised(found, **{place.namespace: NAMESPACE}))


@on_place(*OVERRIDES)
def test_an_override(place: Place, stem: str) -> None:
    kind, _, play = stem.partition("-")
    with place.scene() as scene:
        wish = override_scenes.Wish(scene, kind)
        names = {wish.name: override_scenes.NAME, scene.stage.namespace: NAMESPACE}
        try:
            found = normalised(override_scenes.PLAYS[play](wish), **names)
            found = found if WRITE else settled(stem, found, lambda: normalised(wish.read(), **names))
        finally:
            wish.delete()
    judge(stem, found)


def settled(stem: str, found: Json, again: Callable[[], Json]) -> Json:
    """Read once more while fields that come a look later are not there yet: those of Pods that start late."""
    end = time.monotonic() + PATIENCE
    while shape(found) != shape(load(stem)) and time.monotonic() < end:
        time.sleep(0.2)
        found = again()
    return found


def test_what_is_made_of_the_fixtures() -> None:
    """Last, because it is made of all of them."""
    made = forms()
    for path, form in made.items() if WRITE else ():
        save(path, form)
    assert {path: read(path) for path in made} == made
