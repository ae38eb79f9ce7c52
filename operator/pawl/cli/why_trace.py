"""Why each image of a Pod is what it is: from where it was written, over the rules, to what the node runs. Pure.

Neighbours: `decide.rulebook_explain` names the rules, `decide.verdicts` judges, `why_live` reads what is traced here,
`table_why` shows it. Not here: registries; a verdict that needs one says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from pawl.api.imageoverride import Override, Verdict
from pawl.api.imagepolicy import ImagePolicy
from pawl.api.imagerules import Entry, PolicyMark
from pawl.decide.digests import Content, Contents
from pawl.decide.objects import Group, ImageAt, NodeRow, PodRow, PodSpec
from pawl.decide.rulebook import override_key
from pawl.decide.rulebook_explain import Explained, explain
from pawl.decide.tables import CompiledTable, Ruling, Subject, claims, rewrite_pod, subject_of
from pawl.decide.verdicts import Evidence, Place, prove
from pawl.decide.wanted import ruling_of, want

_PROVED_BY_REGISTRY: Final = "; only the registry can prove it, and the operator asks it: see `pawl status`"


@dataclass(frozen=True, slots=True)
class Written:
    """What stood at a place before the gate, and where that was read, such as `ReplicaSet shop/web-6d4`."""

    image: str
    where: str


@dataclass(frozen=True, slots=True)
class Ground:
    """What a trace rests on. `table` is the one in force, None where nothing is rewritten; `since` when it was written.

    `left_alone` is a sentence where a namespace or Pod is none of Pawl's business. Times are seconds since the epoch.
    """

    table: CompiledTable | None
    table_name: str = ""
    since: float = 0.0
    overrides: tuple[Override, ...] = ()
    policies: Mapping[tuple[str, str], ImagePolicy] = field(default_factory=dict)
    left_alone: str = ""


@dataclass(frozen=True, slots=True)
class Selected:
    """The selection of an ImagePolicy that gave tag and digest, and why it was made, where its status still knows."""

    policy: str
    epoch: int
    sequence: int
    cause: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Traced:
    """One image place, from first to last. `rules` holds all that matched, the deciding one first."""

    group: Group
    container: str
    original: Written
    rules: tuple[Explained, ...] = ()
    outcome: str = ""
    override: str = ""
    rule: int | None = None
    selected: Selected | None = None
    wanted: str = ""
    in_spec: str = ""
    image_id: str = ""
    verdict: str = ""
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Pull Secrets that the table gives this Pod: those that it has, and those that it lacks."""

    added: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def trace_image(ground: Ground, subject: Subject, at: ImageAt, where: str) -> Traced:
    """Trace one image up to what is wanted, without a Pod."""
    traced = Traced(at.group, at.name, Written(at.image, where))
    if ground.table is None or ground.left_alone:
        why = ground.left_alone or "no table holds here: there is no override, or no operator compiled it yet"
        return replace(traced, outcome="Ignored" if ground.left_alone else "NoTable", message=why)
    ruling = ruling_of(ground.table, subject, at)
    rules = explain(ground.table, subject, at, ground.overrides)
    claim = claims(ground.table, subject, at) if ruling.outcome == "Unmatched" else None
    entry = claim.entry if claim is not None else ruling.entry
    if entry is None:
        return replace(traced, outcome=ruling.outcome, message=ruling.reason or "no rule matches this image")
    spec = PodSpec(images=(at,), labels=tuple(sorted(subject.labels.items())))
    final = want(ground.table, entry.override, subject, spec).images[0].image
    return replace(
        traced,
        rules=rules,
        outcome="Target" if claim is not None else ruling.outcome,
        override=entry.override,
        rule=entry.rule,
        selected=_selected(entry, ground.policies),
        wanted=final,
        message=_said(ruling, stands=claim is not None),
    )


def trace_pod(
    ground: Ground, pod: PodRow, node: NodeRow | None, originals: Mapping[tuple[Group, str], Written]
) -> tuple[Traced, ...]:
    """Trace every image of a live Pod, in the order of its spec."""
    subject = subject_of(pod.owners, pod.spec.labels)
    if pod.spec.ignored:
        ground = replace(ground, left_alone='the Pod has the label pawl.dev/ignore "true"')
    return tuple(_of_pod(ground, (pod, node, subject), at, originals) for at in pod.spec.images)


