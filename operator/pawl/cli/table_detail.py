"""One policy in full: what is selected and why, what was said of it, and what to do next. Pure.

Neighbours: `table_policies` shows many in a line each, `table_holds` has the sentences. Not here: the cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pawl.api.imagepolicy import HistoryEntry, ImagePolicy, Select
from pawl.api.meta import Condition
from pawl.api.reasons import ConditionType
from pawl.cli.table_holds import holds_of
from pawl.cli.table_policies import NONE, age, state

HISTORY: Final = 10
"""Decisions shown; status keeps twenty."""
_GOOD_WHEN_TRUE: Final = frozenset({ConditionType.READY, ConditionType.SCAN_COMPLETE, ConditionType.BOOTSTRAPPED})


def detail(policy: ImagePolicy, now: datetime) -> RenderableType:
    """Return the view of one policy at a moment."""
    title = Text.assemble((f"{policy.metadata.namespace}/{policy.metadata.name}", "bold"), "  ready: ", state(policy))
    parts: list[RenderableType] = [title, _section(_facts(policy, now))]
    parts += [_head("Conditions"), _section(_conditions(policy, now))]
    if policy.status.history:
        parts += [_head("Last decisions, newest first"), _section(_history(policy.status.history, now))]
    return Group(*parts, _head("What to do next"), *_next(policy))


def _head(text: str) -> RenderableType:
    return Text(f"\n{text}", "bold")


def _section(content: RenderableType) -> RenderableType:
    return Padding(content, (0, 0, 0, 2))


def _grid() -> Table:
    return Table.grid(padding=(0, 3, 0, 0))


def _facts(policy: ImagePolicy, now: datetime) -> Table:
    made = _grid()
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in _pairs(policy, now):
        made.add_row(name, Text(value))
    return made


def _pairs(policy: ImagePolicy, now: datetime) -> Iterator[tuple[str, str]]:
    spec, status, held = policy.spec, policy.status, policy.status.selection
    yield "image", spec.image
    yield "strategy", f"{strategy(spec.select)}, every {spec.interval}"
    if held is None:
        yield "selection", "none"
    else:
        yield "selection", f"{held.tag}, {age(held.selected_at, now)} ago, cause {held.cause.value}"
        yield "reference", held.reference
        yield "position", f"epoch {held.epoch}, sequence {held.sequence}"
    yield "ordering", status.ordering or NONE
    if status.pending is not None:
        waits = status.pending
        gates = ", ".join(waits.waiting_for)
        yield "pending", f"{waits.tag}@{waits.digest} waits for {gates}, first seen {age(waits.first_seen, now)} ago"
    if status.rollback is not None:
        mark = status.rollback
        yield "rollback", f"{mark.nonce} took back {mark.from_}, holds {mark.hold.value}"
    blocked = [f"{tag} (spec)" for tag in spec.blocked] + [f"{tag} (rollback)" for tag in status.blocked]
    if blocked:
        yield "blocked", ", ".join(blocked)
    if status.scan is not None:
        yield "last scan", f"{status.scan.tags} tags, {'complete' if status.scan.complete else 'not complete'}"


def strategy(select: Select) -> str:
    """The strategy of a policy in a few words."""
    if select.semver is not None:
        return f"semver {select.semver.range}"
    if select.digest is not None:
        return f"digest of tag {select.digest.tag}"
    chosen = select.numerical or select.alphabetical
    kind = "numerical" if select.numerical is not None else "alphabetical"
    return f"{kind} {chosen.order.value}" if chosen is not None else NONE


def _conditions(policy: ImagePolicy, now: datetime) -> Table:
    made = _grid()
    made.add_column(no_wrap=True)
    made.add_column(no_wrap=True)
    made.add_column(no_wrap=True)
    made.add_column(no_wrap=True, style="dim")
    made.add_column(overflow="fold")
    for said in policy.status.conditions:
        made.add_row(_coloured(said), said.status, said.reason, age(said.last_transition_time, now), Text(said.message))
    return made


def _coloured(said: Condition) -> Text:
    good = (said.status == "True") is (said.type in _GOOD_WHEN_TRUE)
    return Text(said.type, "green" if good else "yellow")


def _history(entries: Iterable[HistoryEntry], now: datetime) -> Table:
    made = _grid()
    for _ in range(4):
        made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for entry in list(entries)[: -HISTORY - 1 : -1]:
        move = f"{_tag(entry.from_)} → {_tag(entry.to)}"
        why = f"{entry.who}: {entry.reason}" if entry.reason else entry.who
        rank = f"epoch {entry.epoch}, sequence {entry.sequence}"
        made.add_row(Text(age(entry.time, now), "dim"), entry.cause.value, move, rank, Text(why, "dim"))
    return made


def _tag(label: str | None) -> str:
    """The tag of tag@digest."""
    return (label or "nothing").partition("@")[0]


def _next(policy: ImagePolicy) -> Iterator[RenderableType]:
    holds = holds_of(policy)
    for hold in holds:
        yield _section(Text.assemble((f"{hold.words}: ", "yellow"), hold.advice))
    if not holds:
        yield _section(Text(_calm(policy)))


def _calm(policy: ImagePolicy) -> str:
    if policy.status.selection is not None:
        return "Nothing."
    ready = next((said for said in policy.status.conditions if said.type == ConditionType.READY), None)
    if ready is None:
        return (
            "No replica of Pawl has looked at this policy yet: is `pawl run` running and does it watch this namespace?"
        )
    return f"Nothing is selected: {ready.message}."
