"""The committed fixtures look as what the running operator writes today; with PAWL_WRITE_FIXTURES they are renewed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.operators import Operator, Shop
from tests.cluster.override_scene import keeper_of, scene_of
from tests.gitops import override_scenes, policy_scenes
from tests.gitops.fixtures import EXPECTED, HOME, NAMESPACE, load, normalised, save, shape
from tests.gitops.forms import forms, read
from tests.gitops.kstatus import kstatus
from tests.support.registry import FakeRegistry

from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(200)]

WRITE = bool(os.environ.get("PAWL_WRITE_FIXTURES"))
OVERRIDES = [stem for stem in EXPECTED if "override" in stem]


@pytest.fixture(scope="module")
def pawl(cluster: Cluster, installed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    assert installed
    with keeper_of(cluster, tmp_path_factory.mktemp("pawl")) as running:
        yield running


def judge(stem: str, found: Json) -> None:
    """Renew the fixture where that was asked for, and compare it with what was found."""
    if WRITE:
        save(HOME / f"{stem}.yaml", found)
    assert kstatus(found).value == EXPECTED[stem].kstatus
    assert shape(found) == shape(load(stem))


def test_a_policy_that_nobody_saw(api: Api, namespace: str, installed: list[str]) -> None:
    assert installed
    judge("imagepolicy-new", normalised(policy_scenes.untouched(api, namespace), **{namespace: NAMESPACE}))


@pytest.mark.parametrize("stem", policy_scenes.PLAYS)
async def test_a_policy(api: Api, namespace: str, pawl: Operator, stem: str) -> None:
    async with FakeRegistry() as registry:
        found = await policy_scenes.PLAYS[stem](policy_scenes.Counter(Shop(api, namespace, pawl), registry))
    judge(stem, normalised(found, **{namespace: NAMESPACE}))


@pytest.mark.parametrize("stem", OVERRIDES)
def test_an_override(api: Api, cluster: Cluster, tmp_path: Path, pawl: Operator, stem: str) -> None:
    kind, _, play = stem.partition("-")
    with scene_of(api, cluster, tmp_path, pawl) as scene:
        wish = override_scenes.Wish(scene, kind)
        try:
            found = override_scenes.PLAYS[play](wish)
        finally:
            wish.delete()
    place = scene.stage.namespace
    judge(stem, normalised(found, **{wish.name: override_scenes.NAME, place: NAMESPACE}))


def test_what_is_made_of_the_fixtures() -> None:
    """Last, because it is made of all of them."""
    made = forms()
    for path, form in made.items() if WRITE else ():
        save(path, form)
    assert {path: read(path) for path in made} == made
