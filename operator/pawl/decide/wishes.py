"""Whether a wish for a collection still stands: one that could not be met in its time deletes nothing later.

A wish is the value of the annotation collect.pawl.dev/requestedAt. Who makes one means now: weeks later, when a
registry goes on, nobody thinks of it any more. Neighbours: `decide.storagemachine_collection` meets wishes,
`controllers.registryreport` says which were dropped. Not here: schedules and pressure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pawl.api.reasons import Reason

PATIENCE: Final = timedelta(hours=1)
"""How long a wish waits for what keeps it from being met, as a migration."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The newest wish of a registry, and the last one that was met or dropped."""

    value: str | None
    handled: str | None

    @property
    def open(self) -> bool:
        """Whether there is one that was neither met nor dropped."""
        return self.value is not None and self.value != self.handled


def dropped(wish: Wish, now: datetime, *, suspended: bool) -> tuple[Reason, str] | None:
    """Say why a wish is not met any more; None where it still may be, or there is none.

    A value that is no time never grows old.
    """
    if not wish.open or wish.value is None:
        return None
    shown = f"the collection that collect.pawl.dev/requestedAt={wish.value[:64]} asks for is not begun"
    if suspended:
        return Reason.SUSPENDED, f"{shown}: spec.suspend is set; ask again once it is not"
    made = _moment(wish.value)
    if made is None or now - made <= PATIENCE:
        return None
    return Reason.BUSY, f"{shown}: it could not begin within an hour; ask again"


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
