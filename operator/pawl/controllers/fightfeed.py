"""Feeds the fight detectors from what the watch shows, and remembers from what Pawl stepped back.

A contest holds for the generation of the override. It is kept in `status.contests`, so a restart does not begin the
fight anew. Neighbours: `decide.fights` counts, `overrideacts` tells what Pawl wrote. Not here: what is not done then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pawl.api.imageoverride import Contest, Override
from pawl.api.reasons import Reason
from pawl.cluster.world import Change, World
from pawl.controllers.overridestore import OverrideStore, key_of, label_of
from pawl.controllers.queue import Key
from pawl.controllers.standing import Board
from pawl.decide.fights import Churn, PodEnd, Revert, Reverts, comparer_of
from pawl.decide.objects import ImageAt, PodRow, WorkloadRow
from pawl.decide.tables import claims, subject_of


@dataclass(frozen=True, slots=True)
class _Written:
    """What Pawl wrote into a template."""

    override: str
    images: tuple[ImageAt, ...]
    seen: bool = False
    """The watch has shown it: before that, a row with other images is older than the write, or the write failed."""


class Fights:
    """Listens to the world and to the writes of Pawl. `now` gives seconds since the epoch."""

    def __init__(
        self,
        world: World,
        board: Board,
        overrides: OverrideStore,
        wake: Callable[[Key], None],
        now: Callable[[], float],
    ) -> None:
        self._world = world
        self._board = board
        self._overrides = overrides
        self._wake = wake
        self._now = now
        self._reverts = Reverts()
        self._churn = Churn()
        self._written: dict[str, _Written] = {}
        self._ended: set[str] = set()
        self._contests: dict[str, dict[str, Contest]] = {}

    def wrote(self, override: str, row: WorkloadRow, images: tuple[ImageAt, ...]) -> None:
        """Note that Pawl wrote images into a template."""
        self._written[row.uid] = _Written(override, images)

    def ended(self, uid: str) -> None:
        """Note that Pawl ended a Pod, or the Pods of a Job."""
        if len(self._ended) > 10_000:
            self._ended.clear()
        self._ended.add(uid)

    def changed(self, change: Change) -> None:
        """Look at one change of the world. Quick, and raises nothing."""
        row = change.row
        if isinstance(row, WorkloadRow) and row.uid in self._written:
            self._workload(row, deleted=change.deleted)
        elif isinstance(row, PodRow) and change.deleted:
            self._pod(row)

    def _workload(self, row: WorkloadRow, *, deleted: bool) -> None:
        written = self._written[row.uid]
        if deleted:
            del self._written[row.uid]
            return
        live = {(place.group, place.name): place.image for place in row.spec.images}
        undone = [at for at in written.images if live.get((at.group, at.name), at.image) != at.image]
        if not undone or not written.seen:
            self._written[row.uid] = replace(written, seen=not undone)
            return
        del self._written[row.uid]
        manager = row.reverter or "somebody else"
        if self._reverts.seen(Revert(row.uid, manager, self._now())):
            self._step_back(written.override, row.key, row.uid, (Reason.FIELD_REVERTED, manager))

    def _pod(self, row: PodRow) -> None:
        owner = comparer_of(row.owners)
        if owner is None or row.phase == "Succeeded":
            return
        override = self._rewritten_by(row)
        ours = row.uid in self._ended
        self._ended.discard(row.uid)
        end = PodEnd(owner.uid, row.created, self._now(), override is not None, ours)
        if self._churn.seen(end) and override is not None:
            self._step_back(override, f"{owner.kind} {row.namespace}/{owner.name}", owner.uid, (Reason.POD_CHURN, ""))

    def _rewritten_by(self, row: PodRow) -> str | None:
        """Return the override under whose target an image of a Pod stands."""
        standing = self._board.standing
        table = standing.table(row.namespace) if standing is not None else None
        if table is None:
            return None
        subject = subject_of(row.owners, row.spec.labels)
        found = (claims(table, subject, place) for place in row.spec.images)
        return next((claim.entry.override for claim in found if claim is not None), None)

    def _step_back(self, label: str, what: str, uid: str, why: tuple[Reason, str]) -> None:
        override = self._named(label)
        if override is None or any(each.uid == uid for each in self.contests(override)):
            return
        since = datetime.fromtimestamp(int(self._now()), UTC)
        reason, manager = why
        generation = override.metadata.generation
        contest = Contest(
            object=what, uid=uid, reason=reason, manager=manager[:253], generation=generation, since=since
        )
        alive = {each.metadata.uid for each in self._overrides.readable()}
        self._contests = {known: found for known, found in self._contests.items() if known in alive}
        self._contests.setdefault(override.metadata.uid, {})[uid] = contest
        self._wake(key_of(override))
        if reason is Reason.POD_CHURN:
            self._wake(Key("ImageRules", "", "pawl"))

    def _named(self, label: str) -> Override | None:
        return next((each for each in self._overrides.readable() if label_of(each) == label), None)

    def contests(self, override: Override) -> Sequence[Contest]:
        """Return what Pawl stepped back from for this generation of an override, oldest first."""
        generation = override.metadata.generation
        known = {each.uid: each for each in override.status.contests}
        known |= self._contests.get(override.metadata.uid, {})
        held = [each for each in known.values() if each.generation == generation]
        return sorted(held, key=lambda each: (each.since, each.uid))[-100:]

    def exempt(self, overrides: Iterable[Override]) -> Mapping[str, Mapping[str, str]]:
        """Return the owners whose Pods are left alone, by namespace: uid to override@generation."""
        found: dict[str, dict[str, str]] = {}
        for override in overrides:
            for contest in self.contests(override):
                if contest.reason == Reason.POD_CHURN:
                    namespace = contest.object.partition(" ")[2].partition("/")[0]
                    mark = f"{label_of(override)}@{contest.generation}"
                    found.setdefault(namespace, {})[contest.uid] = mark
        return found