def secrets_of(ground: Ground, pod: PodRow, template: PodSpec | None) -> Secrets:
    """Tell which pull Secrets the table gives a Pod, against those that its template lists."""
    if ground.table is None or ground.left_alone or pod.spec.ignored:
        return Secrets()
    own = template.pull_secrets if template is not None else ()
    bare = msgspec.structs.replace(pod.spec, pull_secrets=own)
    given = rewrite_pod(ground.table, subject_of(pod.owners, pod.spec.labels), bare, layer="pods").added_secrets
    has = frozenset(pod.spec.pull_secrets)
    return Secrets(tuple(name for name in given if name in has), tuple(name for name in given if name not in has))


def contents_of(overrides: Iterable[Override]) -> Contents:
    """Return what targets were seen to mean, as the statuses remember it for their generation."""
    found: dict[tuple[str, str], Content] = {}
    for override in overrides:
        if override.status.observed_generation == override.metadata.generation:
            for one in override.status.resolved:
                platforms = {each.platform: each.digest for each in one.platforms}
                found["", one.reference] = Content(one.reference, one.digest, platforms)
    return found


def _of_pod(
    ground: Ground,
    seen: tuple[PodRow, NodeRow | None, Subject],
    at: ImageAt,
    originals: Mapping[tuple[Group, str], Written],
) -> Traced:
    pod, node, subject = seen
    original = originals.get((at.group, at.name), Written(at.image, "the Pod itself"))
    traced = trace_image(ground, subject, ImageAt(at.group, at.name, original.image), original.where)
    image_id = next((state.image_id for state in pod.states if state.name == at.name), "")
    traced = replace(traced, in_spec=at.image, image_id=image_id)
    if traced.outcome not in ("Rewritten", "Same", "Target"):
        return traced
    return _judged(traced, ground, pod, node)


def _judged(traced: Traced, ground: Ground, pod: PodRow, node: NodeRow | None) -> Traced:
    if traced.in_spec != traced.wanted:
        text = f"the Pod says {traced.in_spec} instead of {traced.wanted}"
        older = f"{text}; it is older than the table that says so" if pod.created < ground.since else text
        return replace(traced, verdict=Verdict.DRIFTED.value, reason="Drifted", message=older)
    proof = prove(
        Place(traced.group, traced.container, traced.wanted), pod, node, Evidence(contents_of(ground.overrides))
    )
    message = proof.message
    if proof.verdict is Verdict.UNVERIFIABLE and traced.image_id:
        message += _PROVED_BY_REGISTRY
    found = _finding(traced, ground.overrides, pod)
    return replace(traced, verdict=proof.verdict.value, reason=str(proof.reason), message=found or message)


def _finding(traced: Traced, overrides: Iterable[Override], pod: PodRow) -> str:
    """Return what the operator, who may ask registries, found about this container."""
    for override in overrides:
        for one in override.status.findings if override_key(override) == traced.override else ():
            if (one.namespace, one.pod, one.container) == (pod.namespace, pod.name, traced.container):
                return f"status says {one.verdict.value}: {one.message}"
    return ""


def _said(ruling: Ruling, *, stands: bool) -> str:
    if stands:
        return "it stands under the target of this rule already, as a child does that was made by a rewritten operator"
    off = "spec.enforcement of its override leaves this out"
    return ruling.reason or (off if ruling.outcome == "Off" else "")


def _selected(entry: Entry, policies: Mapping[tuple[str, str], ImagePolicy]) -> Selected | None:
    mark = entry.policy
    if mark is None:
        return None
    name = f"ImagePolicy {mark.namespace}/{mark.name}"
    policy = policies.get((mark.namespace, mark.name))
    if policy is None:
        return Selected(name, mark.epoch, mark.sequence, note="the policy cannot be read; the table remembers it")
    return _caused(Selected(name, mark.epoch, mark.sequence), mark, policy)


def _caused(found: Selected, mark: PolicyMark, policy: ImagePolicy) -> Selected:
    """Add the cause from the policy's history, or from its selection where that is the one."""
    held = policy.status.selection
    entry = next(
        (one for one in policy.status.history if (one.epoch, one.sequence) == (mark.epoch, mark.sequence)), None
    )
    now = "" if held is None or held.sequence == mark.sequence else f"the policy is at sequence {held.sequence} now"
    if entry is not None:
        who = ": ".join(filter(None, (entry.who, entry.reason)))
        return replace(found, cause=entry.cause.value, note="; ".join(filter(None, (who, now))))
    same = held is not None and (held.epoch, held.sequence) == (mark.epoch, mark.sequence)
    return replace(found, cause=held.cause.value if held is not None and same else "", note=now)
