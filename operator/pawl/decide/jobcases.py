"""What becomes of a Job whose Pods do not run what the rules say: its template is fixed, only the Job can be replaced.

The rows of the table, in this order: hooks, finished, suspended, right, started, waiting in vain (and then: made by
somebody who makes it again, or standing alone). Nothing that ever started is ended.
Neighbours: `decide.stages` does it after everything else is verified. Not here: CronJobs, whose Jobs come new.
"""

from __future__ import annotations

import msgspec

from pawl.api.imageoverride import Jobs, Verdict
from pawl.api.reasons import Reason
from pawl.decide.batches import GATE_LAG
from pawl.decide.objects import JobState, PodRow, WorkloadRow
from pawl.decide.rollout import Assessment
from pawl.decide.rollout_actions import DeleteJob, RecreateJob


class JobCase(msgspec.Struct, frozen=True):
    """What is done with a Job, or why it is left: a word, what it means for the counts, and a sentence."""

    action: DeleteJob | RecreateJob | None = None
    reason: Reason | None = None
    verdict: Verdict = Verdict.VERIFIED
    message: str = ""

    @property
    def skipped(self) -> bool:
        """Whether it is left alone although it may not run what the rules say."""
        return self.verdict is Verdict.SKIPPED


RIGHT = JobCase()


def job_case(unit: Assessment, jobs: Jobs, gate_since: float) -> JobCase:
    """Decide for one Job. `gate_since`: Pods made after it passed the gate that is in force."""
    row = unit.row
    if not isinstance(row, WorkloadRow) or not unit.matched or row.deleting:
        return RIGHT
    job = row.job or JobState()
    left = _left(row, job, unit)
    if left is not None or not unit.stale:
        return left or RIGHT
    if unit.started or job.succeeded:
        text = "it runs with the old image and is left until it ends; delete it to have it made anew"
        return JobCase(None, Reason.JOB_RUNNING, Verdict.DRIFTED, text)
    if not _all_stuck(unit):
        return JobCase(None, Reason.NOT_STARTED, Verdict.PENDING, "its Pods have the old image and are starting")
    return _stuck(row, unit.stale, jobs, gate_since)


def _left(row: WorkloadRow, job: JobState, unit: Assessment) -> JobCase | None:
    if row.hook:
        differs = bool(unit.stale)
        text = "it is a hook of Helm or Argo CD and is never made anew; its next run has the new image"
        return JobCase(None, Reason.HOOK, Verdict.SKIPPED, text) if differs else RIGHT
    if job.finished:
        if unit.wanted and all(place.written == place.wanted for place in unit.wanted):
            return RIGHT
        return JobCase(None, Reason.JOB_FINISHED, Verdict.SKIPPED, "it is finished and never run again")
    if job.suspended:
        text = "it is suspended; its Pods get the new image when it is resumed"
        return JobCase(None, Reason.SUSPENDED, Verdict.SKIPPED, text)
    return None


def _all_stuck(unit: Assessment) -> bool:
    stuck = {one.pod.uid for one in unit.stuck if not one.started}
    return all(pod.uid in stuck for pod in unit.stale)


def _stuck(row: WorkloadRow, stale: tuple[PodRow, ...], jobs: Jobs, gate_since: float) -> JobCase:
    if jobs is Jobs.OFF:
        text = "its Pods wait in vain with the old image and spec.enforcement.jobs is Off; delete it"
        return JobCase(None, Reason.POD_STUCK, Verdict.STUCK, text)
    anew = row.job is not None and bool(row.job.recreated_from)
    if anew or all(pod.created > gate_since + GATE_LAG for pod in stale):
        text = "it was made anew and its Pods still have the old image: the gate does not reach them"
        return JobCase(None, Reason.POD_STUCK, Verdict.STUCK, text)
    text = "its Pods wait in vain with the old image and never started"
    action = DeleteJob(row) if any(owner.controller for owner in row.owners) else RecreateJob(row)
    return JobCase(action, Reason.POD_STUCK, Verdict.STUCK, text)
