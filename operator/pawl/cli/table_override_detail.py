"""One override in full: what is said of it, what needs eyes, what is planned, what its targets mean. Pure.

Neighbours: `table_override` shows many in a line each. Not here: the cluster, the whole plan (`plan`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pawl.api.imageoverride import Override, Plan
from pawl.api.meta import Condition
from pawl.api.reasons import ConditionType
from pawl.cli.status_print import grid, head, rows, section
from pawl.cli.table_override import (
    NO_GATE,
    UnreadableOverride,
    awaits,
    condition_of,
    override_table,
    ready_text,
    reason_of,
)
from pawl.cli.table_policies import NONE, age, short

_BAD_WHEN_TRUE: Final = frozenset(
    {ConditionType.STALLED, ConditionType.CONFLICTING, ConditionType.CONTESTED, ConditionType.PAUSED}
)


def override_detail(seen: Override | UnreadableOverride, now: datetime) -> RenderableType:
    """Return the view of one override at a moment."""
    if isinstance(seen, UnreadableOverride):
        return override_table([seen])
    title = Text.assemble((title_of(seen), "bold"), "  ready: ", ready_text(seen))
    parts: list[RenderableType] = [title, section(_facts(seen))]
    for name, table in _tables(seen, now):
        if table.row_count:
            parts += [head(name), section(table)]
    return Group(*parts, head("What to do next"), *(section(Text(line)) for line in _next(seen)))


def title_of(seen: Override) -> str:
    """How an override is written in titles: `ImageOverride shop/web`, `ClusterImageOverride rook`."""
    meta = seen.metadata
    return f"{seen.kind} {meta.namespace}/{meta.name}" if meta.namespace else f"{seen.kind} {meta.name}"


def approval(seen: Override, plan_hash: str) -> str:
    """Return the command that approves a plan."""
    meta = seen.metadata
    place = f" -n {meta.namespace}" if meta.namespace else ""
    patch = f'{{"spec":{{"rollout":{{"approvedPlan":"{plan_hash}"}}}}}}'
    return f"kubectl patch {seen.kind.lower()} {meta.name}{place} --type merge -p '{patch}'"


def counted(plan: Plan) -> str:
    """How much a plan touches, in words; what is zero is left out."""
    counts = plan.counts
    named = (
        (counts.restarts, "restarts of operators"),
        (counts.rollouts, "rollouts"),
        (counts.jobs, "Jobs made anew"),
        (counts.fields, "fields"),
        (counts.evictions, "evictions"),
        (counts.left, "left alone"),
    )
    return ", ".join(f"{count} {name}" for count, name in named if count) or "nothing to do"


def _facts(seen: Override) -> Table:
    made = grid(2)
    for name, value in _pairs(seen):
        made.add_row(Text(name, "dim"), Text(value))
    return made


def _pairs(seen: Override) -> Iterator[tuple[str, str]]:
    spec, status, count = seen.spec, seen.status, seen.status.workloads
    yield "rules", ", ".join(dict.fromkeys(rule.source for rule in spec.rules))
    yield "gate", status.gate or f"{NO_GATE}: nothing rewrites Pods"
    yield "mode", f"{spec.rollout.mode.value}, templates {spec.enforcement.templates.value}, priority {spec.priority}"
    yield (
        "workloads",
        (
            f"{count.matched} matched, {count.compliant} verified, {count.drifted} drifted, "
            f"{count.contested} contested, {count.skipped} skipped, {count.mismatched} mismatched, "
            f"{count.unverifiable} unverifiable"
        ),
    )
    if status.batch:
        yield "batch", status.batch
    if status.plan is not None:
        yield "plan", f"{status.plan.hash}: {counted(status.plan)}; `pawl plan` shows all of it"
    if spec.suspend:
        yield "suspended", "what is rewritten at admission stays so, nothing else is touched"


def _tables(seen: Override, now: datetime) -> Iterator[tuple[str, Table]]:
    yield "Conditions", _conditions(seen, now)
    yield "Findings", _findings(seen, now)
    yield "Contests, from which Pawl stepped back", _contests(seen, now)
    yield "Targets as they were seen", _resolved(seen)


def _conditions(seen: Override, now: datetime) -> Table:
    made = grid(5)
    for said in seen.status.conditions:
        since = Text(age(said.last_transition_time, now), "dim")
        made.add_row(_coloured(said), said.status, said.reason, since, Text(said.message))
    return made


def _coloured(said: Condition) -> Text:
    bad = said.type == ConditionType.RECONCILING or (said.status == "True") is (said.type in _BAD_WHEN_TRUE)
    return Text(said.type, "yellow" if bad else "green")


def _findings(seen: Override, now: datetime) -> Table:
    made = rows("OBJECT", "POD", "CONTAINER", "VERDICT", "REASON", "SINCE", "WHAT")
    for one in seen.status.findings:
        words = (f"{one.kind} {one.namespace}/{one.name}", one.pod or NONE, one.container or NONE, one.verdict.value)
        made.add_row(*map(Text, (*words, one.reason, f"{age(one.since, now)} ago", one.message)))
    return made


def _contests(seen: Override, now: datetime) -> Table:
    made = rows("OBJECT", "REASON", "MANAGER", "GENERATION", "SINCE")
    for one in seen.status.contests:
        words = (one.object, one.reason, one.manager or NONE, str(one.generation), f"{age(one.since, now)} ago")
        made.add_row(*map(Text, words))
    return made


def _resolved(seen: Override) -> Table:
    made = rows("REFERENCE", "DIGEST", "PLATFORMS")
    for one in seen.status.resolved:
        platforms = ", ".join(each.platform for each in one.platforms)
        made.add_row(*map(Text, (one.reference, short(one.digest), platforms or NONE)))
    return made


def _next(seen: Override) -> Iterator[str]:
    waiting, stalled = awaits(seen), condition_of(seen, ConditionType.STALLED)
    if not seen.status.conditions:
        yield "No replica of Pawl has looked at this override yet: is `pawl run` running and does it see this kind?"
    elif stalled is not None and stalled.status == "True":
        yield f"{reason_of(seen)}: {stalled.message}."
    elif waiting:
        name = f"{seen.metadata.name} -n {seen.metadata.namespace}" if seen.metadata.namespace else seen.metadata.name
        yield f"Read the plan with `pawl plan {name}`; to approve it:"
        yield approval(seen, waiting)
    elif seen.status.findings:
        yield "See to the findings; each says its way out."
    else:
        yield "Nothing."
