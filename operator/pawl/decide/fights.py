"""When Pawl steps back: somebody undoes what it writes, or an owner makes its Pods anew because they were rewritten.

Two state machines, fed with events and times and holding a bounded number of things; what fell silent is forgotten
first. A contest lasts for the generation of the override, whoever restarts: the caller keeps it in status.contests.
Neighbours: the controller feeds them and writes contests into status and tables. Not here: clocks, watches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from pawl.decide.objects import Owner

REVERTS: Final = 3
"""Reverts of one workload in REVERT_SECONDS that make a contest: Pawl has written again at most twice by then."""
REVERT_SECONDS: Final = 600.0

CHURNS: Final = 3
"""Pods of one owner in CHURN_SECONDS that make a contest."""
CHURN_SECONDS: Final = 300.0
SHORT_LIFE: Final = 60.0
"""Seconds that a Pod lived, at most, to count."""

_OWN_CONTROLLERS: Final = frozenset(
    {("apps", "ReplicaSet"), ("apps", "StatefulSet"), ("apps", "DaemonSet")}
    | {("batch", "Job"), ("v1", "ReplicationController")}
)
"""Kinds whose Pods Kubernetes makes and ends by itself, by group (of the core: by version)."""

BOUND: Final = 10_000
"""Workloads or owners that one machine remembers."""


class Series:
    """Times of events by key, those of the last `seconds` only, for at most `bound` keys."""

    def __init__(self, seconds: float, bound: int = BOUND) -> None:
        self._seconds, self._bound = seconds, bound
        self._times: dict[str, tuple[float, ...]] = {}

    def add(self, key: str, now: float) -> int:
        """Note an event and return how many there were lately. The key whose last event is oldest goes first."""
        recent = (*(at for at in self._times.pop(key, ()) if at > now - self._seconds), now)
        self._times[key] = recent[-REVERTS * 2 :]
        if len(self._times) > self._bound:
            del self._times[next(iter(self._times))]
        return len(recent)

    def forget(self, key: str) -> None:
        """Forget a key."""
        self._times.pop(key, None)

    def __len__(self) -> int:
        return len(self._times)


class Revert(msgspec.Struct, frozen=True):
    """The value that Pawl had applied to a workload was replaced by `manager` with something else."""

    uid: str
    manager: str
    at: float


class Reverts:
    """Counts reverts by workload: the third one in ten minutes makes a contest."""

    def __init__(self, bound: int = BOUND) -> None:
        self._series = Series(REVERT_SECONDS, bound)

    def seen(self, event: Revert) -> bool:
        """Note a revert, and tell whether Pawl is to step back from this workload. Pawl's own writes are none."""
        if event.manager == "pawl" or self._series.add(event.uid, event.at) < REVERTS:
            return False
        self._series.forget(event.uid)
        return True

    def __len__(self) -> int:
        return len(self._series)


def comparer_of(owners: Sequence[Owner]) -> Owner | None:
    """Return the owner whose maker may compare a Pod with what it asked for; None if there is none.

    That is the controller, else the first owner: operators that put their own Deployment or ReplicaSet above bare Pods
    make them all the same. Kubernetes' own controllers never compare images: they end Pods to roll them.
    """
    owner = next((each for each in owners if each.controller), None)
    if owner is None:
        return owners[0] if owners else None
    return None if (owner.api_version.partition("/")[0], owner.kind) in _OWN_CONTROLLERS else owner


class PodEnd(msgspec.Struct, frozen=True):
    """A Pod was deleted. `owner` is the uid of its `comparer_of`, `rewritten`: the gate had changed one of its images.

    `ours`: Pawl evicted it, or deleted its Job.
    """

    owner: str
    created: float
    deleted: float
    rewritten: bool
    ours: bool = False


class Churn:
    """Counts short lives of rewritten Pods by owner: the third one in five minutes exempts the owner."""

    def __init__(self, bound: int = BOUND) -> None:
        self._series = Series(CHURN_SECONDS, bound)

    def seen(self, event: PodEnd) -> bool:
        """Note the end of a Pod, and tell whether the Pods of its owner are to be left alone from now on."""
        short = event.deleted - event.created < SHORT_LIFE
        if event.ours or not event.rewritten or not event.owner or not short:
            return False
        if self._series.add(event.owner, event.deleted) < CHURNS:
            return False
        self._series.forget(event.owner)
        return True

    def __len__(self) -> int:
        return len(self._series)
