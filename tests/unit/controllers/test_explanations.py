"""What foreign digests are: asked once, again where nobody answered, bounded."""

from __future__ import annotations

from tests.unit.controllers.override_doubles import digest
from tests.unit.controllers.override_whole import Explains

from pawl.controllers.explanations import AGAIN, AT_ONCE, Explanations
from pawl.decide.digests import Answer, Ask, Explanation, explanation_of

REPOSITORY = "r.corp/rook/ceph"
CAPACITY = 100


class Asked:
    def __init__(self, **configs: str) -> None:
        self.time = 0.0
        self.explains = Explains({digest(name): config for name, config in configs.items()})
        self.it = Explanations(self.explains, lambda: self.time, CAPACITY)  # type: ignore[arg-type]

    async def answer(self, *names: str, platforms: tuple[str, ...] = ("linux/amd64",)) -> bool:
        return await self.it.answer([Ask(REPOSITORY, digest(name)) for name in names], platforms, None)

    def known(self, name: str) -> Explanation:
        found = explanation_of(self.it.explained[1], Ask(REPOSITORY, digest(name)))
        assert found is not None
        return found


async def test_an_answer_is_kept_for_good_and_is_news_once() -> None:
    asked = Asked(a="sha256:config")
    assert await asked.answer("a")
    assert asked.known("a") == Explanation(Answer.KNOWN, {"linux/amd64": "sha256:config"})
    asked.time += 10 * AGAIN
    assert not await asked.answer("a")
    assert (len(asked.explains.asked), asked.it.version) == (1, 1)


async def test_what_is_missing_or_unanswered_is_asked_again_after_a_pause() -> None:
    asked = Asked()
    await asked.answer("a")
    assert asked.known("a").answer is Answer.MISSING
    await asked.answer("a")
    assert len(asked.explains.asked) == 1
    asked.time, asked.explains.silent = AGAIN, True
    assert await asked.answer("a")
    assert asked.known("a").answer is Answer.UNREACHABLE
    asked.time += AGAIN
    assert not await asked.answer("a")
    assert asked.it.version == 2


async def test_a_platform_that_could_not_be_asked_about_leaves_the_digest_unexplained() -> None:
    asked = Asked(a="c")
    await asked.answer("a", platforms=("linux/arm64", "linux/amd64"))
    assert asked.known("a").configs == {"linux/amd64": "c", "linux/arm64": "c"}
    assert [foreign.platform for foreign in asked.explains.asked] == ["linux/amd64", "linux/arm64"]


async def test_a_cluster_without_nodes_asks_for_any_platform() -> None:
    asked = Asked(a="c")
    await asked.answer("a", platforms=())
    assert asked.known("a").configs == {"": "c"}


async def test_a_round_is_bounded_and_so_is_the_memory() -> None:
    asked = Asked()
    names = [f"d{at}" for at in range(AT_ONCE + 5)]
    await asked.answer(*names)
    assert len(asked.explains.asked) == AT_ONCE
    await asked.answer(*names)
    assert len(asked.explains.asked) == AT_ONCE + 5
    for begin in range(0, CAPACITY + 64, AT_ONCE):
        await asked.answer(*(f"x{at}" for at in range(begin, begin + AT_ONCE)))
    assert len(asked.it.explained[1]) == len(asked.it._asked_at) == CAPACITY


async def test_what_was_handed_out_does_not_change_afterwards() -> None:
    asked = Asked(a="c", b="c")
    await asked.answer("a")
    version, known = asked.it.explained
    await asked.answer("b")
    assert (version, len(known)) == (1, 1)


async def test_a_host_that_does_not_answer_is_asked_one_question_and_others_all() -> None:
    """Without a way out of the cluster an override would stand still for as long as all its questions take."""
    asked = Asked()
    asked.explains.silent = True
    names = [f"d{at}" for at in range(10)]
    hosts = ("docker.io/library/web", REPOSITORY)
    asks = [Ask(host, digest(name)) for name in names for host in hosts]
    assert await asked.it.answer(asks, ("linux/amd64",), None)
    assert sorted(foreign.repository for foreign in asked.explains.asked) == sorted(hosts)
    assert {found.answer for found in asked.it.explained[1].values()} == {Answer.UNREACHABLE}
    asked.time, asked.explains.silent = AGAIN, False
    assert await asked.it.answer(asks, ("linux/amd64",), None)
    assert len(asked.explains.asked) == len(hosts) + len(asks)


async def test_what_strangers_are_told_to_be_missing_is_asked_again_with_other_keys() -> None:
    """A private repository may be a 404 to those without keys: their Mismatch is not everybody's."""
    asked = Asked()
    stranger, owner = (Ask(REPOSITORY, digest("a"), namespace) for namespace in ("a-stranger", "owner"))
    await asked.it.answer([stranger], ("linux/amd64",), None)
    asked.explains.configs[digest("a")] = "sha256:config"
    assert await asked.it.answer([stranger, owner], ("linux/amd64",), None)
    assert [foreign.puller.namespace for foreign in asked.explains.asked] == ["a-stranger", "owner"]
    for ask in (stranger, owner):
        found = explanation_of(asked.it.explained[1], ask)
        assert found is not None
        assert found.answer is Answer.KNOWN
