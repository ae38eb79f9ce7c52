"""Counts what reconciles found, for the metrics: scans, moves, lag, and which policies hold for which reason.

Neighbours: `imagepolicy` tells, `metrics` shows. Not here: names of metrics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from pawl.api.errors import Outcome
from pawl.api.reasons import ConditionType
from pawl.controllers.gather import Gathered
from pawl.controllers.metrics import Metrics
from pawl.controllers.queue import Key
from pawl.decide.facts import Subject
from pawl.decide.policy import Decision

HOLDING: Final = frozenset(
    {
        ConditionType.STALLED,
        ConditionType.SCAN_SUSPECT,
        ConditionType.RATE_LIMITED,
        ConditionType.BELOW_HIGH_WATER,
        ConditionType.ORDERING_CHANGED,
        ConditionType.SELECTED_TAG_MISSING,
        ConditionType.SELECTED_IMAGE_GONE,
        ConditionType.TAG_MUTATED,
        ConditionType.SELECTED_BLOCKED,
        ConditionType.PENDING,
        ConditionType.ROLLBACK_ACTIVE,
        ConditionType.ROLLBACK_REJECTED,
    }
)
"""Conditions that hold a selection where it is."""


class Tally:
    """What is known of all policies that this replica reconciles."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._reasons: dict[Key, tuple[str, ...]] = {}
        self._tags: dict[Key, tuple[str, int]] = {}
        self._scanned: dict[Key, float] = {}

    def gathered(self, key: Key, subject: Subject, gathered: Gathered) -> None:
        """A registry was asked for a policy."""
        facts = gathered.facts
        if gathered.scanned_at is not None:
            self._scanned[key] = gathered.scanned_at
        if facts is None:
            self._metrics.scan("unchanged")
        elif facts.failure is not None:
            self._metrics.scan("failed")
        else:
            self._metrics.scan("complete")
            if facts.scan is not None:
                self._tags[key] = (subject.spec.image.partition("/")[0], facts.scan.tags)

    def decided(self, key: Key, decision: Decision, failure: Outcome | None) -> None:
        """A decision was reported."""
        del failure
        holds = [c.reason for c in decision.status.conditions if c.status == "True" and c.type in HOLDING]
        self._reasons[key] = tuple(holds)
        held = decision.status.selection
        if decision.moved and held is not None:
            self._metrics.selection(held.cause.value, decision.lag)

    def forget(self, key: Key) -> None:
        """A policy is gone."""
        for known in (self._reasons, self._tags, self._scanned):
            known.pop(key, None)

    def held(self) -> Mapping[str, float]:
        """Return how many policies hold, by reason."""
        return Counter(reason for reasons in self._reasons.values() for reason in reasons)

    def tags(self) -> Mapping[str, float]:
        """Return the tags seen, by registry host."""
        sums: Counter[str] = Counter()
        for host, count in self._tags.values():
            sums[host] += count
        return sums

    def oldest_scan(self) -> float | None:
        """Return when the scan that is longest ago was begun (monotonic seconds), None for no scans."""
        return min(self._scanned.values(), default=None)
