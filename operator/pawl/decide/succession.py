"""The one place where a new selection is made: its sequence is one greater than the last, across epochs too.

Neighbours: `decide.moves` and `decide.rollback` say what is chosen; `decide.memory` keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pawl.api.imagepolicy import Cause, Selection
from pawl.decide.facts import Facts
from pawl.decide.memory import Memory, rank, record


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be selected, why, and in which epoch."""

    tag: str
    key: str
    digest: str
    cause: Cause
    epoch: int
    reason: str = ""
    who: str = ""


def succeed(facts: Facts, choice: Choice, memory: Memory | None = None) -> Memory:
    """Return the memory after `choice` became the selection; `memory` replaces the facts' own."""
    before = memory or facts.memory
    image = facts.spec.image
    selection = Selection(
        epoch=choice.epoch,
        sequence=rank(before.selection)[1] + 1,
        tag=choice.tag,
        digest=choice.digest,
        reference=f"{image}:{choice.tag}@{choice.digest}" if choice.digest else f"{image}:{choice.tag}",
        sort_key=choice.key,
        ordering=facts.rules.ordering.fingerprint,
        selected_at=facts.subject.now.replace(microsecond=0),
        cause=choice.cause,
    )
    return record(before, selection, choice.reason, choice.who or facts.subject.who)
