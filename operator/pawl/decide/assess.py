"""What one workload, or one bare Pod, is under one override: what it is to run, and what each of its Pods runs.

There is no clock here: callers keep an Assessment while the rows, the table and what is resolved stay the same, and
`decide.stages` brings the time. Equal Pods share their spec, so images are compared once a spec and not once a Pod.
Neighbours: `decide.wanted` rewrites the template, `decide.verdicts` judges a container. Not here: what is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from pawl.api.imageoverride import Verdict
from pawl.api.reasons import Reason
from pawl.decide.digests import Ask
from pawl.decide.objects import Group, ImageAt, NodeRow, Owner, PodRow, PodSpec, WorkloadRow
from pawl.decide.rollout import Assessment, ContainerVerdict, PodState, StuckPod
from pawl.decide.tables import CompiledTable, Ruling, Subject, rewrite_pod, subject_of
from pawl.decide.verdicts import STUCK_WORDS, Evidence, Place, prove
from pawl.decide.wanted import Template, WantedImage, ruling_of, want

_BATCH: Final = frozenset({"Job", "CronJob"})
_CHURNS: Final = "its owner makes Pods again and again when they are rewritten; set the image at the owner"
_NOTES: Final = {"Held": Reason.IMAGE_MISSING, "TooLong": Reason.RESULT_TOO_LONG, "Exempt": Reason.POD_CHURN}


class Judge(msgspec.Struct, frozen=True):
    """What workloads are judged by: one table, for one override.

    `evict_on_delete` and `reconcile` say whether spec.enforcement has onDelete: Evict and templates: Reconcile.
    """

    table: CompiledTable
    override: str
    nodes: Mapping[str, NodeRow] = {}
    evidence: Evidence = Evidence()
    evict_on_delete: bool = False
    reconcile: bool = False


class _Look(msgspec.Struct, frozen=True):
    """What one Pod spec shows, whoever has it: the places to prove, what differs, and Secrets that it lacks."""

    places: tuple[Place, ...]
    drifted: tuple[tuple[Place, str], ...]
    outdated: bool
    exempt: bool
    secretless: bool


def assess(row: WorkloadRow | PodRow, pods: Sequence[PodRow], judge: Judge) -> Assessment:
    """Judge a workload with its Pods, or a bare Pod (`pods` is then that Pod alone). Only live Pods count."""
    subject = subject_for(row)
    mine = judge.reconcile and isinstance(row, WorkloadRow) and bool(row.original)
    template = _template(row, subject, judge, mine=mine)
    if row.deleting or not (template.wanted or template.notes or pods):
        return Assessment(row, images=template.images, hash=template.hash)
    states, asks = _states(row, [pod for pod in pods if pod.live and not pod.mirror], judge, template)
    notes = tuple(_note(place, ruling) for place, ruling in template.notes)
    return Assessment(
        row=row,
        wanted=template.wanted,
        images=template.images,
        stored=template.stored,
        hash=template.hash,
        pods=states,
        asks=asks,
        notes=notes,
        started=_started(row, pods),
        mine=mine,
    )


def subject_for(row: WorkloadRow | PodRow) -> Subject:
    """Tell to whom entries apply that are asked for the Pods of a workload, or for a bare Pod."""
    if isinstance(row, PodRow):
        return subject_of(row.owners, row.spec.labels)
    group = "batch/v1" if row.kind in _BATCH else "apps/v1"
    return subject_of((Owner(group, row.kind, row.name, row.uid, controller=True),), row.spec.labels)


def _template(row: WorkloadRow | PodRow, subject: Subject, judge: Judge, *, mine: bool) -> Template:
    """Rewrite the template, without the containers that stand there only because Pawl wrote them once."""
    spec = row.spec
    if isinstance(row, WorkloadRow) and row.owned:
        images = tuple(place for place in spec.images if place.name not in row.owned)
        spec = msgspec.structs.replace(spec, images=images)
    return want(judge.table, judge.override, subject, spec, mine=mine)


def _states(
    row: WorkloadRow | PodRow, pods: Iterable[PodRow], judge: Judge, template: Template
) -> tuple[tuple[PodState, ...], tuple[Ask, ...]]:
    looks: dict[int, _Look] = {}
    asks: dict[Ask, None] = {}
    states = []
    for pod in pods:
        look = looks.get(id(pod.spec))
        if look is None:
            look = looks[id(pod.spec)] = _look(pod, judge, template)
        if look.places or look.drifted or look.exempt:
            states.append(_state(row, pod, look, judge, asks))
    return tuple(states), tuple(asks)


def _look(pod: PodRow, judge: Judge, template: Template) -> _Look:
    subject = subject_of(pod.owners, pod.spec.labels)
    if pod.spec.ignored:
        return _Look((), (), outdated=False, exempt=False, secretless=False)
    exempt = any(uid in judge.table.exempt for uid in subject.owner_uids) and bool(template.wanted)
    right, wrong = _compare(pod.spec, judge, template, subject)
    outdated = {(w.group, w.name) for w in template.wanted if w.outdated}
    only_old = bool(wrong) and all((place.group, place.name) in outdated for place, _ in wrong)
    secretless = bool(rewrite_pod(judge.table, subject, pod.spec, layer="pods").added_secrets)
    return _Look(tuple(right), tuple(wrong), outdated=only_old, exempt=exempt, secretless=secretless)


def _compare(
    spec: PodSpec, judge: Judge, template: Template, subject: Subject
) -> tuple[list[Place], list[tuple[Place, str]]]:
    """Sort the decided images of a Pod into right ones and wrong ones (with what stands there)."""
    wanted: Mapping[tuple[Group, str], WantedImage] = {image.place: image for image in template.wanted}
    known = {(image.group, image.name) for image in template.images}
    right: list[Place] = []
    wrong: list[tuple[Place, str]] = []
    for at in spec.images:
        place = _wanted_at(at, wanted, known, (judge, subject))
        if place is not None and place.wanted == at.image:
            right.append(place)
        elif place is not None and at.group != "ephemeralContainers":
            wrong.append((place, at.image))
    return right, wrong


def _wanted_at(
    at: ImageAt,
    wanted: Mapping[tuple[Group, str], WantedImage],
    known: set[tuple[Group, str]],
    asked: tuple[Judge, Subject],
) -> Place | None:
    """Say what a place is to run: by the template, or for one that no template names by the image itself."""
    found = wanted.get((at.group, at.name))
    if found is not None:
        return Place(at.group, at.name, found.wanted)
    judge, subject = asked
    ruling = None if (at.group, at.name) in known else ruling_of(judge.table, subject, at)
    if ruling is None or ruling.entry is None or ruling.entry.override != judge.override:
        return None
    return Place(at.group, at.name, ruling.image) if ruling.outcome in ("Rewritten", "Same") else None


def _state(row: WorkloadRow | PodRow, pod: PodRow, look: _Look, judge: Judge, asks: dict[Ask, None]) -> PodState:
    node = judge.nodes.get(pod.node)
    verdicts = [_drifted(pod, place, image, look) for place, image in look.drifted]
    for place in look.places:
        proof = prove(place, pod, node, judge.evidence)
        verdicts.append(ContainerVerdict(pod.name, place.name, proof.verdict, proof.reason, proof.message))
        if proof.ask is not None:
            asks[proof.ask] = None
    stale = bool(look.drifted) and not look.exempt
    held = "PodChurn" if look.exempt and look.drifted else _held_by(row, pod, (stale, look.outdated), judge)
    stuck = _stuck(pod, look)
    return PodState(pod, stale, tuple(verdicts), stuck, held, look.outdated)


def _drifted(pod: PodRow, place: Place, image: str, look: _Look) -> ContainerVerdict:
    if look.exempt:
        text = f"runs {image}; its owner makes such Pods again and again when they are rewritten, so Pawl leaves them"
        return ContainerVerdict(pod.name, place.name, Verdict.CONTESTED, Reason.POD_CHURN, text)
    if look.outdated:
        text = f"runs {image} instead of {place.wanted}; whoever made it read an older target: restart or edit that"
        return ContainerVerdict(pod.name, place.name, Verdict.DRIFTED, Reason.STALE_TARGET, text)
    text = f"runs {image} instead of {place.wanted}"
    return ContainerVerdict(pod.name, place.name, Verdict.DRIFTED, Reason.DRIFTED, text)


def _held_by(row: WorkloadRow | PodRow, pod: PodRow, differs: tuple[bool, bool], judge: Judge) -> str:
    """Name the reason why nothing is to be expected of this Pod, or return `""`."""
    stale, outdated = differs
    node = judge.nodes.get(pod.node)
    if node is not None and not node.ready and (stale or pod.ready_since is None):
        return Reason.NODE_NOT_READY
    if isinstance(row, PodRow) or not stale:
        return ""
    if row.paused:
        return Reason.ROLLOUT_PAUSED
    if row.on_delete and not judge.evict_on_delete:
        return Reason.ON_DELETE
    if row.kind == "StatefulSet" and 0 <= ordinal(pod.name) < row.partition:
        return Reason.HELD_BY_PARTITION
    return Reason.STALE_TARGET if outdated and not (judge.reconcile and row.original) else ""


def ordinal(name: str) -> int:
    """Return the ordinal of a StatefulSet's Pod, or -1 for a name without one."""
    tail = name.rpartition("-")[2]
    return int(tail) if tail.isascii() and tail.isdigit() else -1


