"""What a step of the decision says: a move, a waiting candidate, findings, and whether it ends the list.

Neighbours: `decide.moves` and `decide.rollback` make rulings, `decide.conditions` turns findings into conditions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pawl.api.imagepolicy import Pending
from pawl.api.reasons import ConditionType, Reason
from pawl.decide.memory import Memory


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth a condition. Several findings of one type: the first wins."""

    type: ConditionType
    reason: Reason
    message: str
    status: Literal["True", "False"] = "True"


@dataclass(frozen=True, slots=True)
class Ruling:
    """`memory`: the memory after a move, None where nothing moves. `wake`: when to look again at the latest."""

    memory: Memory | None = None
    settles: bool = False
    findings: tuple[Finding, ...] = ()
    pending: Pending | None = None
    wake: datetime | None = None

    def merged(self, later: Ruling) -> Ruling:
        """Add what a later step ruled. The first pending candidate stays: it is the greater one."""
        return Ruling(
            memory=later.memory or self.memory,
            settles=later.settles,
            findings=self.findings + later.findings,
            pending=self.pending or later.pending,
            wake=self.wake if self.pending else later.wake,
        )
