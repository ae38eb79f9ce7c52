"""Copies of pull Secrets for all overrides: into the namespaces where one of their rules decides an image.

Credentials go where they are needed and nowhere else; a Pod that was there before its Secret is revived by the rollout.
Neighbours: `secretcopies` makes one copy, `imagerules` asks before it looks at targets. Not here: grants.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from pawl.api.imageoverride import Override, PullSecret
from pawl.controllers.overridestore import label_of
from pawl.controllers.secretcopies import CopyResult, Released, SecretCopies
from pawl.controllers.secretcopies_marks import CopyWish
from pawl.decide.objects import COPIES
from pawl.decide.targets import Needed, Refusal

BELIEVED: Final = 60.0
"""Seconds for which a copy that was right is not read again."""
SHOWN: Final = 20
"""Failures that are kept of one override."""


class Copies:
    """Makes the copies that all overrides want. `clock` gives monotonic seconds."""

    def __init__(self, copies: SecretCopies, clock: Callable[[], float] = time.monotonic) -> None:
        self._copies = copies
        self._clock = clock
        self._made: dict[CopyWish, float] = {}

    async def ensure(
        self, overrides: Iterable[Override], needed: Iterable[Needed], *, anew: bool = False
    ) -> Mapping[str, tuple[Refusal, ...]]:
        """Make every copy that is needed; return what failed by override. `anew`: read also what was right just now."""
        wishes, now = _wishes(overrides, needed), self._clock()
        believed = -math.inf if anew else BELIEVED
        self._made = {wish: self._made[wish] for wish in wishes if now - self._made.get(wish, -math.inf) < believed}
        due = [wish for wish in wishes if wish not in self._made]
        results = await asyncio.gather(*(self._copies.ensure(wish) for wish in due))
        failed: dict[str, list[Refusal]] = {}
        for wish, result in zip(due, results, strict=True):
            if result.ok:
                self._made[wish] = now
            else:
                failed.setdefault(wish.override, []).append(_refusal(result))
        return {label: tuple(found[:SHOWN]) for label, found in failed.items()}

    async def release(self, override: Override, namespaces: Iterable[str]) -> Released:
        """Let go of every copy of an override in these namespaces."""
        label, names = label_of(override), copied_names(override)
        self._made = {wish: at for wish, at in self._made.items() if wish.override != label}
        return await self._copies.release(label, [(namespace, name) for namespace in namespaces for name in names])


def copied_names(override: Override) -> tuple[str, ...]:
    """Return the names that copies for an override have or had.

    A name that left the spec stands in a note: without it, only the right to list Secrets would find the copy again.
    """
    noted = override.metadata.annotations.get(COPIES, "").split(",")
    wanted = (secret.name for secret in override.spec.pull_secrets if secret.copy_from is not None)
    return tuple(sorted({*wanted, *filter(None, noted)}))


def is_noted(override: Override) -> bool:
    """Whether the note of an override has all names of its copies."""
    return override.metadata.annotations.get(COPIES, "") == ",".join(copied_names(override))


def _wishes(overrides: Iterable[Override], needed: Iterable[Needed]) -> list[CopyWish]:
    places: dict[str, set[str]] = {}
    for target in needed:
        places.setdefault(target.override, set()).add(target.namespace)
    return [
        _wish(label_of(override), namespace, secret)
        for override in overrides
        if override.metadata.deletion_timestamp is None
        for namespace in sorted(places.get(label_of(override), ()))
        for secret in override.spec.pull_secrets
        if secret.copy_from is not None
    ]


def _wish(label: str, namespace: str, secret: PullSecret) -> CopyWish:
    source = secret.copy_from
    if source is None:
        raise ValueError(secret.name)
    return CopyWish(source.namespace, source.name, namespace, secret.name, label)


def _refusal(result: CopyResult) -> Refusal:
    return Refusal(result.reason, result.message)
