"""What a decision says besides its actions: counts, findings and the conditions about running workloads.

Nothing here ticks: equal facts give an equal report. Neighbours: `decide.stages` decides the step,
`decide.overridefindings` finds, `decide.overrideconditions` joins these conditions with those of the rules.
Not here: times of conditions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

from pawl.api.imageoverride import Plan, Verdict, WorkloadCounts
from pawl.api.reasons import ConditionType, Reason
from pawl.decide.objects import PodRow
from pawl.decide.overridefindings import late, spotted
from pawl.decide.prepull import PrepullDecision
from pawl.decide.rollout import Assessment, PodState, RolloutDecision, Said, Stage
from pawl.decide.rollout_actions import Action
from pawl.decide.stages_view import View


class Outcome(msgspec.Struct, frozen=True):
    """What `decide.stages` decided, before it is told."""

    stage: Stage
    plan: Plan
    batch: str
    pulls: PrepullDecision | None = None
    actions: tuple[Action, ...] = ()
    wait: float | None = None
    settling: bool = False
    invalid: tuple[str, str] | None = None


_WORDS: Final = {
    Stage.SUSPENDED: (Reason.SUSPENDED, "spec.suspend is true: nothing is rolled"),
    Stage.ADMISSION_ONLY: (Reason.ADMISSION_ONLY, "spec.rollout.mode is AdmissionOnly: what runs already stays"),
    Stage.PAUSED: (Reason.PAUSED, "spec.rollout.paused is true: nothing new is begun"),
    Stage.WINDOW: (Reason.WINDOW_CLOSED, "outside spec.rollout.window nothing new is begun"),
    Stage.JOBS: (Reason.ROLLING_OUT, "Jobs that never started are made anew"),
    Stage.FIELDS: (Reason.ROLLING_OUT, "fields of custom resources and templates of CronJobs are rewritten"),
    Stage.PODS: (Reason.ROLLING_OUT, "Pods that wait in vain are evicted"),
}

_DOUBTS: Final = (
    (Verdict.MISMATCH, Reason.MISMATCH, "False", "do not run the content of their image"),
    (Verdict.DRIFTED, Reason.DRIFTED, "False", "do not have the images that the rules say"),
    (Verdict.STUCK, Reason.POD_STUCK, "False", "wait in vain"),
    (Verdict.CONTESTED, Reason.POD_CHURN, "False", "are left to an owner that makes them anew when they are rewritten"),
    (Verdict.PENDING, Reason.NOT_STARTED, "Unknown", "have not started"),
    (Verdict.UNVERIFIABLE, Reason.UNVERIFIABLE, "Unknown", "cannot be proved"),
)
"""What keeps Verified from being True, the worst first."""
_RIGHT: Final = frozenset({Verdict.VERIFIED})


def report(view: View, outcome: Outcome) -> RolloutDecision:
    """Tell a decision."""
    worst = {one.pod.uid: _worst(one, view) for state in view.matched for one in state.pods}
    worst |= {state.row.uid: Verdict.CONTESTED for state in view.matched if _left_alone(state)}
    done = outcome.stage is Stage.DONE
    proved = all(verdict is Verdict.VERIFIED for verdict in worst.values())
    waits = [outcome.wait, _pending(view)]
    return RolloutDecision(
        stage=outcome.stage if not done or proved else Stage.VERIFY,
        actions=outcome.actions,
        plan=outcome.plan,
        batch=outcome.batch,
        counts=_counts(view, worst),
        spotted=spotted(view),
        conditions=tuple(_conditions(view, outcome, worst)),
        wait=min((one for one in waits if one is not None), default=None),
        invalid=outcome.invalid,
    )


def _left_alone(state: Assessment) -> bool:
    """Whether it is a live bare Pod that runs what it was asked for, since its owner would not have it otherwise."""
    row = state.row
    lives = isinstance(row, PodRow) and row.live and not row.mirror
    return lives and any(note.verdict is Verdict.CONTESTED for note in state.notes)


def _worst(one: PodState, view: View) -> Verdict:
    """Join the verdicts of a Pod's containers; one that had its time and did not start is stuck."""
    verdicts = {v.verdict for v in one.verdicts}
    if verdicts <= _RIGHT:
        return Verdict.VERIFIED
    order = [verdict for verdict, *_ in _DOUBTS]
    if Verdict.PENDING in verdicts and late(one, view):
        verdicts.add(Verdict.STUCK)
    return next((verdict for verdict in order if verdict in verdicts), Verdict.VERIFIED)


def _pending(view: View) -> float | None:
    """Return the seconds until the next Pod that has not started had its time."""
    pods = (one for state in view.matched for one in state.pods)
    young = (one for one in pods if any(v.verdict is Verdict.PENDING for v in one.verdicts) and not late(one, view))
    waiting = (one.pod.created for one in young)
    first = min(waiting, default=None)
    return None if first is None else max(1.0, first + view.deadline - view.now + 1.0)


def _counts(view: View, worst: dict[str, Verdict]) -> WorkloadCounts:
    counted = Counter(name for state in view.matched for name in _names(state, view, worst))
    return WorkloadCounts(matched=len(view.matched), **counted)


