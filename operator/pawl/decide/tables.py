"""What a table makes of images: the judgement that the gate's CEL, the webhook and the controllers share.

How a table is read stands in `api.imagerules`; this is that text as functions. Compilation does the work once: every
reference is looked up once a table, later only the conditions of the few entries on its ladder are asked.
Neighbours: `decide.subjects` holds conditions, `decide.tables_compiled` what is looked up, `decide.rulebook` makes the
tables. Not here: where images stand in a manifest (`decide.places`), whether a target exists.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from pawl.api.imagerules import Entry
from pawl.decide.objects import ImageAt, PodSpec
from pawl.decide.reference import Reference
from pawl.decide.subjects import Guard, Subject, kind_of, subject_of
from pawl.decide.tables_compiled import CompiledTable, Layer, Match, Outcome, Ruling

__all__ = [
    "Claim",
    "CompiledTable",
    "Guard",
    "Layer",
    "Match",
    "Outcome",
    "Rewritten",
    "Ruling",
    "Subject",
    "claims",
    "kind_of",
    "matches",
    "rewrite_image",
    "rewrite_pod",
    "subject_of",
]

GROUPS: Final = ("containers", "initContainers", "ephemeralContainers", "volumes")
"""The order of the images of a Pod, where an order is needed: that of the pull Secrets."""


class Rewritten(msgspec.Struct, frozen=True):
    """A Pod spec after the table: the images and rulings in the order of the spec, and the pull Secrets to append."""

    images: tuple[ImageAt, ...]
    rulings: tuple[Ruling, ...]
    added_secrets: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether any image or the list of pull Secrets differs from what was there."""
        return bool(self.added_secrets) or any(ruling.outcome == "Rewritten" for ruling in self.rulings)


class Claim(msgspec.Struct, frozen=True):
    """The entry under whose target an image stands. `stale`: it has another tag or digest than the entry gives."""

    entry: Entry
    stale: bool


def rewrite_image(table: CompiledTable, subject: Subject, place: ImageAt, layer: Layer = "pods") -> Ruling:
    """Say what becomes of one image. The ruling's image is the text as it was, unless the outcome is Rewritten."""
    found = table.find(place.image)
    for match in found.matches:
        if match.guard is None or match.guard.holds(subject, place):
            return _exempt(table, subject, match, place.image) or match.rulings[layer]
    return found.unmatched


def rewrite_pod(table: CompiledTable, subject: Subject, spec: PodSpec, *, layer: Layer) -> Rewritten:
    """Say what becomes of a Pod spec. A spec labelled pawl.dev/ignore stays; templates are given no pull Secrets."""
    if spec.ignored:
        return Rewritten(spec.images, tuple(Ruling(at.image, None, None, "Ignored") for at in spec.images))
    rulings = tuple([rewrite_image(table, subject, place, layer) for place in spec.images])
    images = tuple([_set(place, ruling) for place, ruling in zip(spec.images, rulings, strict=True)])
    secrets = _secrets(table, subject, images, spec.pull_secrets) if layer == "pods" and table.gives_secrets else ()
    return Rewritten(images, rulings, secrets)


def claims(table: CompiledTable, subject: Subject, image: ImageAt) -> Claim | None:
    """Find the entry under whose target this image stands already, as a child does that arrives rewritten.

    The most specific target decides; of its entries one whose tag and digest fit goes before one that is stale.
    """
    reference = table.find(image.image).reference
    if reference is None:
        return None
    for entries in table.targets(reference):
        standing = [Claim(entry, _stale(entry, reference)) for entry, guard in entries if guard.holds(subject, image)]
        if standing:
            return min(standing, key=lambda claim: claim.stale)
    return None


def matches(table: CompiledTable, subject: Subject, place: ImageAt) -> tuple[Match, ...]:
    """Return every entry whose conditions hold for this image, in the order of precedence: the first one decides."""
    found = table.all_matches(place.image)
    return tuple(match for match in found if match.guard is None or match.guard.holds(subject, place))


def _exempt(table: CompiledTable, subject: Subject, match: Match, image: str) -> Ruling | None:
    if not table.exempt or match.rulings["pods"].outcome == "Same":
        return None
    reason = next((table.exempt[uid] for uid in sorted(subject.owner_uids) if uid in table.exempt), None)
    return None if reason is None else Ruling(image, match.source, match.entry, "Exempt", reason)


def _set(place: ImageAt, ruling: Ruling) -> ImageAt:
    return ImageAt(place.group, place.name, ruling.image) if ruling.outcome == "Rewritten" else place


def _secrets(
    table: CompiledTable, subject: Subject, images: Iterable[ImageAt], present: tuple[str, ...]
) -> tuple[str, ...]:
    """Name the pull Secrets to append, in the order of the images, no name twice."""
    names: dict[str, None] = {}
    for place in sorted(images, key=lambda place: GROUPS.index(place.group)):
        for guard, given in table.find(place.image).secrets:
            if guard.holds(subject, place):
                names |= dict.fromkeys(given)
    return tuple(name for name in names if name not in present)


def _stale(entry: Entry, reference: Reference) -> bool:
    if entry.tag is None and entry.digest is None:
        return False
    return (entry.tag, entry.digest) != (reference.tag, reference.digest)
