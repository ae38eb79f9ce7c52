"""What came of a Job of the machine, and when a failed one is tried again.

A Job counts only for the order that it was made for, and only its own report of success counts as success. Neighbours:
`decide.storagemachine_migration` and `decide.storagemachine_collection` order Jobs. Not here: making them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pawl.api.errors import Stalled
from pawl.api.reasons import Reason
from pawl.api.registrystorage_status import StoreRef
from pawl.api.registrywork import Report, Task
from pawl.decide.durations import LONGEST, parse_duration
from pawl.decide.storagefacts import Facts, Server

LASTING: Final = frozenset(
    {
        Reason.NO_SPACE,
        Reason.TARGET_NOT_EMPTY,
        Reason.SCHEMA_1_FOUND,
        Reason.SOURCE_CORRUPT,
        Reason.GRAPH_BROKEN,
        Reason.SMOKE_FAILED,
    }
)
"""Reasons of workers that another try does not mend."""
FIRST_PAUSE: Final = timedelta(seconds=15)
TEXT: Final = 512


class State(StrEnum):
    """How far a Job is."""

    MISSING = "Missing"
    RUNNING = "Running"
    DONE = "Done"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a Job."""

    state: State
    report: Report | None = None
    reason: str = ""
    message: str = ""

    @property
    def lasting(self) -> bool:
        """Whether another try would end alike."""
        return self.state is State.FAILED and self.reason in LASTING


def outcome(facts: Facts, task: Task, order: str) -> Outcome:
    """Judge the Job of an order."""
    work = facts.works.get(task)
    if work is None or work.order != order:
        return Outcome(State.MISSING)
    report = work.report
    if work.succeeded and report is not None and report.done and report.ok:
        return Outcome(State.DONE, report)
    if work.failed or work.succeeded or (report is not None and report.done and not report.ok):
        silent = f"Job {work.name} ended without a report of success; see the log of its Pod"
        message = (report.message if report is not None and not report.ok else "") or work.trouble or silent
        return Outcome(State.FAILED, report, report.reason if report is not None else "", short(message))
    return Outcome(State.RUNNING, report, message=short(work.trouble))


def pause(failures: int, longest: timedelta) -> timedelta:
    """Return how long to wait after this many failures in a row."""
    return min(FIRST_PAUSE * (1 << min(max(failures - 1, 0), 20)), longest)


def serves(server: Server, store: StoreRef, *, read_only: bool) -> bool:
    """Whether every Pod serves this store, in this way."""
    alike = all(pod.store == store.id and pod.read_only == read_only and pod.ready for pod in server.pods)
    return server.rolled and bool(server.pods) and alike


def takes_pushes(server: Server, store: StoreRef) -> bool:
    """Whether a Pod was seen that may write to a store that must rest."""
    return any(pod.store == store.id and (not pod.read_only or pod.takes_pushes is True) for pod in server.pods)


def duration(text: str, otherwise: timedelta = LONGEST) -> timedelta:
    """Read a duration of the spec; one that is out of bounds counts as `otherwise`."""
    try:
        return parse_duration(text)
    except Stalled:
        return otherwise


def second(moment: datetime) -> datetime:
    """Cut to what Kubernetes writes, so that a memory that was stored and read is the same."""
    return moment.replace(microsecond=0)


def short(text: str) -> str:
    """Cut a sentence to what the status takes."""
    return text if len(text) <= TEXT else f"{text[: TEXT - 3]}..."
