"""The warm cache of our own resources on every replica: bytes by key, filled by kopf's events and by our writes.

A request is a key, so the queue holds keys only and a reconcile reads the resource here. Bytes, not objects: a policy
takes about two KiB. Neighbours: `watch` and `resync` fill it, `imagepolicy` reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from pydantic import ValidationError

from pawl.api.errors import Stalled
from pawl.api.imagepolicy import ImagePolicy
from pawl.api.meta import REQUESTED_AT, REQUESTED_AT_FLUX
from pawl.api.reasons import Reason
from pawl.controllers.queue import Key

_ENCODER: Final = msgspec.json.Encoder()


class _Meta(msgspec.Struct):
    name: str
    namespace: str = ""
    resource_version: str = msgspec.field(name="resourceVersion", default="")
    generation: int = 0
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class _Spec(msgspec.Struct):
    image: str = ""


class _Head(msgspec.Struct):
    metadata: _Meta
    spec: _Spec


_HEAD: Final = msgspec.json.Decoder(_Head)


@dataclass(frozen=True, slots=True)
class Row:
    """One resource. `asked_at` (monotonic seconds): an answer of the registry must not be older than this."""

    raw: bytes
    version: int
    lane: str
    asked_at: float


class PolicyStore:
    """Policies by key; the newest version wins, whichever way it came."""

    def __init__(self, lane_of_image: Callable[[str], str]) -> None:
        self._rows: dict[Key, Row] = {}
        self._lane_of_image = lane_of_image

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Key]:
        return iter(tuple(self._rows))

    @staticmethod
    def key_of(raw: bytes) -> Key:
        """Return the key of a resource."""
        meta = _HEAD.decode(raw).metadata
        return Key("ImagePolicy", meta.namespace, meta.name)

    def is_news(self, raw: bytes) -> bool:
        """Whether a resource is newer than what is known."""
        return _number(_HEAD.decode(raw).metadata.resource_version) > self.version(self.key_of(raw))

    def offer(self, body: Mapping[str, object] | bytes, *, asked_at: float) -> Key | None:
        """Keep a resource if it is newer than what is known, and return its key; None where it is not news."""
        raw = body if isinstance(body, bytes) else _ENCODER.encode(body)
        head = _HEAD.decode(raw)
        key = Key("ImagePolicy", head.metadata.namespace, head.metadata.name)
        version, known = _number(head.metadata.resource_version), self._rows.get(key)
        if known is not None and known.version >= version:
            return None
        lane = self._lane_of_image(head.spec.image)
        self._rows[key] = Row(raw, version, lane, asked_at)
        return key

    def keep(self, raw: bytes, *, asked_at: float) -> None:
        """Keep the answer to a write of our own: it is news for nobody, also where its event came first."""
        key, version = self.key_of(raw), _number(_HEAD.decode(raw).metadata.resource_version)
        known = self._rows.get(key)
        if known is None or known.version <= version:
            lane = known.lane if known else self._lane_of_image(_HEAD.decode(raw).spec.image)
            self._rows[key] = Row(raw, version, lane, asked_at)

    def drop(self, key: Key) -> None:
        """Forget a resource that was deleted."""
        self._rows.pop(key, None)

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


def read_policy(raw: bytes) -> ImagePolicy:
    """Read a policy. Raises Stalled(InvalidSpec) where this version of Pawl does not know what it says."""
    try:
        return ImagePolicy.model_validate(msgspec.json.decode(raw))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(map(str, fault["loc"]))
        text = f"this version of Pawl cannot read {field}: {fault['msg']}; upgrade Pawl or change the field"
        raise Stalled(Reason.INVALID_SPEC, text) from error


def requested_at(policy: ImagePolicy) -> str | None:
    """Return the value of the annotation that asks for a run now; ours goes before Flux's."""
    notes = policy.metadata.annotations
    return notes.get(REQUESTED_AT) or notes.get(REQUESTED_AT_FLUX)


def _number(version: str) -> int:
    """ResourceVersions of one kind are comparable integers since Kubernetes 1.35; anything else counts as news."""
    return int(version) if version.isdecimal() else 1 << 62
