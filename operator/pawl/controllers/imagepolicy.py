"""The ImagePolicy controller: gather -> decide -> act -> report for one key, and when to look again.

Level-triggered: it reads the resource from the store and the world from the registry, and never asks what happened.
Neighbours: `gather`, `decide.policy`, `report`. Not here: watching, election, rules about versions.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from pawl.api.errors import Conflict, NotFound, Outcome, Retry, Stalled
from pawl.api.imagepolicy import ImagePolicy
from pawl.api.reasons import Reason
from pawl.cluster.client import Cluster
from pawl.cluster.resources import IMAGE_POLICIES
from pawl.controllers.gather import Errand, Gathered, Gatherer
from pawl.controllers.ledgerbook import LedgerBook
from pawl.controllers.progress import Progress
from pawl.controllers.queue import Key
from pawl.controllers.report import Reporter
from pawl.controllers.store import PolicyStore, Row, read_policy, requested_at
from pawl.controllers.tally import Tally
from pawl.decide.durations import parse_duration
from pawl.decide.facts import Subject
from pawl.decide.memory import Memory, from_ledger, from_status, join
from pawl.decide.policy import Decision, decide, decide_without_rules
from pawl.decide.shortlist import Rules, compile_rules

REREADS: Final = 4
"""How often a conflict is answered by reading again at once, before the queue's backoff takes over."""

JITTER: Final = 0.1

UNSETTLED: Final = frozenset({"ScanSuspect", "SelectedTagMissing", "SelectedImageGone"})
"""Conditions with which an unchanged list is looked at in full again: what they say may end without the list."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the controller works with. `who` names holder and term in history entries."""

    cluster: Cluster
    store: PolicyStore
    ledgers: LedgerBook
    gatherer: Gatherer
    reporter: Reporter
    tally: Tally
    who: str
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    jitter: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at one policy."""

    key: Key
    row: Row
    policy: ImagePolicy
    progress: Progress
    interval: float
    now: float

    @property
    def audit(self) -> bool:
        """Whether everything is looked at again: asked for by annotation, or its time has come."""
        return self.asked is not None or self.progress.audited != self.round

    @property
    def round(self) -> int:
        """The audit round of the image now."""
        return self.progress.round_of(self.policy.spec.image, self.now)

    @property
    def not_before(self) -> float:
        """Since when an answer of the registry must have been asked for."""
        asked_at = self.row.asked_at
        return asked_at if self.changed else max(asked_at, self.progress.fresh_from(self.interval, self.now))

    @property
    def known_revision(self) -> str | None:
        """The list that brings nothing new, if one does."""
        settled = self.progress.quiet and not self.changed and self.asked is None
        return self.progress.revision if settled else None

    @property
    def asked(self) -> str | None:
        """The annotation's value if it asks for a run that was not done yet."""
        wish = requested_at(self.policy)
        return wish if wish != self.policy.status.last_handled_reconcile_at else None

    @property
    def changed(self) -> bool:
        """Whether the resource is another than the one last settled."""
        return self.row.version != self.progress.version


