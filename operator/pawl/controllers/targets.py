"""Looks at every target that Pods need, side by side, and keeps what was seen apart from what was refused.

Neighbours: `sightings` asks one registry about one target, `decide.targets` says which are needed and what a refusal
holds back. Not here: tables.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pawl.api.imageoverride import Preflight
from pawl.controllers.sightings import Sighting, Sightings, Wish
from pawl.decide.digests import Content
from pawl.decide.targets import Needed, Refusal


@dataclass(frozen=True, slots=True)
class Terms:
    """What an override says about the look at its targets: CA, pinned digests by reference, and whether to look."""

    preflight: Preflight = Preflight.REQUIRED
    ca: str | None = field(default=None, repr=False)
    fault: Refusal | None = None
    """Why the CA cannot be used."""
    pinned: Mapping[str, str] = field(default_factory=dict)
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
        refused = {
            needed: Refusal(sighting.reason, sighting.message)
            for (needed, _), sighting in zip(due, seen, strict=True)
            if not sighting.ok
        }
        contents = {
            (needed.namespace, needed.reference): _content(sighting)
            for (needed, _), sighting in zip(due, seen, strict=True)
            if sighting.ok
        }
        pauses = [sighting.again_in for sighting in seen if not sighting.ok]
        return Seen(contents, refused, min(pauses, default=None))

    async def _look(self, needed: Needed, terms: Terms, not_before: float) -> Sighting:
        if terms.fault is not None:
            return Sighting(needed.reference, ok=False, reason=terms.fault.reason, message=terms.fault.message)
        wish = Wish(
            needed.namespace,
            needed.reference,
            needed.pull_secrets,
            needed.account,
            needed.platforms,
            terms.ca,
            needed.added,
            terms.pinned.get(needed.reference, ""),
            terms.edition,
        )
        return await self._sightings.see(wish, not_before)


def _content(sighting: Sighting) -> Content:
    return Content(sighting.reference, sighting.digest, dict(sighting.platforms), dict(sighting.configs))
