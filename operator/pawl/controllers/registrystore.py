"""The RegistryStorages as they are known now, parsed once a version.

Neighbours: `store` keeps bytes, `watch` and `resync` fill it, `registrystorage` reads it. Not here: what they mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from pawl.api.errors import Stalled
from pawl.api.registrystorage import RegistryStorage
from pawl.cluster.resources import REGISTRY_STORAGES
from pawl.controllers.queue import Key
from pawl.controllers.store import ObjectStore, read

KIND: Final = "RegistryStorage"


class RegistryStore:
    """One store, and what its objects say."""

    def __init__(self) -> None:
        self.objects = ObjectStore(KIND, REGISTRY_STORAGES)
        self._parsed: dict[Key, tuple[int, RegistryStorage | Stalled]] = {}
        self.blind = False
        """Whether the kind cannot be read."""

    def __iter__(self) -> Iterator[Key]:
        return iter(self.objects)

    def __len__(self) -> int:
        return len(self.objects)

    def listen(self, listener: Callable[[Key], None]) -> None:
        """Tell `listener` about every change, also by writes of our own."""
        self.objects.listen(listener)

    def get(self, key: Key) -> RegistryStorage | None:
        """Return a RegistryStorage, None where there is none. Raises Stalled(InvalidSpec) for an unreadable one."""
        row = self.objects.row(key)
        if row is None:
            self._parsed.pop(key, None)
            return None
        version, found = self._parsed.get(key, (-1, None))
        if found is None or version != row.version:
            found = _parse(row.raw)
            self._parsed[key] = (row.version, found)
        if isinstance(found, Stalled):
            raise found
        return found

    def keep(self, raw: bytes) -> None:
        """Keep the answer to a write of our own."""
        self.objects.keep(raw, asked_at=0.0)

    def offer(self, raw: bytes) -> None:
        """Keep what was read."""
        self.objects.offer(raw, asked_at=0.0)

    def drop(self, key: Key) -> None:
        """Forget one that is gone."""
        self.objects.drop(key)


def key_of(storage: RegistryStorage) -> Key:
    """Return the key of a RegistryStorage."""
    return Key(KIND, storage.metadata.namespace, storage.metadata.name)


def _parse(raw: bytes) -> RegistryStorage | Stalled:
    try:
        return read(RegistryStorage, raw)
    except Stalled as stalled:
        return stalled