def _names(state: Assessment, view: View, worst: dict[str, Verdict]) -> Iterable[str]:
    """Name the counts that a workload belongs to. Contested and skipped ones are not compliant."""
    verdicts = {worst[one.pod.uid] for one in state.pods}
    aside = _aside(state, view)
    if aside:
        yield aside
    elif verdicts <= {Verdict.VERIFIED}:
        yield "compliant"
    if any(one.stale for one in state.pods):
        yield "drifted"
    if Verdict.MISMATCH in verdicts:
        yield "mismatched"
    if Verdict.UNVERIFIABLE in verdicts:
        yield "unverifiable"


def _aside(state: Assessment, view: View) -> str:
    if view.contested(state):
        return "contested"
    case = view.jobs.get(state.row.uid)
    held = any(one.held for one in state.pods) or any(note.verdict is Verdict.SKIPPED for note in state.notes)
    left = held or state.row.uid in view.facts.blocked or (case is not None and case.skipped)
    return "skipped" if left else ""


def _conditions(view: View, outcome: Outcome, worst: dict[str, Verdict]) -> Iterable[Said]:
    yield _rolled_out(view, outcome)
    yield _verified(worst)
    contested = [state.key for state in view.matched if view.contested(state)]
    if contested:
        text = f"{len(contested)} left to others that undo what Pawl does: {_some(contested)}"
        churn = any(view.churned(state) for state in view.matched if view.contested(state))
        yield Said(ConditionType.CONTESTED, "True", Reason.POD_CHURN if churn else Reason.FIELD_REVERTED, text)
    if view.facts.spec.rollout.paused or view.facts.spec.suspend:
        reason, text = _WORDS[Stage.SUSPENDED if view.facts.spec.suspend else Stage.PAUSED]
        yield Said(ConditionType.PAUSED, "True", reason, text)
    if outcome.pulls is not None:
        yield _prepulled(outcome.pulls)
    elif view.facts.spec.rollout.prepull and not view.facts.sees_nodes:
        text = "nodes may not be listed, so nothing is pulled beforehand; grant list and watch on nodes for that"
        yield Said(ConditionType.PREPULLED, "Unknown", Reason.NODES_UNKNOWN, text)


def _rolled_out(view: View, outcome: Outcome) -> Said:
    if outcome.stage is Stage.DONE:
        text = "everything that is to run other images was seen to"
        return Said(ConditionType.ROLLED_OUT, "True", Reason.ROLLED_OUT, text)
    reason, text = _progress(view, outcome)
    return Said(ConditionType.ROLLED_OUT, "False", reason, text)


def _progress(view: View, outcome: Outcome) -> tuple[str, str]:
    stage, gate = outcome.stage, view.facts.gate
    if stage is Stage.GATE:
        return gate.reason, gate.message or "the gate does not rewrite Pods yet; nothing is rolled before it does"
    if stage is Stage.INVALID and outcome.invalid is not None:
        return outcome.invalid
    if stage is Stage.APPROVAL:
        return Reason.APPROVAL_REQUIRED, f"set spec.rollout.approvedPlan to {outcome.plan.hash} to carry out the plan"
    if stage is Stage.FAILED:
        return view.failures[0].reason, f"{view.failures[0].message}; nothing more is begun"
    if stage is Stage.PREPULL and outcome.pulls is not None:
        pulls = outcome.pulls
        return Reason.PREPULL_FAILED if pulls.failed else Reason.PREPULLING, _pulled(pulls)
    if outcome.settling and not outcome.actions:
        return Reason.SETTLING, "operators were restarted and are given time before their children are touched"
    if stage in _WORDS:
        return _WORDS[stage]
    what = "operators are restarted" if stage is Stage.PARENTS else "workloads are rolled"
    return Reason.ROLLING_OUT, f"{what}, batch {outcome.batch}" if outcome.batch else what


def _verified(worst: dict[str, Verdict]) -> Said:
    counted = Counter(worst.values())
    for verdict, reason, status, text in _DOUBTS:
        if counted[verdict]:
            return Said(ConditionType.VERIFIED, status, reason, f"{counted[verdict]} of {len(worst)} Pods {text}")
    if not worst:
        text = "no live Pod has an image that a rule decides"
        return Said(ConditionType.VERIFIED, "Unknown", Reason.NOT_STARTED, text)
    text = f"all {len(worst)} Pods run the content that the rules say"
    return Said(ConditionType.VERIFIED, "True", Reason.VERIFIED, text)


def _prepulled(pulls: PrepullDecision) -> Said:
    if pulls.complete:
        return Said(ConditionType.PREPULLED, "True", ConditionType.PREPULLED, "the images are on their nodes")
    reason = Reason.PREPULL_FAILED if pulls.failed else Reason.PREPULLING
    return Said(ConditionType.PREPULLED, "False", reason, _pulled(pulls))


def _pulled(pulls: PrepullDecision) -> str:
    if pulls.failed:
        node, image = pulls.failed[0]
        return f"node {node} cannot pull {image}; mend its registry or Secret, then nothing else is needed"
    told = f"{pulls.done} of {pulls.total} images are on their nodes"
    if not pulls.podless:
        return told
    node, image = pulls.podless[0]
    return f"{told}; the Job that pulls {image} onto {node} has no Pod yet: if none comes, see its events for a quota"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
