"""The small steps that all phases of a migration share: to enter one, to go home, to follow a Job.

Neighbours: `decide.storagemachine_phases` holds the phases, `decide.storagemachine_migration` their frame. Not here:
when to enter which phase.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from pawl.api.quantities import in_gibibytes
from pawl.api.reasons import Reason
from pawl.api.registrystorage_status import Freeze, MigrationPhase, MigrationStatus
from pawl.api.registrywork import Report, Task
from pawl.decide.storagefacts import Facts, Memory
from pawl.decide.storagemachine_freeze import COPYING, ENDED, Why, migration_bound
from pawl.decide.storagemachine_work import Outcome, State, pause, second, short

LONGEST_PAUSE: Final = timedelta(minutes=15)
FROZEN_PAUSE: Final = timedelta(minutes=1)
"""While writers wait."""
BREATH: Final = timedelta(minutes=15)
"""How long writers may go on after a freeze that had to be given up, before the next one."""
WORDS: Final = MappingProxyType({Task.BULK: "bulk", Task.FINAL: "final", Task.SMOKE: "smoke", Task.DELETE: "delete"})
WHOLE: Final = 100


def order(migration: MigrationStatus, task: Task) -> str:
    """Return what a Job of this phase is made for: no two tries have the same."""
    return f"{migration.id}/{WORDS[task]}/{migration.attempt}"


def enter(
    facts: Facts, memory: Memory, migration: MigrationStatus, phase: MigrationPhase, told: Mapping[str, object]
) -> Memory:
    """Enter a phase: what belonged to the one before is forgotten, and `told` is kept."""
    now = second(facts.now)
    fresh: dict[str, object] = {"phase": phase, "phase_since": now, "failures": 0, "retry_at": None}
    fresh |= {"reason": "", "message": "", "eta_seconds": None, "bytes_per_second": 0}
    return replace(memory, migration=migration.model_copy(update=fresh | dict(told)))


def say(memory: Memory, migration: MigrationStatus, text: str) -> Memory:
    """Say what is waited for."""
    return replace(memory, migration=migration.model_copy(update={"message": short(text)}))


def home(memory: Memory, migration: MigrationStatus) -> Memory:
    """Serve the source again, as it was."""
    served = memory.store if memory.store is not None and memory.store.id == migration.source.id else migration.source
    return replace(memory, store=served)


def fail(facts: Facts, memory: Memory, migration: MigrationStatus, reason: str, text: str) -> Memory:
    """End it for good, or until somebody changes something; the source is served as it was."""
    told = {"reason": reason, "message": short(text)}
    return enter(facts, home(memory, migration), migration, MigrationPhase.FAILED, told)


def thaw(facts: Facts, memory: Memory, migration: MigrationStatus, reason: Reason, text: str) -> Memory:
    """Let writers go on, and copy again what they change."""
    told = {"reason": reason, "message": short(text), "retry_at": second(facts.now) + BREATH}
    return enter(facts, memory, migration, MigrationPhase.BULK, told)


def stray(facts: Facts) -> str:
    """Say what is waited for where a Pod of a Job before still runs, or its node is lost."""
    text = f"waits until Pod {facts.stray[0]} of an earlier Job has ended: a store has one writer"
    return f"{text}; if its node is lost for good, delete the Node"


def frozen(facts: Facts, memory: Memory) -> Freeze:
    """Return a freeze that begins now."""
    full = memory.freeze is not None and memory.freeze.full
    by = migration_bound(facts.spec, facts.now)
    return Freeze(reason=Why.MIGRATION, since=second(facts.now), thaw_by=by, full=full)


def at_work(facts: Facts, memory: Memory, migration: MigrationStatus, done: Outcome) -> Memory:
    """Follow a Job: its progress, its failure, and the time of the next try."""
    if migration.retry_at is not None:
        waits = facts.now < migration.retry_at <= facts.now + LONGEST_PAUSE  # later: the clock was set back
        if waits or facts.spec.suspend or facts.blocked:
            return memory
        again = {"retry_at": None, "reason": "", "attempt": migration.attempt + 1}
        return replace(memory, migration=migration.model_copy(update=again))
    if done.state is State.MISSING and facts.stray:
        return say(memory, migration, stray(facts))
    if done.state is not State.FAILED:
        return replace(memory, migration=_shown(progressed(migration, done.report), done))
    if done.lasting and migration.phase not in ENDED:
        return fail(facts, memory, progressed(migration, done.report), done.reason, done.message)
    longest = LONGEST_PAUSE if migration.phase in COPYING | ENDED else FROZEN_PAUSE
    failures = migration.failures + 1
    told = {"failures": failures, "retry_at": second(facts.now) + pause(failures, longest)}
    told |= {"reason": done.reason or Reason.COPY_FAILED, "message": done.message}
    return replace(memory, migration=progressed(migration, done.report).model_copy(update=told))


def _shown(migration: MigrationStatus, done: Outcome) -> MigrationStatus:
    """Tell the phase within the Job by its report, and what keeps its Pod from starting."""
    report, phase = done.report, migration.phase
    if report is not None and phase is MigrationPhase.PREFLIGHT and _copies(report):
        phase = MigrationPhase.BULK
    if report is not None and phase is MigrationPhase.FINAL and report.phase == MigrationPhase.VERIFY:
        phase = MigrationPhase.VERIFY
    text = done.message or (_sentence(migration) if report is not None else migration.message)
    return migration.model_copy(update={"phase": phase, "message": short(text)})


def _copies(report: Report) -> bool:
    return report.progress.objects_done > 0 or report.phase not in {"", MigrationPhase.PREFLIGHT}


def _sentence(migration: MigrationStatus) -> str:
    if migration.objects == 0:
        return migration.message
    return f"{in_gibibytes(migration.bytes)} in {migration.objects} objects go to {migration.target.label}"


def progressed(migration: MigrationStatus, report: Report | None) -> MigrationStatus:
    """Take figures over when a whole percent was gained: a status is not written more often than that."""
    if report is None:
        return migration
    new = report.progress
    before = (_percent(migration.bytes_done, migration.bytes), _percent(migration.objects_done, migration.objects))
    after = (_percent(new.bytes_done, new.bytes), _percent(new.objects_done, new.objects))
    bad = [short(one) for one in report.quarantine[:20]]
    if before == after and bad == migration.quarantine and new.rounds == migration.rounds and not report.done:
        return migration
    figures = {name: getattr(new, name) for name in type(new).model_fields}
    return migration.model_copy(update=figures | {"quarantine": bad})


def _percent(part: int, whole: int) -> int:
    return part * WHOLE // whole if whole > 0 else -1
