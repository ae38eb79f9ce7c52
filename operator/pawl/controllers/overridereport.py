"""Writes what was found and done into the status of an override: one patch if anything changed, guarded by version.

Neighbours: `decide.overrideconditions` and `.overridefindings` make the words, `imageoverride` calls. Not here:
decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog

from pawl.api.imageoverride import Contest, Override, OverrideStatus, PlatformDigest, Preflight, Resolved
from pawl.api.meta import API_VERSION
from pawl.api.reasons import ConditionType, Reason
from pawl.cluster.client import Cluster
from pawl.cluster.events import ObjectRef, Recorder
from pawl.controllers.overridestore import OverrideStore, key_of, label_of, resource_of
from pawl.controllers.standing import Standing
from pawl.controllers.store import requested_at
from pawl.decide.digests import Content
from pawl.decide.overrideconditions import Story, conditions
from pawl.decide.overridefindings import findings
from pawl.decide.rollout import RolloutDecision, Said
from pawl.decide.targets import by_override

Guard = Callable[[], int]
MAX_RESOLVED = 200

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at an override and what came of it. `refused`: what the API server refused, in sentences.

    `unmade`: Jobs that are deleted and not there anew.
    """

    override: Override
    standing: Standing
    decision: RolloutDecision
    gate: str = ""
    contests: Sequence[Contest] = ()
    refused: tuple[str, ...] = ()
    namespaces: int = 0
    unmade: tuple[str, ...] = ()
    sees_nodes: bool = True


class OverrideReporter:
    """Writes statuses and tells changes of conditions as Events."""

    def __init__(self, cluster: Cluster, store: OverrideStore, events: Recorder, guard: Guard) -> None:
        self._cluster = cluster
        self._store = store
        self._events = events
        self._guard = guard

    async def report(self, look: Look, now: float) -> bool:
        """Write the status if it says anything new, and return whether it did. Raises ClusterError, LeaseLost."""
        before, after = look.override.status, status_of(look, now)
        patch = status_patch(before, after)
        if not patch:
            return False
        self._guard()
        await self._write(look.override, after, patch)
        return True

    async def stall(self, override: Override, reason: Reason, message: str, now: float) -> None:
        """Say that a person must act before anything can be found out; what was known before stays.

        Raises ClusterError, LeaseLost.
        """
        generation = override.metadata.generation
        story = Story(generation, stalled=(reason, message))
        known = {one.type for one in override.status.conditions} - _KSTATUS
        kept = [one for one in override.status.conditions if one.type in known]
        said = [one for one in conditions(story, override.status.conditions, now) if one.type not in known]
        fields = {"conditions": [*said, *kept], "observed_generation": generation}
        after = override.status.model_copy(update=fields)
        patch = status_patch(override.status, after)
        if patch:
            self._guard()
            await self._write(override, after, patch)

    async def _write(self, override: Override, after: OverrideStatus, patch: dict[str, object]) -> None:
        key, meta = key_of(override), override.metadata
        body = {"metadata": {"resourceVersion": meta.resource_version}, "status": patch}
        place = key.namespace or None
        raw = await self._cluster.merge_patch(resource_of(key), place, key.name, body, subresource="status")
        self._store.keep(key, raw)
        self._warn(override, after)
        self._tell(override, override.status, after)

    def _warn(self, override: Override, after: OverrideStatus) -> None:
        """Say in the log, once, which right is missing."""
        known = {one.message for one in override.status.conditions}
        for text in {one.message for one in after.conditions if one.reason == Reason.MISSING_RIGHT} - known:
            log.warning("right missing", override=label_of(override), error=text)

    def _tell(self, override: Override, before: OverrideStatus, after: OverrideStatus) -> None:
        """Tell each condition that changed its reason; waiting and progress are no news."""
        meta = override.metadata
        ref = ObjectRef(API_VERSION, override.kind, meta.namespace, meta.name, meta.uid)
        known = {one.type: (one.status, one.reason) for one in before.conditions}
        for one in after.conditions:
            if one.type in _TOLD and known.get(one.type) != (one.status, one.reason):
                bad = (one.status == "True") == (one.type in _BAD_IF_TRUE)
                self._events.event(ref, "Warning" if bad else "Normal", one.reason, one.message)


_KSTATUS = frozenset({"Ready", "Reconciling", "Stalled"})
_TOLD = frozenset({"Accepted", "Conflicting", "Preflight", "RolledOut", "Verified", "Contested", "Stalled"})
_BAD_IF_TRUE = frozenset({"Conflicting", "Contested", "Stalled"})