class ImagePolicyController:
    """Reconciles ImagePolicies. One for each term of leadership: what it remembers is thrown away with the Lease."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._progress: dict[Key, Progress] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Look at one policy and return the seconds until the next look, None for never.

        Raises Stalled, Retry (the queue waits) or LeaseLost.
        """
        for _ in range(REREADS):
            row = self._parts.store.row(key)
            if row is None:
                self._forget(key)
                return None
            try:
                return await self._look(self._prepare(key, row))
            except Conflict:
                await self._reread(key, row)
            except NotFound:
                self._parts.store.drop(key)
        raise Retry(Reason.PROGRESSING, f"{key} is being written by somebody else; trying again")

    def interval(self, key: Key) -> float:
        """Return the seconds between two looks at a policy: what only the user can mend is looked at that often."""
        progress = self._progress.get(key)
        return progress.interval if progress else Progress().interval

    def _forget(self, key: Key) -> None:
        self._progress.pop(key, None)
        self._parts.ledgers.forget(key)
        self._parts.tally.forget(key)

    async def _reread(self, key: Key, row: Row) -> None:
        """Somebody else wrote first: read the resource again; the answers of the registry still serve."""
        try:
            raw = await self._parts.cluster.get(IMAGE_POLICIES, key.namespace, key.name)
        except NotFound:
            self._parts.store.drop(key)
        else:
            self._parts.store.offer(raw, asked_at=row.asked_at)

    def _prepare(self, key: Key, row: Row) -> _Look:
        policy = read_policy(row.raw)
        progress, now = self._progress.get(key), asyncio.get_running_loop().time()
        interval = _interval(policy)
        if progress is not None and progress.uid != policy.metadata.uid:
            # Another policy of the same name: its ledger may have been deleted on purpose (`pawl forget`).
            self._forget(key)
            progress = None
        if progress is None:
            # A failover begins no audit: a thousand policies would ask for their digests at once.
            progress = self._progress[key] = Progress(uid=policy.metadata.uid, interval=interval)
            progress.audited = progress.round_of(policy.spec.image, now)
        progress.interval = interval
        return _Look(key, row, policy, progress, interval, now)

    async def _look(self, look: _Look) -> float:
        policy = look.policy
        try:
            subject = await self._subject(look)
        except Stalled as stalled:
            await self._report_blind(look, stalled)
            raise
        if policy.spec.suspend:
            decision = decide_without_rules(subject, None)
            await self._report(look, decision, None)
            return look.interval
        try:
            rules = compile_rules(policy.spec)
        except Stalled as stalled:
            await self._report(look, decide_without_rules(subject, stalled), stalled)
            raise
        gathered = await self._gather(look, subject, rules)
        if gathered.facts is None:
            return self._next(look)
        decision, failure = decide(gathered.facts), gathered.facts.failure
        await self._report(look, decision, failure)
        self._settle(look, gathered, decision, failure)
        if failure is not None:
            raise failure
        return self._next(look, decision.wake)

    async def _subject(self, look: _Look) -> Subject:
        """Join what status and ledger remember; an audit reads the ledger anew, somebody may have deleted it."""
        policy = look.policy
        if look.audit:
            self._parts.ledgers.forget(look.key)
        ledger = await self._parts.ledgers.read(look.key)
        return self._subject_with(look, join(from_status(policy.status), from_ledger(ledger)))

    def _subject_with(self, look: _Look, memory: Memory) -> Subject:
        policy = look.policy
        return Subject(
            spec=policy.spec,
            status=policy.status,
            generation=policy.metadata.generation,
            memory=memory,
            now=self._parts.now(),
            who=self._parts.who,
            requested_at=requested_at(policy),
        )

    async def _gather(self, look: _Look, subject: Subject, rules: Rules) -> Gathered:
        progress = look.progress
        errand = Errand(
            namespace=look.key.namespace,
            subject=subject,
            rules=rules,
            not_before=look.not_before,
            known_revision=look.known_revision,
            seen_revision=progress.revision,
            seen_at=progress.scanned_at,
            audit=look.audit,
        )
        gathered = await self._parts.gatherer.gather(errand)
        self._parts.tally.gathered(look.key, subject, gathered)
        progress.scanned_at = gathered.scanned_at or progress.scanned_at
        if errand.audit:
            progress.audited = look.round
        return gathered

    async def _report_blind(self, look: _Look, stalled: Stalled) -> None:
        """Say why the ledger may not be read, or written. Without it nothing moves, and it is not written over."""
        subject = self._subject_with(look, from_status(look.policy.status))
        await self._report(look, replace(decide_without_rules(subject, stalled), memory=Memory()), stalled)

    async def _report(self, look: _Look, decision: Decision, failure: Outcome | None) -> None:
        try:
            written = await self._parts.reporter.report(look.key, look.policy, decision, look.row.asked_at)
        except Stalled as stalled:
            await self._report_blind(look, stalled)
            raise
        self._parts.tally.decided(look.key, decision, failure)
        # Not what the store has by now: that may be a change that nobody has looked at yet.
        look.progress.version = look.row.version if written is None else written

    def _settle(self, look: _Look, gathered: Gathered, decision: Decision, failure: Outcome | None) -> None:
        """Remember with which list nothing was left to do; what waits or failed is looked at in full next time."""
        progress = look.progress
        progress.revision = gathered.revision or progress.revision
        odd = any(condition.type in UNSETTLED for condition in decision.status.conditions)
        progress.quiet = gathered.revision is not None and failure is None and not odd
        progress.quiet = progress.quiet and decision.status.pending is None

    def _next(self, look: _Look, wake: datetime | None = None) -> float:
        jittered = look.interval * (1 + JITTER * (2 * self._parts.jitter() - 1))
        if wake is None:
            return jittered
        return min(jittered, max((wake - self._parts.now()).total_seconds(), 1.0))


def _interval(policy: ImagePolicy) -> float:
    return max(parse_duration(policy.spec.interval).total_seconds(), 10.0)
