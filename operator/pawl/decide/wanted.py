"""Which images a workload is to run by the rules of one override, and the hash of them.

Neighbours: `decide.tables` says what a table makes of an image; `decide.assess` holds Pods to the result.
Not here: Pods.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from pawl.api.imagerules import Entry
from pawl.decide.objects import Group, ImageAt, PodSpec
from pawl.decide.reference import parse
from pawl.decide.tables import Claim, CompiledTable, Ruling, Subject, claims, rewrite_image
from pawl.decide.tables_compiled import suffix

HASH_LENGTH = 16
"""Hexadecimal digits of the hashes in annotations and plans."""


class WantedImage(msgspec.Struct, frozen=True, gc=False):
    """One image place that a rule of the override decides: what the template says, and what Pods are to run.

    `by_target`: the template names the target already (its maker read it from a rewritten Pod). `outdated`: it does,
    but with another tag or digest than the rule now gives, so that only its maker, or a rewritten template, mends it.
    """

    group: Group
    name: str
    written: str
    wanted: str
    rule: int = 0
    by_target: bool = False
    outdated: bool = False

    @property
    def place(self) -> tuple[Group, str]:
        """Group and name of the container."""
        return self.group, self.name


def hash_of(parts: Iterable[str]) -> str:
    """Return 16 hexadecimal digits of sha256 over sorted parts, each with its length: no two sets read the same."""
    text = "".join(f"{len(part)}:{part}" for part in sorted(parts))
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def images_hash(images: Iterable[ImageAt]) -> str:
    """Return the wanted hash of a template: over every place with its final image, whoever decides it.

    All places count, so that two overrides that decide different containers of one workload write the same annotation.
    """
    return hash_of(f"{image.group}/{image.name}={image.image}" for image in images)


class Template(msgspec.Struct, frozen=True):
    """A Pod template, or a bare Pod, after the rules.

    `images` are all places with their final image, `wanted` those that the override decides, `stored` those that Pawl
    is to hold in the stored template for any override (`mine`: it wrote there before), `notes` the places that a rule
    of the override matched and left alone: the ruling says why.
    """

    images: tuple[ImageAt, ...]
    wanted: tuple[WantedImage, ...]
    stored: tuple[ImageAt, ...] = ()
    notes: tuple[tuple[ImageAt, Ruling], ...] = ()

    @property
    def hash(self) -> str:
        """The wanted hash."""
        return images_hash(self.images)


class _Decided(msgspec.Struct, frozen=True):
    """One place after the table: what it becomes, and the entry that decides, if one does."""

    at: ImageAt
    ruling: Ruling
    entry: Entry | None = None
    wanted: WantedImage | None = None

    def stored(self, *, mine: bool) -> bool:
        """Whether Pawl is to hold it in the stored template: an image that only stands there by itself stays free."""
        held = self.entry is not None and self.entry.templates and self.wanted is not None
        return held and (mine or self.ruling.outcome == "Rewritten")


def want(table: CompiledTable, override: str, subject: Subject, spec: PodSpec, *, mine: bool = False) -> Template:
    """Rewrite a template by the table, and tell which places a rule of this override decides."""
    if spec.ignored:
        return Template(spec.images, ())
    decided = [_decide(table, subject, place) for place in spec.images]
    ours = [one for one in decided if one.entry is not None and one.entry.override == override]
    return Template(
        images=tuple([one.at for one in decided]),
        wanted=tuple([one.wanted for one in ours if one.wanted is not None]),
        stored=tuple([one.at for one in decided if one.stored(mine=mine)]),
        notes=tuple([(one.at, one.ruling) for one in ours if one.wanted is None]),
    )


def ruling_of(table: CompiledTable, subject: Subject, place: ImageAt) -> Ruling:
    """Say what becomes of an image at the layer where its rule is enforced: Pods, else templates."""
    ruling = rewrite_image(table, subject, place, "pods")
    if ruling.outcome == "Off" and ruling.entry is not None and ruling.entry.templates:
        return rewrite_image(table, subject, place, "templates")
    return ruling


def _decide(table: CompiledTable, subject: Subject, place: ImageAt) -> _Decided:
    ruling = ruling_of(table, subject, place)
    entry = ruling.entry
    if entry is not None and ruling.outcome in ("Rewritten", "Same"):
        wanted = WantedImage(place.group, place.name, place.image, ruling.image, entry.rule)
        return _Decided(ImageAt(place.group, place.name, ruling.image), ruling, entry, wanted)
    if entry is not None:
        told = ruling.outcome in ("Held", "TooLong", "Exempt")
        return _Decided(place, ruling, entry if told else None)
    claim = claims(table, subject, place) if ruling.outcome == "Unmatched" else None
    if claim is None:
        return _Decided(place, ruling)
    final = _renewed(place.image, claim) if claim.stale else place.image
    wanted = WantedImage(place.group, place.name, place.image, final, claim.entry.rule, True, claim.stale)
    return _Decided(ImageAt(place.group, place.name, final), ruling, claim.entry, wanted)


def _renewed(image: str, claim: Claim) -> str:
    """Give an image that stands under a target the tag and digest that the rule has now."""
    reference = parse(image)
    return f"{reference.repository}{suffix(reference, claim.entry)}"