def status_patch(before: OverrideStatus, after: OverrideStatus) -> dict[str, object]:
    """Return the merge patch from one status to the other, {} for none."""
    old, new = before.wire(), after.wire()
    changed = {name: value for name, value in new.items() if old.get(name) != value}
    return changed | {name: None for name in old if name not in new}


def status_of(look: Look, now: float) -> OverrideStatus:
    """Return the status that a look leads to; equal facts give an equal status."""
    override, decision = look.override, look.decision
    before = override.status
    story = Story(override.metadata.generation, tuple(_said(look)), decision, working=_working(look))
    return OverrideStatus(
        observed_generation=override.metadata.generation,
        last_handled_reconcile_at=requested_at(override) or before.last_handled_reconcile_at,
        gate=look.gate,
        workloads=decision.counts,
        batch=decision.batch,
        plan=decision.plan,
        findings=findings(decision.spotted, before.findings, now),
        contests=list(look.contests),
        resolved=_resolved(override, look.standing),
        conditions=conditions(story, before.conditions, now),
    )


def _working(look: Look) -> tuple[str, str] | None:
    """Say what is tried again, from outside the rollout: nothing is Ready while it lasts."""
    if look.refused:
        return Reason.REFUSED, look.refused[0]
    return (Reason.PROGRESSING, look.unmade[0]) if look.unmade else None


def _said(look: Look) -> Iterable[Said]:
    judged = look.standing.judged(label_of(look.override))
    if judged is None:
        return
    if judged.refusal is not None:
        yield Said(ConditionType.ACCEPTED, "False", judged.refusal.reason, judged.refusal.message)
        return
    yield _accepted(look, [each.message for each in judged.inactive], [each.reason for each in judged.inactive])
    if judged.conflicts:
        yield Said(ConditionType.CONFLICTING, "True", Reason.CONFLICTING, judged.conflicts[0].sentence())
    yield _preflight(look)


def _accepted(look: Look, inactive: list[str], reasons: list[Reason]) -> Said:
    if inactive:
        more = f" ({len(inactive) - 1} more)" if len(inactive) > 1 else ""
        return Said(ConditionType.ACCEPTED, "True", reasons[0], inactive[0] + more)
    if look.namespaces == 0:
        text = "no namespace is covered now; the rules hold as soon as one is"
        return Said(ConditionType.ACCEPTED, "True", Reason.NAMESPACE_MISSING, text)
    count = len(look.override.spec.rules)
    waits = label_of(look.override) in look.standing.pending
    when = "to be in force once the plan is approved" if waits else "in force"
    return Said(ConditionType.ACCEPTED, "True", Reason.ACCEPTED, f"{count} rule{'s' if count > 1 else ''} {when}")


def _preflight(look: Look) -> Said:
    label = label_of(look.override)
    copies = look.standing.copies.get(label, ())
    if copies:
        return Said(ConditionType.PREFLIGHT, "False", copies[0].reason, copies[0].message + _more(len(copies)))
    refused = by_override(look.standing.refused).get(label, [])
    if refused:
        first, images = refused[0][1], {needed.reference for needed, _ in refused}
        return Said(ConditionType.PREFLIGHT, "False", first.reason, first.message + _more(len(images)))
    if look.override.spec.rollout.preflight is Preflight.SKIP:
        text = "spec.rollout.preflight is Skip: nobody has looked at the targets"
        return Said(ConditionType.PREFLIGHT, "True", Reason.PREFLIGHT_SKIPPED, text)
    count = len({each.reference for each in look.standing.needed if each.override == label})
    blind = "" if look.sees_nodes else "; for which platforms is not known, since nodes may not be listed"
    text = f"{count} target{'s were' if count != 1 else ' was'} seen in the registry{blind}"
    return Said(ConditionType.PREFLIGHT, "True", Reason.PREFLIGHT_PASSED, text)


def _more(count: int) -> str:
    return f" ({count - 1} more)" if count > 1 else ""


def _resolved(override: Override, standing: Standing) -> list[Resolved]:
    label = label_of(override)
    names = {(each.reference, each.namespace) for each in standing.needed if each.override == label}
    found: dict[str, Resolved] = {}
    for reference, namespace in sorted(names):
        content = standing.contents.get((namespace, reference))
        if content is not None and reference not in found:
            found[reference] = _resolution(content)
    return list(found.values())[:MAX_RESOLVED]


def _resolution(content: Content) -> Resolved:
    platforms = [PlatformDigest(platform=name, digest=digest) for name, digest in sorted(content.platforms.items())]
    return Resolved(reference=content.reference, digest=content.digest, platforms=platforms[:32])
