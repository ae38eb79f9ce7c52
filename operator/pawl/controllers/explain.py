"""What a digest is that nobody expected: a node names one as imageID, and its config may still be the wanted one.

A registry may hold one image under several digests (an index that was written again, a mirror that keeps one platform
only); equal configs mean equal content. Only a clear 404 is a no. A registry that is down, slow or shut knows nothing,
and so do we: that is `Unknown`, and never a reason to call a Pod wrong.
Neighbours: `sightings` says what was expected, `decide` compares. Not here: imageIDs as kubelets write them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pawl.api.errors import BadAnswer, Missing, Outcome, RegistryError, Unreachable
from pawl.cluster.refusals import one_line
from pawl.controllers.pullkeys import Puller, PullKeys
from pawl.controllers.sightings_ask import Manifests, Shown, Way, child_for
from pawl.controllers.sightings_pauses import Pauses
from pawl.controllers.sightings_words import MESSAGE_BYTES, failure_of
from pawl.decide.reference import UnparsableReference, parse
from pawl.registry.caches import Bounded, Flights

CAPACITY: Final = 4096
"""Explanations that are kept; what a digest means never changes."""


class Knowledge(StrEnum):
    """What is known of a digest."""

    EXPLAINED = "Explained"
    MISSING = "Missing"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Foreign:
    """A digest that a node runs.

    Attributes:
        puller: the Pod, whose keys are used.
        repository: where it is asked for, such as registry.corp:5000/rook/ceph.
        digest: the one that the node names.
        platform: os/arch[/variant] of the node.
        ca: PEM certificates for the registry, from spec.caSecretRef.

    """

    puller: Puller
    repository: str
    digest: str
    platform: str
    ca: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a digest is.

    Attributes:
        knowledge: Explained; Missing if the repository certainly lacks it; Unknown if it could not be asked.
        configs: digests of the configs that it stands for on the platform; none for an index without the platform.
        message: why it is not explained; empty if it is.
        silent: the host does not answer at all, whoever asks for whatever.

    """

    knowledge: Knowledge
    configs: frozenset[str] = frozenset()
    message: str = ""
    silent: bool = False


@dataclass(frozen=True, slots=True)
class _Question:
    way: Way
    digest: str
    platform: str

    @property
    def key(self) -> tuple[str, ...]:
        return (*self.way.identity, self.digest, self.platform)


class Explainer:
    """Explains digests. One for a term; `clock` gives monotonic seconds.

    `manifests` is its own: a host that does not answer takes its places, and preflight needs others.
    """

    def __init__(self, keys: PullKeys, manifests: Manifests, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._manifests = manifests
        self._pauses: Pauses[tuple[str, ...], Explanation] = Pauses(clock)
        self._known: Bounded[tuple[str, ...], Explanation] = Bounded(CAPACITY)
        self._flights: Flights[tuple[str, ...], Explanation] = Flights()

    async def explain(self, foreign: Foreign, not_before: float = 0.0) -> Explanation:
        """Return what a digest is. Raises nothing that a registry or a Secret may cause.

        A failure that was asked for before `not_before` (monotonic seconds) is asked again, whatever its pause.
        """
        try:
            question = await self._question(foreign)
        except (UnparsableReference, Outcome, RegistryError) as error:
            return Explanation(Knowledge.UNKNOWN, message=_message(foreign.repository, foreign.digest, str(error)))
        known = self._known.get(question.key) or self._pauses.held(question.key, not_before)
        return known or await self._flights.join(question.key, lambda: self._ask(question))

    async def _question(self, foreign: Foreign) -> _Question:
        repository = parse(f"{foreign.repository}@{foreign.digest}").repository
        way = self._manifests.way(repository, await self._keys.of(foreign.puller), foreign.ca)
        return _Question(way, foreign.digest, foreign.platform)

    async def _ask(self, question: _Question) -> Explanation:
        asked = self._pauses.clock()
        try:
            found = Explanation(Knowledge.EXPLAINED, await self._configs(question))
        except RegistryError as error:
            return self._failed(question, error, asked)
        self._known.put(question.key, found)
        return found

    def _failed(self, question: _Question, error: RegistryError, asked: float) -> Explanation:
        failure = failure_of(error, question.way.repository.host)
        knowledge = Knowledge.MISSING if isinstance(error, Missing) else Knowledge.UNKNOWN
        text = "the repository does not have it" if knowledge is Knowledge.MISSING else failure.text
        message = _message(str(question.way.repository), question.digest, text)
        silent = isinstance(error, Unreachable) and error.status is None
        explanation = Explanation(knowledge, message=message, silent=silent)
        self._pauses.fail(question.key, explanation, asked, failure.at_least)
        return explanation

    async def _configs(self, question: _Question) -> frozenset[str]:
        shown = await self._manifests.top(question.way, question.digest, platforms=False)
        if shown.manifest.config is not None:
            return frozenset({shown.manifest.config})
        return await self._of_index(question, shown)

    async def _of_index(self, question: _Question, shown: Shown) -> frozenset[str]:
        child = child_for(shown.manifest.children, question.platform)
        if child is None:
            return frozenset()
        try:
            return frozenset((await self._manifests.configs(question.way, shown, {question.platform: child})).values())
        except Missing as error:  # the digest is known here, only not what it is: no 404 of its own
            raise BadAnswer(str(error)) from error

    async def aclose(self) -> None:
        """Stop what runs. Nothing may be asked afterwards."""
        await self._flights.aclose()
        await self._manifests.aclose()


def _message(repository: str, digest: str, text: str) -> str:
    return one_line(f"{repository}@{digest}: {text}", MESSAGE_BYTES)
