"""The trace of a Pod's images as people and scripts read it, a step a line. Pure.

Neighbours: `why_trace` makes it, `why` prints. Not here: the cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pawl.api.imageoverride import Verdict
from pawl.cli.status_print import grid, head, rows, section
from pawl.cli.table_policies import NONE
from pawl.cli.why_trace import Ground, Secrets, Selected, Traced
from pawl.decide.objects import PodRow, WorkloadRow

_COLOURS = {Verdict.VERIFIED.value: "green", Verdict.MISMATCH.value: "red", Verdict.DRIFTED.value: "red"}


def pod_view(pod: PodRow, owners: Iterable[WorkloadRow], traced: Iterable[Traced], secrets: Secrets) -> RenderableType:
    """Return the view of one Pod."""
    made_by = " ← ".join(row.key for row in owners)
    place = f"  on {pod.node}" if pod.node else ""
    title = Text.assemble((f"Pod {pod.namespace}/{pod.name}", "bold"), place)
    parts: list[RenderableType] = [title, *([section(Text(f"made by {made_by}", "dim"))] if made_by else [])]
    parts += [image_view(one) for one in traced]
    named = list(_secret_lines(secrets))
    return Group(*parts, *([head("Pull Secrets"), *map(section, named)] if named else []))


def image_view(one: Traced) -> RenderableType:
    """Return the view of one image place."""
    parts: list[RenderableType] = [head(f"{one.group}/{one.container}" if one.container else "Image")]
    facts = grid(2)
    for name, value in _pairs(one):
        facts.add_row(Text(name, "dim"), value)
    parts.append(section(facts))
    if len(one.rules) > 1:
        parts += [section(Text("rules that matched, in order", "dim")), section(section(_rules(one)))]
    return Group(*parts)


def ground_line(ground: Ground) -> str:
    """Say which table was asked."""
    return f"read from {ground.table_name}" if ground.table_name else "no table holds here"


def pod_document(
    pod: PodRow, owners: Iterable[WorkloadRow], ground: Ground, found: tuple[Iterable[Traced], Secrets]
) -> dict[str, Any]:
    """Return what scripts read of one Pod: stable names, absent things null or empty."""
    traced, secrets = found
    return {
        "namespace": pod.namespace,
        "pod": pod.name,
        "node": pod.node,
        "owners": [row.key for row in owners],
        "table": ground.table_name,
        "images": [image_document(one) for one in traced],
        "pullSecrets": {"added": list(secrets.added), "missing": list(secrets.missing)},
    }


def image_document(one: Traced) -> dict[str, Any]:
    """Return what scripts read of one image place."""
    return {
        "place": one.group,
        "container": one.container,
        "original": {"image": one.original.image, "from": one.original.where},
        "rules": [
            {
                "override": rule.override,
                "rule": rule.rule,
                "source": rule.source,
                "result": rule.result,
                "wins": rule.wins,
                "why": rule.why,
            }
            for rule in one.rules
        ],
        "outcome": one.outcome,
        "override": one.override or None,
        "rule": one.rule,
        "policy": _policy_document(one.selected),
        "wanted": one.wanted or None,
        "inSpec": one.in_spec or None,
        "imageID": one.image_id or None,
        "verdict": one.verdict or None,
        "reason": one.reason or None,
        "message": one.message,
    }


def _policy_document(found: Selected | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "policy": found.policy,
        "epoch": found.epoch,
        "sequence": found.sequence,
        "cause": found.cause or None,
        "note": found.note,
    }


def _pairs(one: Traced) -> Iterator[tuple[str, Text]]:
    yield "original", Text.assemble(one.original.image, (f"  ({one.original.where})", "dim"))
    if one.override:
        won = next((rule for rule in one.rules if rule.wins), None)
        why = f": {won.source} → {won.result}; {won.why}" if won is not None else ""
        yield "decided by", Text(f"{one.override}, rule {one.rule}{why}")
    if one.selected is not None:
        yield "policy", Text(_selected(one.selected))
    if one.wanted:
        yield "wanted", Text(one.wanted, "bold")
    if one.in_spec:
        yield "Pod's spec", Text(one.in_spec)
        yield "node runs", Text(one.image_id or "nothing yet")
    if one.verdict:
        yield "verdict", Text.assemble((one.verdict, _COLOURS.get(one.verdict, "yellow")), f"  {one.message}")
    elif one.message or one.outcome not in ("Rewritten", "Same"):
        yield "outcome", Text(f"{one.outcome}: {one.message}" if one.message else one.outcome)


def _selected(found: Selected) -> str:
    cause = f", cause {found.cause}" if found.cause else ""
    note = f" ({found.note})" if found.note else ""
    return f"{found.policy}: epoch {found.epoch}, sequence {found.sequence}{cause}{note}"


def _rules(one: Traced) -> Table:
    made = rows("OVERRIDE", "RULE", "SOURCE", "RESULT", "WHY")
    for rule in one.rules:
        style = "bold" if rule.wins else ""
        words = (rule.override, str(rule.rule), rule.source, rule.result or NONE, rule.why)
        made.add_row(*(Text(word, style) for word in words))
    return made


def _secret_lines(secrets: Secrets) -> Iterator[Text]:
    if secrets.added:
        yield Text(f"added by the gate: {', '.join(secrets.added)}")
    if secrets.missing:
        said = "the table gives them, and this Pod lacks them: it was made before, or past the gate"
        yield Text(f"missing: {', '.join(secrets.missing)} ({said})", "yellow")