def _stuck(pod: PodRow, look: _Look) -> StuckPod | None:
    state = next((state for state in pod.states if state.waiting in STUCK_WORDS), None)
    if state is None:
        return None
    new = not look.drifted
    return StuckPod(pod, state.name, state.waiting, new=new, secretless=look.secretless, started=worked(pod))


def _started(row: WorkloadRow | PodRow, pods: Iterable[PodRow]) -> bool:
    if isinstance(row, WorkloadRow) and row.job is not None and row.job.succeeded:
        return True
    return any(pod.phase == "Succeeded" or worked(pod) for pod in pods)


def worked(pod: PodRow) -> bool:
    """Tell whether a Pod has begun its work. An init container that came through is none of that: Kubernetes itself
    runs it again whenever it likes. One that waits between two tries counts, for nobody knows what it waits for.
    """
    first = {place.name for place in pod.spec.images if place.group == "initContainers"}
    return any(state.started and (state.waiting or state.name not in first) for state in pod.states)


def _note(place: ImageAt, ruling: Ruling) -> ContainerVerdict:
    """Say why a place stays that a rule matched. What is held says its reason as `Reason: sentence`."""
    reason, colon, text = ruling.reason.partition(": ")
    known = colon and reason in Reason.__members__.values()
    verdict = Verdict.CONTESTED if ruling.outcome == "Exempt" else Verdict.SKIPPED
    word = Reason(reason) if known else _NOTES[ruling.outcome]
    why = _CHURNS if ruling.outcome == "Exempt" else text if known else ruling.reason
    return ContainerVerdict("", place.name, verdict, word, why if known else f"{place.image} stays: {why}")
