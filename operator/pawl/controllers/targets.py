"""Looks at every target that Pods need, side by side, and keeps what was seen apart from what was refused.

Neighbours: `sightings` asks one registry about one target, `decide.targets` says which are needed and what a refusal
holds back. Not here: tables.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pawl.api.imageoverride import Preflight
from pawl.controllers.sightings import Sighting, Sightings, Wish
from pawl.decide.digests import Content
from pawl.decide.targets import TRANSIENT, Needed, Refusal

FAULT_AGAIN: Final = 30.0
"""Seconds after which a CA that could not be used is read again."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an override says about the look at its targets: CA, what was seen before, and whether to look."""

    preflight: Preflight = Preflight.REQUIRED
    ca: str | None = field(default=None, repr=False)
    fault: Refusal | None = None
    """Why the CA cannot be used."""
    resolved: Mapping[str, Content] = field(default_factory=dict)
    """What references were seen to mean for this generation, from status.resolved."""
    edition: str = ""
    """Override and generation: a new one reads tags anew."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of all looks. `again_in`: seconds after which a refused target may be asked again, None for never."""

    contents: Mapping[tuple[str, str], Content]
    refused: Mapping[Needed, Refusal]
    again_in: float | None = None


class Targets:
    """Asks for targets; answers are shared by all who pull with the same credentials."""

    def __init__(self, sightings: Sightings) -> None:
        self._sightings = sightings

    async def look(self, wanted: Iterable[Needed], terms_of: Callable[[str], Terms], not_before: float = 0.0) -> Seen:
        """Look at all targets. A refusal asked for before `not_before` (monotonic seconds) is asked again."""
        asked = [(needed, terms_of(needed.override)) for needed in wanted]
        due = [(needed, terms) for needed, terms in asked if terms.preflight is Preflight.REQUIRED]
        seen = await asyncio.gather(*(self._look(needed, terms, not_before) for needed, terms in due))
        refused: dict[Needed, Refusal] = {}
        contents: dict[tuple[str, str], Content] = {}
        for (needed, terms), sighting in zip(due, seen, strict=True):
            known = _content(sighting) if sighting.ok else terms.resolved.get(needed.reference)
            if known is not None and (sighting.ok or sighting.reason in TRANSIENT):
                contents[(needed.namespace, needed.reference)] = known
            if not sighting.ok:
                refused[needed] = Refusal(sighting.reason, sighting.message)
        pauses = [sighting.again_in for sighting in seen if not sighting.ok]
        return Seen(contents, refused, min(pauses, default=None))

    async def _look(self, needed: Needed, terms: Terms, not_before: float) -> Sighting:
        if terms.fault is not None:
            fault = terms.fault
            return Sighting(needed.reference, False, fault.reason, fault.message, again_in=FAULT_AGAIN)
        wish = Wish(
            needed.namespace,
            needed.reference,
            needed.pull_secrets,
            needed.account,
            needed.platforms,
            terms.ca,
            needed.added,
            known.digest if (known := terms.resolved.get(needed.reference)) is not None else "",
            terms.edition,
        )
        return await self._sightings.see(wish, not_before)


def _content(sighting: Sighting) -> Content:
    return Content(sighting.reference, sighting.digest, dict(sighting.platforms), dict(sighting.configs))
