"""A Lease as the API server stores it, and what a candidate may conclude from having watched it. Pure.

No wall clock is ever compared: a record only counts as changed or not, and time is measured by the watcher's own clock
since it saw the change. Neighbours: `lease` reads and writes these records. Not here: requests, tasks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from pawl.cluster.resources import LEASES

DURATION_FACTOR: Final = 4
"""A stored duration counts up to this multiple of our own; a slip of a hand must not lock everybody out for a year."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of an election in seconds, those of client-go by default. Raises ValueError where they contradict."""

    duration: float = 15.0
    """A Lease that did not change for so long is free for others."""
    renew_deadline: float = 10.0
    """A leader that could not renew for so long stops leading; the rest up to `duration` is the margin."""
    retry: float = 2.0
    """Between two renewals, and between two looks of a candidate."""
    stop: float = 5.0
    """For the leading task to end after it was cancelled."""

    def __post_init__(self) -> None:
        if not 0 < self.retry < self.renew_deadline < self.duration:
            raise ValueError("lease times need 0 < retry < renew_deadline < duration")

    @property
    def request(self) -> float:
        """Seconds for one request: a hanging one leaves time for another before the deadline."""
        return self.renew_deadline / 2


@dataclass(frozen=True, slots=True)
class Record:
    """What one Lease says. `holder` is "" when it is free; `term` is its `leaseTransitions`; `renewed` is opaque."""

    holder: str
    term: int
    duration: float
    acquired: str | None = None
    renewed: str | None = None
    resource_version: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def signature(self) -> tuple[str, int, str | None, str | None]:
        """What a renewal changes. Labels are left out: only a holder can keep a Lease alive."""
        return (self.holder, self.term, self.acquired, self.renewed)


class _Meta(msgspec.Struct):
    resource_version: str = msgspec.field(name="resourceVersion")
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _Spec(msgspec.Struct, rename="camel"):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    lease_transitions: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None


class _Lease(msgspec.Struct):
    metadata: _Meta
    spec: _Spec = msgspec.field(default_factory=_Spec)


_DECODER: Final = msgspec.json.Decoder(_Lease)


def decode(raw: bytes) -> Record:
    """Read a Lease; absent fields become those of a free one."""
    lease = _DECODER.decode(raw)
    spec = lease.spec
    return Record(
        holder=spec.holder_identity or "",
        term=spec.lease_transitions or 0,
        duration=float(spec.lease_duration_seconds or 0),
        acquired=spec.acquire_time,
        renewed=spec.renew_time,
        resource_version=lease.metadata.resource_version,
        labels=lease.metadata.labels or {},
        annotations=lease.metadata.annotations or {},
    )


def encode(namespace: str, name: str, record: Record) -> dict[str, object]:
    """Return the body of a create (no resource version) or of a replace. A free Lease has no holder field at all."""
    spec = {
        "holderIdentity": record.holder or None,
        "leaseDurationSeconds": max(math.ceil(record.duration), 1),
        "leaseTransitions": record.term,
        "acquireTime": record.acquired,
        "renewTime": record.renewed,
    }
    metadata: dict[str, object] = {"name": name, "namespace": namespace}
    if record.resource_version is not None:
        metadata["resourceVersion"] = record.resource_version
    metadata |= {"labels": record.labels, "annotations": record.annotations}
    return {
        "apiVersion": LEASES.api_version,
        "kind": "Lease",
        "metadata": metadata,
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


def stamp(now: datetime, last: str | None) -> str:
    """Return `now` as Kubernetes' MicroTime, but never equal to `last`.

    A renewal that changes nothing is no write to the API server, so a wall clock that stands still would look to others
    like a dead leader.
    """
    text = _micro(now)
    return text if text != last else _micro(now + timedelta(microseconds=1))


def _micro(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Observation:
    """What one candidate saw of a Lease so far. `now` is always the candidate's own clock, in seconds."""

    def __init__(self, identity: str, timing: Timing) -> None:
        self._identity = identity
        self._timing = timing
        self._record: Record | None = None
        self._since = -math.inf
        self._term = 0

    @property
    def holder(self) -> str:
        """The holder last seen, "" for none."""
        return "" if self._record is None else self._record.holder

    @property
    def term(self) -> int:
        """The greatest term ever seen, so that a Lease deleted by hand does not start again below it."""
        return self._term

    def see(self, record: Record, now: float) -> None:
        """Take note of the stored record, read just before `now`."""
        if self._record is None or record.signature != self._record.signature:
            self._record, self._since = record, now
        self._term = max(self._term, record.term)

    def see_none(self, now: float) -> None:
        """Take note that there is no Lease.

        A holder that was there a moment ago may not know yet that its Lease was deleted: the wait begins now, once.
        """
        if self._record is not None and self._record.resource_version is not None:
            self._record, self._since = Record(self._record.holder, self._term, self._record.duration), now

    def free(self, now: float) -> bool:
        """Tell whether the Lease may be taken: free, our own, or unchanged for its whole duration."""
        record = self._record
        if record is None or record.holder in ("", self._identity):
            return True
        own = self._timing.duration
        return now - self._since >= max(own, min(record.duration, own * DURATION_FACTOR))
