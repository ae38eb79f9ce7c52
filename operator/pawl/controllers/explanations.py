"""What foreign digests are, asked once and kept: the registry's answers to what verdicts could not tell.

A host that does not answer is asked one question at a time: where the way out is shut, an override would otherwise
stand still for as long as all its questions take.

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

_Name = tuple[str, str] | Ask
_Terms = tuple[list[str], str | None]
"""Platforms of the nodes, and the CA of the override."""

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
        self._known: dict[_Name, digests.Explanation] = {}
        self._asked_at: dict[_Name, float] = {}
        self.version = 0

    @property
    def explained(self) -> tuple[int, Explained]:
        """The version, and all answers."""
        return self.version, self._known

    async def answer(self, asks: Iterable[Ask], platforms: Iterable[str], ca: str | None) -> bool:
        """Ask what is not known. Returns whether anything new was learned. Raises nothing."""
        hosts: dict[str, list[Ask]] = {}
        for ask in [ask for ask in sorted(set(asks)) if self._due(ask)][:AT_ONCE]:
            hosts.setdefault(ask.repository.partition("/")[0], []).append(ask)
        terms = sorted(set(platforms)) or [""], ca
        found = await asyncio.gather(*(self._of_host(due, terms) for due in hosts.values()))
        fresh = {_name(ask, answer): answer for answers in found for ask, answer in answers.items()}
        news = any(self._known.get(name) != answer for name, answer in fresh.items())
        self._asked_at |= dict.fromkeys(fresh, self._clock())
        self._keep(fresh)
        self.version += int(news)
        return news

    def _keep(self, fresh: dict[_Name, digests.Explanation]) -> None:
        """Keep answers; those that were asked for first go first."""
        known = {name: answer for name, answer in self._known.items() if name not in fresh} | fresh
        self._known = dict(list(known.items())[-self._capacity :])
        self._asked_at = {name: at for name, at in self._asked_at.items() if name in self._known}

    def _due(self, ask: Ask) -> bool:
        known = digests.explanation_of(self._known, ask)
        if known is None:
            return True
        return known.answer is not digests.Answer.KNOWN and self._clock() - self._asked_at[_name(ask, known)] >= AGAIN

    async def _of_host(self, asks: list[Ask], terms: _Terms) -> dict[Ask, digests.Explanation]:
        """Ask the rest only where the first question was answered, by whatever."""
        first, rest = asks[0], asks[1:]
        answer, silent = await self._ask(first, terms)
        if silent:
            return dict.fromkeys(asks, answer)
        found = await asyncio.gather(*(self._ask(ask, terms) for ask in rest))
        return {first: answer} | {ask: each for ask, (each, _) in zip(rest, found, strict=True)}

    async def _ask(self, ask: Ask, terms: _Terms) -> tuple[digests.Explanation, bool]:
        """Return what a digest is, and whether its host is silent."""
        puller = Puller(ask.namespace, ask.pull_secrets, (), ask.account)
        foreign = [Foreign(puller, ask.repository, ask.digest, platform, terms[1]) for platform in terms[0]]
        found = await asyncio.gather(*(self._explainer.explain(each) for each in foreign))
        configs = {
            each.platform: config
            for each, answer in zip(foreign, found, strict=True)
            for config in sorted(answer.configs)[:1]
        }
        return digests.Explanation(_worst(found), configs), any(each.silent for each in found)


def _name(ask: Ask, answer: digests.Explanation) -> _Name:
    """Return what an answer is kept under: what somebody is told to be missing says nothing to others."""
    return (ask.repository, ask.digest) if answer.answer is digests.Answer.KNOWN else ask


def _worst(found: Iterable[Explanation]) -> digests.Answer:
    """One platform that could not be asked about leaves the digest unexplained."""
    kinds = {each.knowledge for each in found}
    if Knowledge.UNKNOWN in kinds:
        return digests.Answer.UNREACHABLE
    return _ANSWERS[Knowledge.MISSING if Knowledge.MISSING in kinds else Knowledge.EXPLAINED]
