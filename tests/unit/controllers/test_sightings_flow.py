"""Sightings without sockets: who waits for whom, how many at a time, what is remembered."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest
from tests.support.registry_client import HERE, Clock
from tests.unit.cluster.memory_api import MemoryApi, status

from pawl.api import errors
from pawl.api.errors import RegistryError
from pawl.cluster.client import Options
from pawl.cluster.secrets import SecretReader
from pawl.controllers.pullkeys import PullKeys
from pawl.controllers.sightings import Sightings, Wish
from pawl.controllers.sightings_ask import MAX_PLATFORMS, Manifests
from pawl.controllers.sightings_words import MESSAGE_BYTES
from pawl.registry.manifests import OCI_INDEX, OCI_MANIFEST, Child, Manifest
from pawl.registry.targets import Access

HOST = "registry.corp"
AMD, ARM = frozenset({"linux/amd64"}), frozenset({"linux/amd64", "linux/arm64"})


def index(*platforms: str, name: str = "index") -> Manifest:
    children = tuple(Child(f"sha256:{platform}", platform) for platform in platforms)
    return Manifest(f"sha256:{name}", OCI_INDEX, 1, platforms, children)


@dataclass
class Shelf:
    """A registry of manifests by tag or digest; every digest that is asked for is an image of its own."""

    tags: dict[str, Manifest] = field(default_factory=dict)
    fails: dict[str, RegistryError] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    busy: int = 0
    most: int = 0
    change: asyncio.Event = field(default_factory=asyncio.Event)

    async def reached(self, busy: int) -> None:
        while self.busy < busy:
            self.change.clear()
            await self.change.wait()

    async def get_manifest(
        self, _access: Access, _path: str, reference: str, *, want_platforms: bool = False
    ) -> Manifest:
        del want_platforms
        self.asked[reference] += 1
        self.busy += 1
        self.most = max(self.most, self.busy)
        self.change.set()
        try:
            await self.open.wait()
        finally:
            self.busy -= 1
        if reference in self.fails:
            raise self.fails[reference]
        if reference in self.tags:
            return self.tags[reference]
        return Manifest(reference, OCI_MANIFEST, 1, None, config=f"{reference}-config")


class Stage:
    def __init__(self) -> None:
        self.shelf = Shelf({"v1": index("linux/amd64", "linux/arm64")})
        self.shelf.open.set()
        self.api = MemoryApi()
        self.api.put("/api/v1/namespaces/shop/serviceaccounts/default", {"metadata": {}})
        self.clock = Clock()
        self.keys = PullKeys(SecretReader(self.api.cluster(options=Options(tries=1)), ttl=60))
        self.manifests = Manifests(self.shelf, HERE)
        self.eyes = Sightings(self.keys, self.manifests, self.clock)

    def wish(self, rest: str = "web:v1", platforms: frozenset[str] = AMD) -> Wish:
        return Wish("shop", f"{HOST}/{rest}", platforms=platforms)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    await stage.eyes.aclose()


async def settle(shelf: Shelf, busy: int) -> None:
    """Wait until so many are asked, and then as long as further ones would need to get there."""
    async with asyncio.timeout(5):
        await shelf.reached(busy)
    for _ in range(20):
        await asyncio.sleep(0)


async def test_at_most_eight_are_asked_at_a_time(stage: Stage) -> None:
    stage.shelf.open.clear()
    stage.shelf.tags |= {f"v{n}": index("linux/amd64", name=f"i{n}") for n in range(50)}
    asking = asyncio.gather(*(stage.eyes.see(stage.wish(f"web:v{n}")) for n in range(50)))
    await settle(stage.shelf, 8)
    assert stage.shelf.most == 8
    stage.shelf.open.set()
    assert all(seen.ok for seen in await asking)
    assert stage.shelf.most == 8


async def test_wishes_for_other_platforms_share_the_index_and_the_children(stage: Stage) -> None:
    stage.shelf.open.clear()
    asking = asyncio.gather(*(stage.eyes.see(stage.wish(platforms=which)) for which in (AMD, ARM) * 10))
    await settle(stage.shelf, 1)
    stage.shelf.open.set()
    await asking
    assert stage.shelf.asked == {"v1": 1, "sha256:linux/amd64": 1, "sha256:linux/arm64": 1}


async def test_who_goes_away_takes_nothing_from_the_others(stage: Stage) -> None:
    stage.shelf.open.clear()
    first = asyncio.create_task(stage.eyes.see(stage.wish()))
    second = asyncio.create_task(stage.eyes.see(stage.wish()))
    await settle(stage.shelf, 1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    stage.shelf.open.set()
    assert (await second).ok
    assert stage.shelf.asked["v1"] == 1


async def test_a_tag_and_its_digest(stage: Stage) -> None:
    digest = "sha256:" + "a" * 64
    await stage.eyes.see(stage.wish(f"web:v1@{digest}"))
    await stage.eyes.see(stage.wish("web"))
    await stage.eyes.see(replace(stage.wish(), pinned=digest))
    assert set(stage.shelf.asked) == {digest, "latest"}


async def test_without_nodes_any_image_will_do(stage: Stage) -> None:
    seen = await stage.eyes.see(stage.wish(platforms=frozenset()))
    assert (seen.ok, seen.digest, seen.platforms, seen.configs) == (True, "sha256:index", {}, {})
    assert stage.shelf.asked == {"v1": 1}


async def test_the_children_of_one_question_are_bounded(stage: Stage) -> None:
    many = frozenset(f"linux/cpu{n}" for n in range(MAX_PLATFORMS + 1))
    stage.shelf.tags["v1"] = index(*many)
    assert (await stage.eyes.see(stage.wish(platforms=many))).reason == "TooLarge"
    assert stage.shelf.asked == {}
    assert (await stage.eyes.see(stage.wish(platforms=frozenset(sorted(many)[1:])))).ok


async def test_a_child_that_fails_is_asked_again_and_the_others_are_not(stage: Stage) -> None:
    stage.shelf.fails["sha256:linux/arm64"] = errors.Unreachable("registry.corp is down")
    assert (await stage.eyes.see(stage.wish(platforms=ARM))).reason == "Unreachable"
    stage.shelf.fails.clear()
    stage.clock.now += 30
    assert (await stage.eyes.see(stage.wish(platforms=ARM))).ok
    assert stage.shelf.asked["sha256:linux/amd64"] == 1


async def test_secrets_that_may_not_be_read_are_a_reason_and_not_a_stranger(stage: Stage) -> None:
    async def refuse(_request: object) -> object:
        return status(403, "Forbidden", "no")

    stage.api.hook = refuse  # type: ignore[assignment]
    seen = await stage.eyes.see(replace(stage.wish(), pull_secrets=("regcred",)))
    assert (seen.ok, seen.reason) == (False, "MissingRight")
    assert stage.shelf.asked == {}


@pytest.mark.parametrize("image", ["", "host.io/UPPER", "a@sha256:12", "registry.corp:99999/web"])
async def test_what_is_no_reference_is_refused_without_a_question(stage: Stage, image: str) -> None:
    seen = await stage.eyes.see(Wish("shop", image))
    assert (seen.ok, seen.reason) == (False, "InvalidImage")
    assert stage.shelf.asked == {}


async def test_a_broken_secret_fails_as_it_does_on_the_node(stage: Stage) -> None:
    data = {".dockerconfigjson": base64.b64encode(b"hunter-two").decode()}
    body = {"metadata": {}, "type": "kubernetes.io/dockerconfigjson", "data": data}
    stage.api.put("/api/v1/namespaces/shop/secrets/broken", body)
    seen = await stage.eyes.see(replace(stage.wish(), pull_secrets=("broken",)))
    assert seen.reason == "SecretInvalid"
    assert seen.message.startswith(f"{HOST}/web:v1: Secret broken: ")
    assert "hunter-two" not in seen.message
    assert stage.shelf.asked == {}


async def test_what_is_no_image_runs_nowhere(stage: Stage) -> None:
    stage.shelf.tags["chart"] = Manifest("sha256:chart", OCI_MANIFEST, 1, (), config="sha256:c")
    seen = await stage.eyes.see(stage.wish("web:chart"))
    assert (seen.reason, "no image that a node runs" in seen.message) == ("PlatformMismatch", True)


async def test_an_index_in_an_index_is_no_answer(stage: Stage) -> None:
    stage.shelf.tags["sha256:linux/amd64"] = index("linux/amd64")
    assert (await stage.eyes.see(stage.wish())).reason == "BadAnswer"


async def test_a_message_is_one_short_line(stage: Stage) -> None:
    stage.shelf.fails["v1"] = errors.BadAnswer("broken\nline " * 100)
    seen = await stage.eyes.see(stage.wish())
    assert len(seen.message.encode()) <= MESSAGE_BYTES
    assert "\n" not in seen.message
