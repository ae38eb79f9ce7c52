"""Which targets must be seen in their registries before a table may name them, and which are held back.

A target is asked for once for all Pods that pull it with the same Secrets for the same platforms. Neighbours:
`decide.tables` says what a table makes of an image, `decide.rulebook` compiles `held` into tables.
Not here: asking.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from pawl.api.reasons import Reason
from pawl.decide.objects import PodSpec
from pawl.decide.subjects import Subject
from pawl.decide.tables import CompiledTable, claims, rewrite_pod

MAX_NOTE: Final = 300
"""Characters of a reason in a table, which many Pods are judged by."""

TRANSIENT: Final = frozenset({Reason.UNREACHABLE, Reason.RATE_LIMITED, Reason.BAD_ANSWER, Reason.PROGRESSING})
"""Reasons that say nothing about the target: they never take back what holds already."""

OWN: Final = frozenset({Reason.UNAUTHORIZED, Reason.DENIED, Reason.SECRET_INVALID, Reason.MISSING_RIGHT})
"""Reasons that lie in the Secrets of one namespace; others may well pull the image."""


class Needed(msgspec.Struct, frozen=True):
    """One target as Pods of a namespace pull it. `override` and `rule` name where it comes from."""

    namespace: str
    reference: str
    pull_secrets: tuple[str, ...]
    added: tuple[str, ...]
    account: str
    platforms: frozenset[str]
    override: str
    rule: int


class Refusal(msgspec.Struct, frozen=True):
    """Why a target cannot be used: a word of `api.reasons` and a sentence."""

    reason: str
    message: str


def needed_by(
    table: CompiledTable, namespace: str, subject: Subject, spec: PodSpec, platforms: frozenset[str]
) -> list[Needed]:
    """Return the targets that a Pod spec needs under a table, also those that it names already."""
    rewritten = rewrite_pod(table, subject, spec, layer="pods")
    found = []
    for place, ruling in zip(rewritten.images, rewritten.rulings, strict=True):
        entry = ruling.entry if ruling.outcome in ("Rewritten", "Same", "Off") else None
        if entry is None:
            claim = claims(table, subject, place)
            entry = claim.entry if claim is not None and ruling.outcome == "Unmatched" else None
        if entry is not None:
            found.append(
                Needed(
                    namespace,
                    place.image,
                    spec.pull_secrets,
                    rewritten.added_secrets,
                    spec.account,
                    platforms,
                    entry.override,
                    entry.rule,
                )
            )
    return found


def held_back(
    refused: Mapping[Needed, Refusal], in_force: AbstractSet[tuple[str, str]]
) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Return the results to be held everywhere, and those to be held in single namespaces, each with its reason.

    `in_force` holds (namespace, reference) of what the stored tables yield already: a transient failure does not take
    that back, neither there nor in other namespaces.
    """
    everywhere: dict[str, str] = {}
    single: dict[str, dict[str, str]] = {}
    elsewhere = frozenset(reference for _, reference in in_force)
    for needed, refusal in sorted(refused.items(), key=lambda item: (item[0].namespace, item[0].reference)):
        transient = refusal.reason in TRANSIENT
        if transient and (needed.namespace, needed.reference) in in_force:
            continue
        if refusal.reason in OWN or (transient and needed.reference in elsewhere):
            single.setdefault(needed.namespace, {})[needed.reference] = _noted(refusal)
        else:
            everywhere[needed.reference] = _noted(refusal)
    return everywhere, single


def _noted(refusal: Refusal) -> str:
    """Write a refusal as tables hold it: `Reason: sentence`."""
    return f"{refusal.reason}: {refusal.message}"[:MAX_NOTE]


def by_override(refused: Mapping[Needed, Refusal]) -> dict[str, list[tuple[Needed, Refusal]]]:
    """Return the refusals of each override, in a fixed order."""
    found: dict[str, list[tuple[Needed, Refusal]]] = {}
    for needed, refusal in sorted(refused.items(), key=lambda item: (item[0].reference, item[0].namespace)):
        found.setdefault(needed.override, []).append((needed, refusal))
    return found
