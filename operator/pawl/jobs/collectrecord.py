"""What a collection remembers in the store itself, between its halves and over its deaths.

Written before anything is deleted, and never made worse by another go: the bytes of the first go count, and what it
found without need stays so. Neighbours: `collect` reads and writes it, `collectplan` judges with it. Not here: phases
of a collection, which are the operator's (`api.registrystorage_status`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from pawl.api.registrywork import Order
from pawl.decide.compact import Digest, pack, unpack
from pawl.decide.layout import OWN
from pawl.jobs.collectplan import Draft
from pawl.jobs.copystore import CopyStore
from pawl.jobs.graph import breaks
from pawl.jobs.inventory import Inventory
from pawl.jobs.store import ObjectMissing

_PREFIX: Final = f"{OWN}collection-"
_LARGEST: Final = 256 << 20


class Record(msgspec.Struct, frozen=True):
    """What one collection began with.

    Attributes:
        bytes: of all blobs before it.
        tags: how many are to stay.
        excused: what was broken before.
        without_need: manifests that go, by repository; only where a rule keeps manifests without a tag, for once
            their tags are gone they look like those.

    """

    bytes: int = 0
    tags: int = 0
    excused: list[str] = []
    without_need: dict[str, list[str]] = {}

    @property
    def gone(self) -> dict[str, frozenset[Digest]]:
        """What an earlier go found to be without need."""
        return {name: frozenset(map(pack, digests)) for name, digests in self.without_need.items()}


def record_of(inventory: Inventory, order: Order, draft: Draft, before: Record | None) -> Record:
    """Return what is to be remembered before the first deletion of this go."""
    earlier = before or Record(bytes=inventory.bytes, excused=breaks(inventory))
    without = _without_need(inventory, draft) if any(rule.keep_untagged for rule in order.retention) else {}
    for name, digests in earlier.without_need.items():
        without[name] = sorted({*digests, *without.get(name, ())})
    return msgspec.structs.replace(earlier, tags=draft.plan.tags - draft.plan.delete_tags, without_need=without)


def _without_need(inventory: Inventory, draft: Draft) -> dict[str, list[str]]:
    found = {
        name: sorted(unpack(digest) for digest in held.revisions.keys() - draft.judged[name].kept)
        for name, held in inventory.repositories.items()
    }
    return {name: digests for name, digests in found.items() if digests}


def excuse(record: Record, broken: Iterable[str]) -> list[str]:
    """Return what is broken now and was not before."""
    known = frozenset(record.excused)
    return [sentence for sentence in broken if sentence not in known]


async def read_record(store: CopyStore, collection: str) -> Record | None:
    """Return what an earlier go left, None where there was none. Raises StoreError."""
    try:
        return msgspec.json.decode(await store.read(_key(collection), _LARGEST), type=Record)
    except (ObjectMissing, msgspec.MsgspecError):
        return None


async def write_record(store: CopyStore, collection: str, record: Record) -> None:
    """Leave it for the next go and for the other half; records of collections before are of no use any more."""
    await store.write(_key(collection), msgspec.json.encode(record))
    async for page in store.list(OWN):
        old = [found.key for found in page if found.key.startswith(_PREFIX) and found.key != _key(collection)]
        await store.delete_many(old)


def _key(collection: str) -> str:
    return f"{_PREFIX}{collection}.json"
