"""What overrides without a finalizer have still to give back: one ConfigMap a namespace, which goes with the namespace.

A finalizer would hold a namespace for ever where nobody is left to take it off; a note beside the override holds
nothing, and tells the next leader what a deletion that nobody saw asks for.
Neighbours: `controllers.overridedebts` decides who owes, `overridefinish` gives back. Not here: originals
(`templates`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

import msgspec

from pawl.api.errors import Conflict, NotFound
from pawl.cluster.client import Cluster
from pawl.cluster.resources import CONFIG_MAPS

NAME: Final = "pawl-debts"
LABEL: Final = "pawl.dev/debts"
LABEL_VALUE: Final = "imageoverride"
TRIES: Final = 3


class Debt(msgspec.Struct, frozen=True):
    """What the end of one override needs to know when the override itself cannot be read any more."""

    uid: str
    policy: str
    timeout: str
    copies: str = ""
    """Names that copies of pull Secrets have or had, with commas between."""


class _Meta(msgspec.Struct):
    namespace: str = ""
    resource_version: str = msgspec.field(name="resourceVersion", default="")


class _ConfigMap(msgspec.Struct):
    metadata: _Meta
    data: dict[str, str] | None = None


class _Page(msgspec.Struct):
    items: list[_ConfigMap] | None = None  # Go writes an empty list as null


_DEBT: Final = msgspec.json.Decoder(Debt)
_OBJECT: Final = msgspec.json.Decoder(_ConfigMap)
_PAGE: Final = msgspec.json.Decoder(_Page)


class DebtStore:
    """Reads and writes debts. Every method may raise a ClusterError."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def all(self, namespace: str | None) -> AsyncIterator[tuple[str, str, Debt]]:
        """Yield namespace, override and debt, of one namespace or of all."""
        async for page in self._cluster.list_pages(CONFIG_MAPS, namespace, label_selector=f"{LABEL}={LABEL_VALUE}"):
            for found in _PAGE.decode(page).items or ():
                for name, debt in _debts(found).items():
                    yield found.metadata.namespace, name, debt

    async def read(self, namespace: str) -> dict[str, Debt]:
        """Return the debts of a namespace by the override's name."""
        try:
            return _debts(_OBJECT.decode(await self._cluster.get(CONFIG_MAPS, namespace, NAME)))
        except NotFound:
            return {}

    async def put(self, namespace: str, name: str, debt: Debt) -> None:
        """Note a debt. Raises Conflict where others write the same object again and again."""
        data = {name: msgspec.json.encode(debt).decode()}
        for _ in range(TRIES):
            try:
                await self._cluster.merge_patch(CONFIG_MAPS, namespace, NAME, {"data": data})
                return
            except NotFound:
                with suppress(Conflict):
                    await self._cluster.create(CONFIG_MAPS, namespace, _body(namespace, data))
                    return
        raise Conflict(f"configmaps {namespace}/{NAME} comes and goes; what overrides owe could not be noted")

    async def remove(self, namespace: str, name: str, debt: Debt) -> None:
        """Strike this debt out; the object goes with the last one. An absent or newer one is left, and no error.

        Raises Conflict where others write the same object again and again.
        """
        for _ in range(TRIES):
            try:
                stored = _OBJECT.decode(await self._cluster.get(CONFIG_MAPS, namespace, NAME))
                if _debts(stored).get(name) != debt:  # one of the same name, made by the next leader meanwhile
                    return
                version = {"resourceVersion": stored.metadata.resource_version}
                change = {"metadata": version, "data": {name: None}}
                await self._away(namespace, await self._cluster.merge_patch(CONFIG_MAPS, namespace, NAME, change))
            except NotFound:
                return
            except Conflict:
                continue
            return
        raise Conflict(f"configmaps {namespace}/{NAME} is written again and again; a debt could not be struck out")

    async def _away(self, namespace: str, raw: bytes) -> None:
        """Delete the object if nothing is left in it."""
        left = _OBJECT.decode(raw)
        if not left.data:
            with suppress(Conflict):  # another debt was noted meanwhile, so the object stays
                version = left.metadata.resource_version
                await self._cluster.delete(CONFIG_MAPS, namespace, NAME, resource_version=version)


def _debts(found: _ConfigMap) -> dict[str, Debt]:
    """Read the debts of one object; what somebody damaged is left out: nothing is given back on a guess."""
    known = {}
    for name, text in (found.data or {}).items():
        with suppress(msgspec.MsgspecError):
            known[name] = _DEBT.decode(text)
    return known


def _body(namespace: str, data: dict[str, str]) -> dict[str, object]:
    labels = {"app.kubernetes.io/managed-by": "pawl", LABEL: LABEL_VALUE}
    meta = {"name": NAME, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
