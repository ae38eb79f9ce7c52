"""What a Pod takes from other objects: environment from Secrets and ConfigMaps, and the directories of its claims.

A thing that is not there yet is a MissingError: the Pod waits for it, as it does on a kubelet.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from pawl.sandbox.hostnode.kube import Kube
from pawl.sandbox.hostnode.translate import downward, expanded

Json = dict[str, Any]

SECRETS, CONFIG_MAPS, CLAIMS = "secrets", "configmaps", "persistentvolumeclaims"


class MissingError(Exception):
    """Something that the Pod names is not there."""


class Sources:
    """The objects around one Pod."""

    def __init__(self, kube: Kube, pod: Json, address: str) -> None:
        self.kube = kube
        self.pod = pod
        self.address = address
        self._namespace = pod["metadata"]["namespace"]

    async def data(self, kind: str, name: str, *, optional: bool = False) -> dict[str, bytes]:
        """Keys and values of a Secret or ConfigMap. Raises MissingError unless it is `optional`."""
        found = await self.kube.get(f"/api/v1/namespaces/{self._namespace}/{kind}/{name}")
        if found is None and not optional:
            raise MissingError(f"{kind} {name} not found")
        return content(found or {}, kind)

    async def claim(self, name: str) -> Path:
        """Directory of a claim. Raises MissingError until it is bound."""
        found = await self.kube.get(f"/api/v1/namespaces/{self._namespace}/{CLAIMS}/{name}")
        volume = (found or {}).get("spec", {}).get("volumeName")
        if not volume or (found or {}).get("status", {}).get("phase") != "Bound":
            raise MissingError(f"persistentvolumeclaim {name} is not bound")
        held = await self.kube.get(f"/api/v1/persistentvolumes/{volume}")
        path = (held or {}).get("spec", {}).get("hostPath", {}).get("path")
        if not path:
            raise MissingError(f"persistentvolume {volume} has no directory on this node")
        return Path(path)

    async def environment(self, container: Json) -> dict[str, str]:
        """Variables of a container. Raises MissingError."""
        found: dict[str, str] = {}
        for source in container.get("envFrom") or ():
            found |= await self._all(source)
        for entry in container.get("env") or ():
            value = await self._value(entry)
            if value is not None:
                found[entry["name"]] = expanded(value, found)
        return found

    async def _all(self, source: Json) -> dict[str, str]:
        kind, reference = (
            (SECRETS, source["secretRef"]) if "secretRef" in source else (CONFIG_MAPS, source["configMapRef"])
        )
        data = await self.data(kind, reference["name"], optional=reference.get("optional", False))
        return {source.get("prefix", "") + key: value.decode() for key, value in data.items()}

    async def _value(self, entry: Json) -> str | None:
        source = entry.get("valueFrom")
        if not source:
            return str(entry.get("value", ""))
        if "fieldRef" in source:
            return downward(source["fieldRef"]["fieldPath"], self.pod, self.address)
        kind, key = (SECRETS, "secretKeyRef") if "secretKeyRef" in source else (CONFIG_MAPS, "configMapKeyRef")
        reference = source.get(key)
        if reference is None:
            return None
        return await self._key(kind, reference)

    async def _key(self, kind: str, reference: Json) -> str | None:
        optional = reference.get("optional", False)
        data = await self.data(kind, reference["name"], optional=optional)
        if reference["key"] in data:
            return data[reference["key"]].decode()
        if optional:
            return None
        raise MissingError(f"{kind} {reference['name']} has no key {reference['key']}")


def content(found: Json, kind: str) -> dict[str, bytes]:
    """Keys and values of a Secret or ConfigMap object."""
    coded = found.get("data" if kind == SECRETS else "binaryData") or {}
    plain = {} if kind == SECRETS else found.get("data") or {}
    made = {key: base64.b64decode(value) for key, value in coded.items()}
    return made | {key: value.encode() for key, value in plain.items()}
