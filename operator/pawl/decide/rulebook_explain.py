"""Why an image became what it is: every rule that matched, in the order of precedence, and what put one first.

Neighbours: `decide.tables` finds the entries, `decide.rulebook` ordered them; `pawl why` shows this.
Not here: a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pawl.api.imageoverride import Override
from pawl.decide.objects import ImageAt
from pawl.decide.rulebook_rules import override_key
from pawl.decide.tables import CompiledTable, Match, Subject, matches


@dataclass(frozen=True, slots=True)
class Explained:
    """One rule that matched. `result` is what it would make of the image; `why` says why it won, or to what it lost."""

    override: str
    rule: int
    source: str
    result: str
    wins: bool
    why: str


def explain(
    table: CompiledTable, subject: Subject, place: ImageAt, overrides: Sequence[Override]
) -> tuple[Explained, ...]:
    """Return every rule that matched an image, the deciding one first. `overrides` are those of the table."""
    found = matches(table, subject, place)
    named = {override_key(override): override for override in overrides}
    return tuple(_explained(match, found[0], len(found), named) for match in found)


def _explained(match: Match, winner: Match, count: int, overrides: Mapping[str, Override]) -> Explained:
    wins = match is winner
    why = ("decides" if count > 1 else "is the only rule that matches") if wins else _lost(match, winner, overrides)
    ruling = match.rulings["pods"] if match.entry.pods else match.rulings["templates"]
    result = ruling.image if ruling.outcome in ("Rewritten", "Same") else f"{ruling.image} ({ruling.outcome})"
    return Explained(match.entry.override, match.entry.rule, match.source, result, wins, why)


def _lost(match: Match, winner: Match, overrides: Mapping[str, Override]) -> str:
    """Name the first thing in which the winner stands before a rule."""
    if winner.mandatory and not match.mandatory:
        return "the other is mandatory"
    if match.source != winner.source:
        return f"{winner.source} is more specific than {match.source}"
    if match.entry.override == winner.entry.override:
        return "the other comes first in the same override"
    mine, other = overrides.get(match.entry.override), overrides.get(winner.entry.override)
    if mine is None or other is None:
        return "the other stands first in the table"
    if mine.spec.priority != other.spec.priority:
        return f"priority {other.spec.priority} stands above {mine.spec.priority}"
    if mine.kind != other.kind:
        return "an ImageOverride stands above a ClusterImageOverride"
    same_age = mine.metadata.creation_timestamp == other.metadata.creation_timestamp
    return "the other is first by name" if same_age else "the other is older"
