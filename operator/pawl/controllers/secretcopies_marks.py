"""What a copy of a pull Secret looks like, and who may have one. Pure; no value of a Secret is ever shown here.

Neighbours: `secretcopies` reads and writes. Not here: the API server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from pawl.controllers.access import CONFIG_KEY
from pawl.controllers.pullkeys import CONFIG_TYPE
from pawl.decide.objects import ALLOW_COPY_TO, COPIED_FOR, COPIED_FROM, MANAGER

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
_BRACKETS: Final = re.compile(r"[\[\]]")


class Meta(msgspec.Struct, frozen=True):
    """The part of an object's metadata that counts here."""

    name: str
    namespace: str
    uid: str
    resource_version: str = msgspec.field(name="resourceVersion")
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None

    @property
    def ours(self) -> bool:
        """Whether Pawl made it as a copy."""
        return (self.labels or {}).get(MANAGED_BY) == MANAGER and bool(self.note(COPIED_FROM))

    @property
    def wanted_for(self) -> frozenset[str]:
        """The overrides that want this copy."""
        return frozenset(part for part in self.note(COPIED_FOR).split(",") if part)

    def note(self, key: str) -> str:
        """Return an annotation, empty if there is none."""
        return (self.annotations or {}).get(key, "")


class StoredSecret(msgspec.Struct, frozen=True):
    """A Secret as stored, its values still in base64. Shows its keys, never its values."""

    metadata: Meta
    type: str = "Opaque"
    data: dict[str, str] | None = None

    @property
    def config(self) -> str:
        """The one value that is copied, in base64; empty if there is none."""
        return (self.data or {}).get(CONFIG_KEY, "")

    def __repr__(self) -> str:
        return f"StoredSecret({self.metadata.namespace}/{self.metadata.name}, keys={sorted(self.data or {})})"


@dataclass(frozen=True, slots=True)
class CopyWish:
    """An override wants a Secret of another namespace in one of its own. `override` names it, without commas."""

    source_namespace: str
    source_name: str
    namespace: str
    name: str
    override: str

    @property
    def source(self) -> str:
        """namespace/name of the source."""
        return f"{self.source_namespace}/{self.source_name}"

    @property
    def target(self) -> str:
        """namespace/name of the copy."""
        return f"{self.namespace}/{self.name}"


def granted(source: StoredSecret, namespace: str) -> bool:
    """Whether the owner of a Secret lets a namespace have a copy: names and globs (`*`, `?`) with commas between."""
    patterns = (part.strip() for part in source.metadata.note(ALLOW_COPY_TO).split(","))
    return any(fnmatchcase(namespace, pattern) for pattern in patterns if pattern and not _BRACKETS.search(pattern))


def body_of(wish: CopyWish, source: StoredSecret) -> dict[str, object]:
    """Return a new copy. The owner's grant is not copied: a copy is never a source."""
    metadata = {
        "name": wish.name,
        "namespace": wish.namespace,
        "labels": {MANAGED_BY: MANAGER},
        "annotations": {COPIED_FROM: wish.source, COPIED_FOR: wish.override},
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": CONFIG_TYPE,
        "data": {CONFIG_KEY: source.config},
    }


def patch_of(wish: CopyWish, source: StoredSecret, copy: StoredSecret) -> dict[str, object] | None:
    """Return the merge patch that makes a copy right, or None if it is."""
    values: dict[str, str | None] = {key: None for key in copy.data or {} if key != CONFIG_KEY}
    if copy.config != source.config:
        values[CONFIG_KEY] = source.config
    notes = _changed(
        copy.metadata, {COPIED_FROM: wish.source, COPIED_FOR: marks(copy.metadata.wanted_for | {wish.override})}
    )
    if not values and not notes:
        return None
    metadata = {"resourceVersion": copy.metadata.resource_version, "annotations": notes}
    return {"metadata": metadata, "data": values}


def unmark_of(copy: Meta, left: Iterable[str]) -> dict[str, object]:
    """Return the merge patch that leaves a copy to the overrides that still want it."""
    return {"metadata": {"resourceVersion": copy.resource_version, "annotations": {COPIED_FOR: marks(left)}}}


def marks(overrides: Iterable[str]) -> str:
    """Return the annotation for a set of overrides, the same text for the same set."""
    return ",".join(sorted(overrides))


def _changed(copy: Meta, wanted: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in wanted.items() if copy.note(key) != value}
