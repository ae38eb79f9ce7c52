"""The warm cache of our own resources on every replica: bytes by key, filled by kopf's events and by our writes.

A request is a key, so the queue holds keys only and a reconcile reads the resource here. Bytes, not objects: a policy
takes about two KiB. Neighbours: `watch` and `resync` fill it, `imagepolicy` and `imageoverride` read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError

from pawl.api.errors import Stalled
from pawl.api.imageoverride import Override
from pawl.api.imagepolicy import ImagePolicy
from pawl.api.meta import COLLECT_AT, REQUESTED_AT, REQUESTED_AT_FLUX
from pawl.api.reasons import Reason
from pawl.api.registrystorage import RegistryStorage
from pawl.cluster.resources import IMAGE_POLICIES, Resource
from pawl.controllers.queue import Key
from pawl.controllers.registrymarks import LEAVE
from pawl.decide.objects import COPIES

T = TypeVar("T", bound=BaseModel)

_ENCODER: Final = msgspec.json.Encoder()


class _Meta(msgspec.Struct, omit_defaults=True, rename="camel"):
    """What is kept of the metadata: managedFields and foreign annotations are more than half of an object."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    finalizers: list[str] = msgspec.field(default_factory=list)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class _Spec(msgspec.Struct):
    image: str = ""


class _Narrow(msgspec.Struct, omit_defaults=True, rename="camel"):
    """What is kept of a resource: spec and status as they came."""

    metadata: _Meta
    spec: msgspec.Raw = msgspec.Raw(b"{}")
    api_version: str = ""
    kind: str = ""
    status: msgspec.Raw = msgspec.Raw(b"{}")


class _Item(msgspec.Struct):
    metadata: _Meta


class _Page(msgspec.Struct):
    items: list[_Item] | None = None  # Go writes an empty list as null


_PAGE: Final = msgspec.json.Decoder(_Page)
_NARROW: Final = msgspec.json.Decoder(_Narrow)
_SPEC: Final = msgspec.json.Decoder(_Spec)
_OURS: Final = (REQUESTED_AT, REQUESTED_AT_FLUX, COLLECT_AT, COPIES, LEAVE)


@dataclass(frozen=True, slots=True)
class Row:
    """One resource. `asked_at` (monotonic seconds): an answer of the registry must not be older than this."""

    raw: bytes
    version: int
    lane: str
    asked_at: float


def _deaf(_key: Key) -> None:
    """Nobody listens."""


class ObjectStore:
    """Objects of one kind by key; the newest version wins, whichever way it came."""

    def __init__(self, kind: str, resource: Resource) -> None:
        self.kind = kind
        self.resource = resource
        self._rows: dict[Key, Row] = {}
        self._listener: Callable[[Key], None] = _deaf

    def listen(self, listener: Callable[[Key], None]) -> None:
        """Tell `listener` about every change, also by writes of our own."""
        self._listener = listener

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Key]:
        return iter(tuple(self._rows))

    def versions(self, page: bytes) -> dict[Key, int]:
        """Return key and resourceVersion of each object of a list."""
        metas = (item.metadata for item in _PAGE.decode(page).items or ())
        return {self._key(meta): _number(meta.resource_version) for meta in metas}

    def offer(self, body: Mapping[str, object] | bytes, *, asked_at: float) -> Key | None:
        """Keep a resource if it is newer than what is known, and return its key; None where it is not news."""
        found = _NARROW.decode(body if isinstance(body, bytes) else _ENCODER.encode(body))
        key = self._key(found.metadata)
        if key in self._rows and self.version(key) >= _number(found.metadata.resource_version):
            return None
        self._rows[key] = self._row(found, asked_at)
        self._listener(key)
        return key

    def keep(self, raw: bytes, *, asked_at: float) -> int:
        """Keep the answer to a write of our own: it is news for nobody, also where its event came first.

        One that was deleted before the answer came stays deleted. Returns the version that was written.
        """
        found = _NARROW.decode(raw)
        key, version = self._key(found.metadata), _number(found.metadata.resource_version)
        if key in self._rows and self.version(key) <= version:
            self._rows[key] = self._row(found, asked_at)
            self._listener(key)
        return version

    def _row(self, found: _Narrow, asked_at: float) -> Row:
        meta = found.metadata
        meta.annotations = {name: meta.annotations[name] for name in _OURS if name in meta.annotations}
        return Row(_ENCODER.encode(found), _number(meta.resource_version), self._lane(found), asked_at)

    def _lane(self, _found: _Narrow) -> str:
        return ""

    def _key(self, meta: _Meta) -> Key:
        return Key(self.kind, meta.namespace, meta.name)

    def drop(self, key: Key, version: str | None = None) -> None:
        """Forget a resource that was deleted. At `version`: its successor of the same name, which is later, stays."""
        if version is None or self.version(key) <= _number(version):
            self._rows.pop(key, None)
            self._listener(key)

    def version(self, key: Key) -> int:
        """Return the resourceVersion known of a resource, 0 for none."""
        row = self._rows.get(key)
        return row.version if row else 0

    def row(self, key: Key) -> Row | None:
        """Return what is known of a resource."""
        return self._rows.get(key)

    def lane(self, key: Key) -> str:
        """Return the registry host of a policy: the queue shares its places out by host."""
        row = self._rows.get(key)
        return row.lane if row else ""


class PolicyStore(ObjectStore):
    """Policies by key."""

    def __init__(self, lane_of_image: Callable[[str], str]) -> None:
        super().__init__("ImagePolicy", IMAGE_POLICIES)
        self._lane_of_image = lane_of_image

    def _lane(self, found: _Narrow) -> str:
        return self._lane_of_image(_SPEC.decode(found.spec).image)


def read_policy(raw: bytes) -> ImagePolicy:
    """Read a policy. Raises Stalled(InvalidSpec) where this version of Pawl does not know what it says."""
    return read(ImagePolicy, raw)


def read(model: type[T], raw: bytes) -> T:
    """Read an object. Raises Stalled(InvalidSpec) where this version of Pawl does not know what it says."""
    try:
        return model.model_validate(msgspec.json.decode(raw))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(map(str, fault["loc"]))
        text = f"this version of Pawl cannot read {field}: {fault['msg']}; upgrade Pawl or change the field"
        raise Stalled(Reason.INVALID_SPEC, text) from error


def requested_at(found: ImagePolicy | Override | RegistryStorage) -> str | None:
    """Return the value of the annotation that asks for a run now; ours goes before Flux's."""
    notes = found.metadata.annotations
    return notes.get(REQUESTED_AT) or notes.get(REQUESTED_AT_FLUX)


def collection_requested_at(found: RegistryStorage) -> str | None:
    """Return the value of the annotation that asks for a collection now."""
    return found.metadata.annotations.get(COLLECT_AT)


def _number(version: str) -> int:
    """ResourceVersions of one kind are comparable integers since Kubernetes 1.35; anything else counts as news."""
    return int(version) if version.isdecimal() else 1 << 62
