"""Which images a workload is to run by the rules of one override, and the hash of them.

Neighbours: `decide.tables` says what a table makes of an image; `decide.assess` holds Pods to the result.
Not here: Pods.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from pawl.decide.objects import Group, ImageAt

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
