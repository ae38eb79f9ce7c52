"""Which workload and which Pod names which repository: an index, so that a rule finds its few among ten thousand.

Images that are no references stand apart, under their text. Pure.
Neighbours: `index` feeds it, `decide.reference` reads references. Not here: rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from pawl.decide.objects import PodSpec
from pawl.decide.reference import Repository, UnparsableReference, parse

CAPACITY: Final = 8192
"""Texts of images whose repository is remembered."""


class Images:
    """Repository -> uids of the workloads and Pods that name it."""

    def __init__(self) -> None:
        self._uids: dict[Repository | str, set[str]] = {}
        self._read = lru_cache(CAPACITY)(_place)

    def move(self, uid: str, old: PodSpec | None, new: PodSpec | None) -> None:
        """Note that `uid` has the images of `new` instead of those of `old`; None means no images."""
        if old is new:
            return
        before, after = self._places(old), self._places(new)
        for place in before - after:
            self._drop(place, uid)
        for place in after - before:
            self._uids.setdefault(place, set()).add(uid)

    def below(self, prefix: str) -> frozenset[str]:
        """Return who names a repository at or below `prefix`, `host[:port][/path]` in normalised form.

        Only whole segments count: `docker.io/roo` is not above `docker.io/rook/ceph`.
        """
        base = prefix.rstrip("/")
        found = (uids for place, uids in self._uids.items() if isinstance(place, Repository) and _below(place, base))
        return frozenset().union(*found)

    def repositories(self) -> Mapping[Repository, frozenset[str]]:
        """Return all repositories with who names them."""
        return {place: frozenset(uids) for place, uids in self._uids.items() if isinstance(place, Repository)}

    def unparsable(self) -> Mapping[str, frozenset[str]]:
        """Return texts that are no references, with who holds them."""
        return {place: frozenset(uids) for place, uids in self._uids.items() if isinstance(place, str)}

    def _places(self, spec: PodSpec | None) -> set[Repository | str]:
        return {self._read(each.image) for each in spec.images} if spec is not None else set()

    def _drop(self, place: Repository | str, uid: str) -> None:
        uids = self._uids[place]
        uids.discard(uid)
        if not uids:
            del self._uids[place]


def _place(image: str) -> Repository | str:
    try:
        return parse(image).repository
    except UnparsableReference:
        return image


def _below(place: Repository, base: str) -> bool:
    text = str(place)
    return text == base or text.startswith(base + "/")
