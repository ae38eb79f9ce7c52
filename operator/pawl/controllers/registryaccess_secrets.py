"""The Secrets that Pawl keeps for a registry: read by name, made once, changed only as they were read.

A Secret of such a name that Pawl did not make is never written. Neighbours: `registryaccess_tls`, `_users` and
`_spread` say what is in them. Not here: Secrets of users (`cluster.secrets`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from pawl.api.errors import Conflict, Invalid, NotFound, Stalled
from pawl.api.reasons import Reason
from pawl.cluster.client import Cluster
from pawl.cluster.resources import SECRETS
from pawl.decide.objects import MANAGER
from pawl.decide.registrynames import ACCESS, MANAGED_BY, REGISTRY, metadata, owner
from pawl.decide.storagefacts import Identity

OPAQUE: Final = "Opaque"


class _Owner(msgspec.Struct):
    uid: str = ""


class _Meta(msgspec.Struct):
    uid: str = ""
    owners: list[_Owner] | None = msgspec.field(name="ownerReferences", default=None)
    version: str = msgspec.field(name="resourceVersion", default="")
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _Secret(msgspec.Struct):
    metadata: _Meta
    type: str = OPAQUE
    data: dict[str, str] | None = None


_DECODER: Final = msgspec.json.Decoder(_Secret)


@dataclass(frozen=True, slots=True)
class Held:
    """A Secret as stored, decoded. Shows no value. An empty `version` means that there is none yet."""

    type: str = OPAQUE
    values: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    version: str = ""
    uid: str = ""
    owners: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    def text(self, key: str) -> str:
        """Return a value as text; empty where there is none or it is no text."""
        try:
            return self.values.get(key, b"").decode()
        except UnicodeDecodeError:
            return ""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a Secret shall be. Keys that are not named go."""

    name: str
    values: Mapping[str, bytes] = field(repr=False)
    type: str = OPAQUE
    annotations: Mapping[str, str] = field(default_factory=dict)


class OwnSecrets:
    """Reads and writes the Secrets of one registry. Every method may raise a ClusterError."""

    def __init__(self, cluster: Cluster, identity: Identity) -> None:
        self._cluster = cluster
        self._identity = identity

    async def own(self, name: str) -> Held:
        """Return a Secret that is Pawl's or is not there. Raises Stalled for one of somebody else."""
        held = await self.read(name)
        if held is None:
            return Held()
        if not self._is_ours(held):
            where = f"{self._identity.namespace}/{name}"
            text = f"Secret {where} exists and was not made by Pawl for this registry; delete or rename it"
            raise Stalled(Reason.OWNED_BY_OTHER, text)
        return held

    async def read(self, name: str) -> Held | None:
        """Return any Secret of the namespace, None where there is none. Raises Invalid for one that is none."""
        where = f"Secret {self._identity.namespace}/{name}"
        try:
            found = _DECODER.decode(await self._cluster.get(SECRETS, self._identity.namespace, name))
            values = {key: base64.b64decode(each, validate=True) for key, each in (found.data or {}).items()}
        except NotFound:
            return None
        except (msgspec.DecodeError, binascii.Error):
            # Without a cause: it might quote the value.
            raise Invalid(f"{where} cannot be read as a Secret") from None
        head = found.metadata
        owners = tuple(each.uid for each in head.owners or ())
        return Held(found.type, values, head.version, head.uid, owners, head.labels or {}, head.annotations or {})

    async def write(self, draft: Draft, held: Held) -> bool:
        """Make a Secret as drafted and say whether that was a write. Raises Conflict where it changed since `held`."""
        if held.version and held.type != draft.type:
            await self.remove(draft.name, held)  # a type cannot be changed
            held = Held()
        if not held.version:
            await self._cluster.create(SECRETS, self._identity.namespace, self._body(draft))
            return True
        patch = _patch(draft, held, owner(self._identity))
        if patch is not None:
            await self._patched(draft.name, patch)
        return patch is not None

    async def remove(self, name: str, held: Held) -> None:
        """Delete a Secret of Pawl's, unless it changed since it was read."""
        if not held.version or not self._is_ours(held):
            return
        place = (SECRETS, self._identity.namespace, name)
        try:
            await self._cluster.delete(*place, uid=held.uid, resource_version=held.version)
        except NotFound:
            return

    async def _patched(self, name: str, patch: Mapping[str, object]) -> None:
        try:
            await self._cluster.merge_patch(SECRETS, self._identity.namespace, name, patch)
        except NotFound as error:
            raise Conflict(f"Secret {self._identity.namespace}/{name} was deleted meanwhile", status=404) from error

    def _body(self, draft: Draft) -> dict[str, object]:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata(self._identity, draft.name, ACCESS, annotations=dict(draft.annotations)),
            "type": draft.type,
            "data": {key: _encoded(value) for key, value in draft.values.items()},
        }

    def _is_ours(self, held: Held) -> bool:
        return held.labels.get(MANAGED_BY) == MANAGER and held.labels.get(REGISTRY) == self._identity.name


def _patch(draft: Draft, held: Held, owned: Mapping[str, object]) -> dict[str, object] | None:
    values: dict[str, str | None] = {key: None for key in held.values if key not in draft.values}
    values |= {key: _encoded(each) for key, each in draft.values.items() if held.values.get(key) != each}
    notes = {key: each for key, each in draft.annotations.items() if held.annotations.get(key) != each}
    # One of a resource of this name that is gone, or brought back by a backup, would be collected with that one.
    lost = held.owners != (owned["uid"],)
    if not values and not notes and not lost:
        return None
    metadata = {"resourceVersion": held.version, "annotations": notes}
    return {"metadata": metadata | ({"ownerReferences": [owned]} if lost else {}), "data": values}


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()
