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

    `images` are all places with their final image, `wanted` those that the override decides, `notes` the places that
    one of its rules matched and left alone: the ruling says why.
    """

    images: tuple[ImageAt, ...]
    wanted: tuple[WantedImage, ...]
    notes: tuple[tuple[ImageAt, Ruling], ...] = ()

    @property
    def hash(self) -> str:
        """The wanted hash."""
        return images_hash(self.images)


def want(table: CompiledTable, override: str, subject: Subject, spec: PodSpec) -> Template:
    """Rewrite a template by the table, and tell which places a rule of this override decides."""
    if spec.ignored:
        return Template(spec.images, ())
    images: list[ImageAt] = []
    wanted: list[WantedImage] = []
    notes: list[tuple[ImageAt, Ruling]] = []
    for place in spec.images:
        ruling = ruling_of(table, subject, place)
        found = _decided(table, subject, place, ruling)
        images.append(ImageAt(place.group, place.name, ruling.image if found is None else found[1].wanted))
        if found is not None and found[0].override == override:
            wanted.append(found[1])
        elif _left(ruling, override):
            notes.append((place, ruling))
    return Template(tuple(images), tuple(wanted), tuple(notes))


def ruling_of(table: CompiledTable, subject: Subject, place: ImageAt) -> Ruling:
    """Say what becomes of an image at the layer where its rule is enforced: Pods, else templates."""
    ruling = rewrite_image(table, subject, place, "pods")
    if ruling.outcome == "Off" and ruling.entry is not None and ruling.entry.templates:
        return rewrite_image(table, subject, place, "templates")
    return ruling


def _decided(
    table: CompiledTable, subject: Subject, place: ImageAt, ruling: Ruling
) -> tuple[Entry, WantedImage] | None:
    if ruling.outcome in ("Rewritten", "Same") and ruling.entry is not None:
        entry = ruling.entry
        return entry, WantedImage(place.group, place.name, place.image, ruling.image, entry.rule)
    claim = claims(table, subject, place) if ruling.outcome == "Unmatched" else None
    if claim is None:
        return None
    final = _renewed(place.image, claim) if claim.stale else place.image
    entry = claim.entry
    return entry, WantedImage(place.group, place.name, place.image, final, entry.rule, True, claim.stale)


def _renewed(image: str, claim: Claim) -> str:
    """Give an image that stands under a target the tag and digest that the rule has now."""
    reference = parse(image)
    return f"{reference.repository}{suffix(reference, claim.entry)}"


def _left(ruling: Ruling, override: str) -> bool:
    entry = ruling.entry
    return ruling.outcome in ("Held", "TooLong", "Exempt") and entry is not None and entry.override == override
