"""Policies as rows: what `pawl status` shows of each, as a table for people and as documents for scripts. Pure.

Neighbours: `table_holds` says what holds, `table_detail` shows one policy, `status` reads them. Not here: the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError
from rich.table import Table
from rich.text import Text

from pawl.api.imagepolicy import ImagePolicy
from pawl.api.reasons import ConditionType
from pawl.cli.table_holds import Hold, holds_of

NONE: Final = "-"
_UNITS: Final = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A policy that this version of Pawl cannot read, most likely written for a newer one."""

    namespace: str
    name: str
    fault: str


Seen = ImagePolicy | Unreadable


def read(document: Mapping[str, Any]) -> Seen:
    """Read one object of a list, or say why it cannot be read."""
    try:
        return ImagePolicy.model_validate(document)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"])) or "object"
        metadata = document.get("metadata") or {}
        return Unreadable(metadata.get("namespace", ""), metadata.get("name", ""), f"{where}: {fault['msg']}")


def ready(seen: Seen) -> str:
    """The status of the condition Ready: True, False, or Unknown where there is none yet."""
    if isinstance(seen, Unreadable):
        return "Unknown"
    said = (condition.status for condition in seen.status.conditions if condition.type == ConditionType.READY)
    return next(said, "Unknown")


def age(since: datetime, now: datetime) -> str:
    """A span in its greatest unit and the one after it, such as 3d4h or 12m; a moment to come counts as 0s."""
    seconds = max(int((now - since).total_seconds()), 0)
    amounts = []
    for unit, size in _UNITS:
        amount, seconds = divmod(seconds, size)
        amounts.append((amount, unit))
    first = next((place for place, (amount, _) in enumerate(amounts) if amount), len(amounts) - 1)
    return "".join(f"{amount}{unit}" for amount, unit in amounts[first : first + 2] if amount) or "0s"


def short(digest: str) -> str:
    """The first twelve digits of a digest."""
    return digest.removeprefix("sha256:")[:12] or NONE


def table(policies: Sequence[Seen], now: datetime, *, wide: bool = False) -> Table:
    """Return the table; `wide` adds image, epoch, sequence and cause."""
    more = ("IMAGE", "EPOCH", "SEQUENCE", "CAUSE") if wide else ()
    heads = ("NAMESPACE", "NAME", "TAG", "DIGEST", "READY", "WHAT HOLDS IT", "PENDING", "SELECTED", *more)
    made = Table(*heads, box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for seen in sorted(policies, key=_place):
        made.add_row(*_row(seen, now, wide=wide))
    return made


def _place(seen: Seen) -> tuple[str, str]:
    if isinstance(seen, Unreadable):
        return seen.namespace, seen.name
    return seen.metadata.namespace, seen.metadata.name


def _row(seen: Seen, now: datetime, *, wide: bool) -> list[Text]:
    namespace, name = (Text(word) for word in _place(seen))
    if isinstance(seen, Unreadable):
        return [namespace, name, Text(NONE), Text(NONE), state(seen), Text(f"cannot be read: {seen.fault}", "yellow")]
    held, waits = seen.status.selection, seen.status.pending
    cells = [
        namespace,
        name,
        Text(held.tag if held else NONE, "bold"),
        Text(short(held.digest) if held else NONE),
        state(seen),
        _words(holds_of(seen)),
        Text(waits.tag if waits else NONE),
        Text(f"{age(held.selected_at, now)} ago" if held else NONE),
    ]
    if wide:
        ranks = (str(held.epoch), str(held.sequence), held.cause.value) if held else (NONE, NONE, NONE)
        cells += [Text(word) for word in (seen.spec.image, *ranks)]
    return cells


def state(seen: Seen) -> Text:
    """Ready as a coloured word."""
    word = ready(seen)
    return Text(word, {"True": "green", "False": "red"}.get(word, "yellow"))


def _words(holds: Sequence[Hold]) -> Text:
    return Text(", ".join(hold.words for hold in holds), "yellow") if holds else Text("nothing", "dim")


def document(seen: Seen) -> dict[str, Any]:
    """Return what scripts read of one policy: stable names, absent things null or empty."""
    namespace, name = _place(seen)
    if isinstance(seen, Unreadable):
        return {"namespace": namespace, "name": name, "ready": ready(seen), "unreadable": seen.fault}
    held, waits, status = seen.status.selection, seen.status.pending, seen.status
    return {
        "namespace": namespace,
        "name": name,
        "image": seen.spec.image,
        "ready": ready(seen),
        "selection": held.wire() if held else None,
        "ordering": status.ordering,
        "holds": [
            {"type": hold.type, "reason": hold.reason, "message": hold.message, "next": hold.advice}
            for hold in holds_of(seen)
        ],
        "pending": waits.wire() if waits else None,
        "blocked": [*seen.spec.blocked, *(tag for tag in status.blocked if tag not in seen.spec.blocked)],
        "rollback": status.rollback.wire() if status.rollback else None,
        "history": [entry.wire() for entry in status.history],
    }
