"""The overrides of both kinds as they are known now, parsed once a version.

Neighbours: `store` keeps bytes, `watch` and `resync` fill it, `imagerules` and `imageoverride` read it.
Not here: what overrides mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pawl.api.errors import Stalled
from pawl.api.imageoverride import ClusterImageOverride, ImageOverride, Override
from pawl.cluster.resources import CLUSTER_IMAGE_OVERRIDES, IMAGE_OVERRIDES, Resource
from pawl.controllers.queue import Key
from pawl.controllers.store import ObjectStore, read

NAMESPACED = "ImageOverride"
CLUSTERED = "ClusterImageOverride"


class OverrideStore:
    """Two stores as one. `clustered` False leaves ClusterImageOverrides out: a namespaced install may not see them."""

    def __init__(self, *, clustered: bool = True) -> None:
        self._stores = {NAMESPACED: ObjectStore(NAMESPACED, IMAGE_OVERRIDES)}
        if clustered:
            self._stores[CLUSTERED] = ObjectStore(CLUSTERED, CLUSTER_IMAGE_OVERRIDES)
        self._parsed: dict[Key, tuple[int, Override | Stalled]] = {}
        self._last: dict[Key, Override] = {}
        self.blind = False
        """Whether a kind cannot be read: what is not seen must not be taken for gone."""

    def __iter__(self) -> Iterator[Key]:
        return (key for store in self._stores.values() for key in store)

    def __bool__(self) -> bool:
        return any(len(store) for store in self._stores.values())

    @property
    def clustered(self) -> bool:
        """Whether ClusterImageOverrides are seen."""
        return CLUSTERED in self._stores

    @property
    def stores(self) -> tuple[ObjectStore, ...]:
        """The store of each kind."""
        return tuple(self._stores.values())

    def listen(self, listener: Callable[[Key], None]) -> None:
        """Tell `listener` about every change, also by writes of our own."""
        for store in self._stores.values():
            store.listen(listener)

    def get(self, key: Key) -> Override | None:
        """Return an override, None where there is none. Raises Stalled(InvalidSpec) for one that cannot be read."""
        row = self._stores[key.kind].row(key) if key.kind in self._stores else None
        if row is None:
            _, last = self._parsed.pop(key, (-1, None))
            if last is not None and not isinstance(last, Stalled):
                self._last[key] = last
            return None
        version, found = self._parsed.get(key, (-1, None))
        if found is None or version != row.version:
            found = _parse(key, row.raw)
            self._parsed[key] = (row.version, found)
        if isinstance(found, Stalled):
            raise found
        return found

    def last(self, key: Key) -> Override | None:
        """Return what an override that is gone said last, None where that was not seen."""
        return self._last.get(key)

    def forget(self, key: Key) -> None:
        """Forget what an override said that is gone."""
        self._last.pop(key, None)

    def readable(self) -> tuple[Override, ...]:
        """Return all overrides that this version of Pawl can read."""
        found = []
        for key in self:
            try:
                override = self.get(key)
            except Stalled:
                continue
            if override is not None:
                found.append(override)
        return tuple(found)

    def unreadable(self) -> frozenset[str]:
        """Return the labels of overrides that this version of Pawl cannot read: what they hold is not taken back."""
        found = set()
        for key in self:
            try:
                self.get(key)
            except Stalled:
                found.add(f"{key.namespace}/{key.name}" if key.namespace else key.name)
        return frozenset(found)

    def keep(self, key: Key, raw: bytes) -> None:
        """Keep the answer to a write of our own."""
        self._stores[key.kind].keep(raw, asked_at=0.0)

    def offer(self, key: Key, raw: bytes) -> None:
        """Keep what was read."""
        self._stores[key.kind].offer(raw, asked_at=0.0)

    def drop(self, key: Key) -> None:
        """Forget an override that is gone."""
        self._stores[key.kind].drop(key)


def _parse(key: Key, raw: bytes) -> Override | Stalled:
    model: type[ImageOverride | ClusterImageOverride]
    model = ImageOverride if key.kind == NAMESPACED else ClusterImageOverride
    try:
        return read(model, raw)
    except Stalled as stalled:
        return stalled


def key_of(override: Override) -> Key:
    """Return the key of an override."""
    return Key(override.kind, override.metadata.namespace, override.metadata.name)


def label_of(override: Override) -> str:
    """Return how tables and findings name an override: `namespace/name`, or the name of a cluster-wide one."""
    meta = override.metadata
    return f"{meta.namespace}/{meta.name}" if override.kind == NAMESPACED else meta.name


def resource_of(key: Key) -> Resource:
    """Return the path of an override's kind."""
    return IMAGE_OVERRIDES if key.kind == NAMESPACED else CLUSTER_IMAGE_OVERRIDES
