"""The memory of a registry in its two copies: the ledger is written first, the status after it, the greater one counts.

A crash between the two leaves the newer copy in the ledger; a restored backup brings an older one, and the join of both
is the newer again. Neighbours: `cluster.registryledger` stores, `decide.storagemachine` joins. Not here: decisions.
"""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from pawl.api.errors import Conflict, Stalled
from pawl.api.reasons import Reason
from pawl.api.registrystorage import RegistryStorage, RegistryStorageStatus
from pawl.cluster.registryledger import RegistryLedger, Stored
from pawl.controllers.queue import Key
from pawl.decide.registrynames import Names
from pawl.decide.storagefacts import Memory
from pawl.decide.storagemachine import merge

FIELDS: Final = ("revision", "store", "held", "freeze", "migration", "collection")


class MemoryBook:
    """Both copies, of every registry. One for a term: what was read once is known until somebody else writes."""

    def __init__(self, ledger: RegistryLedger) -> None:
        self._ledger = ledger
        self._known: dict[Key, Stored] = {}

    async def read(self, key: Key, storage: RegistryStorage) -> Memory:
        """Return what is known of a registry. Raises ClusterError; Stalled for a ledger that nobody can read."""
        if key not in self._known:
            self._known[key] = await self._ledger.read(key.namespace, key.name)
        return merge(memory_of(storage.status), self._parsed(key))

    async def write(self, key: Key, memory: Memory) -> None:
        """Store the ledger if it says something else. Raises Conflict where another wrote: read again."""
        text, known = text_of(memory), self._known.get(key, Stored())
        if text == known.text:
            return
        try:
            self._known[key] = await self._ledger.write(key.namespace, key.name, text, known.resource_version)
        except Conflict:
            self.forget(key)
            raise

    async def check(self, key: Key, *, there: bool) -> None:
        """Have the ledger written again where it was deleted, or lost the label by which it is found."""
        known = self._known.get(key)
        if known is not None and known.resource_version is not None and not there:
            found = await self._ledger.read(key.namespace, key.name)
            self._known[key] = Stored(None, found.resource_version)

    def forget(self, key: Key) -> None:
        """Read the ledger anew at the next look."""
        self._known.pop(key, None)

    def _parsed(self, key: Key) -> Memory:
        text = self._known[key].text
        if text is None:
            return Memory()
        try:
            return memory_of(RegistryStorageStatus.model_validate_json(text))
        except ValidationError:
            self.forget(key)
            raise Stalled(Reason.LEDGER_INVALID, _unreadable(key)) from None


def memory_of(status: RegistryStorageStatus) -> Memory:
    """Return the memory that stands in a status."""
    return Memory(**{field: getattr(status, field) for field in FIELDS})


def onto(status: RegistryStorageStatus, memory: Memory) -> RegistryStorageStatus:
    """Return a status with this memory in it."""
    return status.model_copy(update={field: getattr(memory, field) for field in FIELDS})


def text_of(memory: Memory) -> str:
    """Return the memory as it is stored; equal memories are equal texts."""
    status = onto(RegistryStorageStatus(), memory)
    return status.model_dump_json(by_alias=True, exclude_none=True, include=set(FIELDS))


def _unreadable(key: Key) -> str:
    return (
        f"ConfigMap {Names(key.name).ledger} in namespace {key.namespace} cannot be read: it says which store is "
        "served; restore it from a backup, or delete it if status.store of this resource is right"
    )
