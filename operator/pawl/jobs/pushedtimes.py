"""When tags were pushed, carried along when a registry moves: a copy has the times of the copying.

Without it a rule that keeps the last ten tags would keep any ten after a move. What was written to a tag since the move
has its own time again. Neighbours: `migrate` carries, `inventory` reads. Not here: what times mean
(`decide.retention`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import msgspec

from pawl.decide.layout import OWN, REPOSITORIES, EntryKind, parse
from pawl.jobs.store import ObjectMissing, Store

KEY: Final = f"{OWN}pushed.json"
_LARGEST: Final = 256 << 20


class Pushed(msgspec.Struct, frozen=True):
    """Times by repository and tag, in seconds since the epoch. `until`: when the copy wrote the last tag."""

    until: float = 0.0
    tags: dict[str, dict[str, float]] = {}

    def time_of(self, repository: str, tag: str, modified: float) -> float:
        """Return when a tag was pushed that the store says was written at `modified`."""
        return self.tags.get(repository, {}).get(tag, modified) if modified <= self.until else modified


async def read_pushed(store: Store) -> Pushed:
    """Return the times that came along when the store was filled by a move. Raises StoreError."""
    try:
        return msgspec.json.decode(await store.read(KEY, _LARGEST), type=Pushed)
    except (ObjectMissing, msgspec.MsgspecError):
        return Pushed()


async def carry_pushed(source: Store, target: Store) -> None:
    """Leave the times of the source's tags at the target, once both hold the same and rest. Raises StoreError."""
    earlier, times = await read_pushed(source), dict[str, dict[str, float]]()
    async for repository, tag, modified in _tags(source):
        times.setdefault(repository, {})[tag] = earlier.time_of(repository, tag, modified)
    until = max([modified async for _, _, modified in _tags(target)], default=0.0)
    await target.write(KEY, msgspec.json.encode(Pushed(until, times)))


async def _tags(store: Store) -> AsyncIterator[tuple[str, str, float]]:
    async for page in store.list(REPOSITORIES):
        for found in page:
            entry = parse(found.key)
            if entry.kind is EntryKind.TAG_CURRENT_LINK:
                yield entry.repository, entry.tag, found.modified
