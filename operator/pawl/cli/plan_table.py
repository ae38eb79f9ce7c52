"""A plan as people and scripts read it: hash, counts, every step with its why, and what is left alone. Pure.

Neighbours: `plan_live` makes it, `plan` prints. Not here: the cluster.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pawl.api.imageoverride import Mode, PlannedStep
from pawl.cli.plan_live import Planned
from pawl.cli.status_print import head, rows, section
from pawl.cli.table_override_detail import approval, counted, title_of
from pawl.cli.table_policies import NONE


def plan_view(found: Planned) -> RenderableType:
    """Return the view of one plan."""
    title = Text(title_of(found.override), "bold")
    if found.plan is None:
        return Group(title, section(Text(refusal_of(found), "red")))
    parts: list[RenderableType] = [title, section(Text(f"plan {found.plan.hash}: {counted(found.plan)}"))]
    parts += [section(Text(note, "yellow")) for note in found.notes]
    parts += [section(Text(f"holds in {_spaces(found)}", "dim"))]
    if found.steps:
        parts += [head("Steps, in the order of the work"), section(_steps(found.steps, "ACTION"))]
    if found.left:
        parts += [head("Left alone"), section(_steps(found.left, "REASON"))]
    if needs_approval(found):
        parts += [head("To approve it"), section(Text(approval(found.override, found.plan.hash)))]
    return Group(*parts)


def refusal_of(found: Planned) -> str:
    """Say why an override would not be in force, "" where it would."""
    refusal = found.judged.refusal if found.judged is not None else None
    return "" if refusal is None else f"not in force: {refusal.reason.value}: {refusal.message}"


def needs_approval(found: Planned) -> bool:
    """Whether the override waits for this plan's hash."""
    rollout = found.override.spec.rollout
    return found.plan is not None and rollout.mode is Mode.PLAN and rollout.approved_plan != found.plan.hash


def plan_document(found: Planned) -> dict[str, Any]:
    """Return what scripts read of one plan: stable names, absent things null or empty."""
    meta, plan = found.override.metadata, found.plan
    return {
        "kind": found.override.kind,
        "namespace": meta.namespace,
        "name": meta.name,
        "refused": refusal_of(found) or None,
        "hash": None if plan is None else plan.hash,
        "awaitsApproval": needs_approval(found),
        "counts": {} if plan is None else plan.counts.model_dump(by_alias=True),
        "namespaces": list(found.namespaces),
        "notes": list(found.notes),
        "steps": [{"action": step.action, "object": step.object, "why": step.why} for step in found.steps],
        "left": [{"reason": step.action, "object": step.object, "why": step.why} for step in found.left],
    }


def _spaces(found: Planned) -> str:
    names = found.namespaces
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    plural = "namespaces" if len(names) > 1 else "namespace"
    return f"{plural} {', '.join(names[:8])}{more}" if names else "no namespace yet"


def _steps(steps: Iterable[PlannedStep], first: str) -> Table:
    made = rows(first, "OBJECT", "WHY")
    for step in steps:
        made.add_row(*map(Text, (step.action, step.object, step.why or NONE)))
    return made
