"""What foreign digests are, asked once and kept: the registry's answers to what verdicts could not tell.

Neighbours: `explain` asks one registry, `decide.verdicts` says which digests and judges by the answers. Not here:
imageIDs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from pawl.controllers.explain import Explainer, Explanation, Foreign, Knowledge
from pawl.controllers.pullkeys import Puller
from pawl.decide import digests
from pawl.decide.digests import Ask, Explained

AT_ONCE: Final = 32
"""Digests asked for in one round; the rest follow in the next."""
CAPACITY: Final = 4096
"""Answers that are kept."""
AGAIN: Final = 60.0
"""Seconds after which an unanswered question is asked again."""

_ANSWERS: Final = {
    Knowledge.EXPLAINED: digests.Answer.KNOWN,
    Knowledge.MISSING: digests.Answer.MISSING,
    Knowledge.UNKNOWN: digests.Answer.UNREACHABLE,
}


class Explanations:
    """Keeps answers. `clock` gives monotonic seconds; `version` grows whenever an answer is new."""

    def __init__(self, explainer: Explainer, clock: Callable[[], float], capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._explainer = explainer
        self._clock = clock
        self._known: dict[tuple[str, str], digests.Explanation] = {}
        self._asked_at: dict[tuple[str, str], float] = {}
        self.version = 0

    @property
    def explained(self) -> tuple[int, Explained]:
        """The version, and all answers."""
        return self.version, self._known

    async def answer(self, asks: Iterable[Ask], platforms: Iterable[str], ca: str | None) -> bool:
        """Ask what is not known. Returns whether anything new was learned. Raises nothing."""
        due = [ask for ask in sorted(set(asks)) if self._due((ask.repository, ask.digest))][:AT_ONCE]
        found = await asyncio.gather(*(self._ask(ask, sorted(set(platforms)), ca) for ask in due))
        news, fresh = False, dict[tuple[str, str], digests.Explanation]()
        for ask, answer in zip(due, found, strict=True):
            name = (ask.repository, ask.digest)
            self._asked_at[name] = self._clock()
            news |= self._known.get(name) != answer
            fresh[name] = answer
        self._keep(fresh)
        self.version += int(news)
        return news

    def _keep(self, fresh: dict[tuple[str, str], digests.Explanation]) -> None:
        """Keep answers; those that were asked for first go first."""
        known = {name: answer for name, answer in self._known.items() if name not in fresh} | fresh
        self._known = dict(list(known.items())[-self._capacity :])
        self._asked_at = {name: at for name, at in self._asked_at.items() if name in self._known}

    def _due(self, name: tuple[str, str]) -> bool:
        known = self._known.get(name)
        if known is None:
            return True
        return known.answer is not digests.Answer.KNOWN and self._clock() - self._asked_at[name] >= AGAIN

    async def _ask(self, ask: Ask, platforms: list[str], ca: str | None) -> digests.Explanation:
        puller = Puller(ask.namespace, ask.pull_secrets, (), ask.account)
        foreign = [Foreign(puller, ask.repository, ask.digest, platform, ca) for platform in platforms or [""]]
        found = await asyncio.gather(*(self._explainer.explain(each) for each in foreign))
        configs = {
            each.platform: config
            for each, answer in zip(foreign, found, strict=True)
            for config in sorted(answer.configs)[:1]
        }
        return digests.Explanation(_worst(found), configs)


def _worst(found: Iterable[Explanation]) -> digests.Answer:
    """One platform that could not be asked about leaves the digest unexplained."""
    kinds = {each.knowledge for each in found}
    if Knowledge.UNKNOWN in kinds:
        return digests.Answer.UNREACHABLE
    return _ANSWERS[Knowledge.MISSING if Knowledge.MISSING in kinds else Knowledge.EXPLAINED]
