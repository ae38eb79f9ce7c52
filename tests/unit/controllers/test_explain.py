"""Explanations without sockets: explained, certainly missing, or unknown, and never one for the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.unit.cluster.memory_api import status
from tests.unit.controllers.test_sightings_flow import HOST, Stage, index

from pawl.api import errors
from pawl.api.errors import RegistryError
from pawl.controllers.explain import Explainer, Explanation, Foreign, Knowledge
from pawl.controllers.pullkeys import Puller

DIGEST = "sha256:" + "d" * 64
QUESTION = Foreign(Puller("shop"), f"{HOST}/web", DIGEST, "linux/arm64")


class Desk(Stage):
    def __init__(self) -> None:
        super().__init__()
        self.explainer = Explainer(self.keys, self.manifests, self.clock)

    async def ask(self, question: Foreign = QUESTION, not_before: float = 0.0) -> Explanation:
        return await self.explainer.explain(question, not_before)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    yield desk
    await desk.explainer.aclose()
    await desk.manifests.aclose()


async def test_a_manifest_is_its_config(desk: Desk) -> None:
    assert await desk.ask() == Explanation(Knowledge.EXPLAINED, frozenset({f"{DIGEST}-config"}))


async def test_an_index_is_the_config_of_the_nodes_platform(desk: Desk) -> None:
    desk.shelf.tags[DIGEST] = index("linux/amd64", "linux/arm64")
    assert (await desk.ask()).configs == {"sha256:linux/arm64-config"}
    assert (await desk.ask(replace(QUESTION, platform="linux/amd64"))).configs == {"sha256:linux/amd64-config"}


async def test_an_index_without_the_platform_is_explained_by_nothing(desk: Desk) -> None:
    desk.shelf.tags[DIGEST] = index("linux/amd64")
    assert await desk.ask() == Explanation(Knowledge.EXPLAINED)


async def test_an_explanation_is_kept_for_ever(desk: Desk) -> None:
    desk.shelf.open.clear()
    asking = asyncio.gather(*(desk.ask() for _ in range(100)))
    await asyncio.sleep(0)
    desk.shelf.open.set()
    await asking
    desk.clock.now += 1_000_000
    await desk.ask(not_before=desk.clock.now)
    assert desk.shelf.asked == {DIGEST: 1}


UNKNOWN: list[RegistryError] = [
    errors.Unauthorized("no"),
    errors.Denied("no"),
    errors.Unreachable("no"),
    errors.Untrusted("no"),
    errors.BadAnswer("no"),
    errors.TooLarge("no"),
    errors.ForbiddenTarget("no"),
    errors.ForeignRealm("no"),
    errors.RateLimited("no", retry_after=900, told=True),
]


@pytest.mark.parametrize("error", UNKNOWN, ids=lambda error: type(error).__name__)
async def test_only_a_clear_404_is_a_no(desk: Desk, error: RegistryError) -> None:
    desk.shelf.fails[DIGEST] = error
    found = await desk.ask()
    assert (found.knowledge, found.configs) == (Knowledge.UNKNOWN, frozenset())
    assert found.silent is isinstance(error, errors.Unreachable)
    assert found.message.startswith(f"{HOST}/web@{DIGEST}: ")


async def test_a_digest_that_is_not_there_is_missing_and_asked_for_again_after_a_pause(desk: Desk) -> None:
    desk.shelf.fails[DIGEST] = errors.Missing("no such manifest", status=404)
    missing = await desk.ask()
    assert (missing.knowledge, missing.message) == (
        Knowledge.MISSING,
        f"{HOST}/web@{DIGEST}: the repository does not have it",
    )
    desk.shelf.fails.clear()
    assert await desk.ask() == missing
    desk.clock.now += 30
    assert (await desk.ask()).knowledge is Knowledge.EXPLAINED
    assert desk.shelf.asked == {DIGEST: 2}


async def test_a_host_that_fails_for_one_repository_is_not_silent(desk: Desk) -> None:
    desk.shelf.fails[DIGEST] = errors.Unreachable("HTTP 500", status=500)
    assert not (await desk.ask()).silent


async def test_on_demand_there_is_no_pause(desk: Desk) -> None:
    desk.shelf.fails[DIGEST] = errors.Unreachable("down")
    await desk.ask()
    desk.shelf.fails.clear()
    desk.clock.now += 1
    assert (await desk.ask(not_before=desk.clock.now)).knowledge is Knowledge.EXPLAINED


async def test_an_index_whose_child_is_gone_is_not_missing(desk: Desk) -> None:
    """The digest is there; that its child is not says nothing about what the node runs."""
    desk.shelf.tags[DIGEST] = index("linux/arm64")
    desk.shelf.fails["sha256:linux/arm64"] = errors.Missing("no such manifest", status=404)
    assert (await desk.ask()).knowledge is Knowledge.UNKNOWN


@pytest.mark.parametrize(
    "question",
    [replace(QUESTION, digest="sha256:12"), replace(QUESTION, repository=f"{HOST}:99999/web")],
    ids=["no digest", "no host"],
)
async def test_what_cannot_be_asked_is_unknown(desk: Desk, question: Foreign) -> None:
    found = await desk.ask(question)
    assert (found.knowledge, bool(found.message)) == (Knowledge.UNKNOWN, True)
    assert desk.shelf.asked == {}


async def test_keys_that_cannot_be_read_are_unknown(desk: Desk) -> None:
    async def busy(_request: object) -> object:
        return status(503, "Busy", "later")

    desk.api.hook = busy  # type: ignore[assignment]
    assert (await desk.ask(replace(QUESTION, puller=Puller("shop", ("regcred",))))).knowledge is Knowledge.UNKNOWN
    assert desk.shelf.asked == {}
