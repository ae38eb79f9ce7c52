"""Gives a container its files: real ones for Secrets and ConfigMaps, links to what outlives the container.

Secrets and ConfigMaps are read again while the Pod lives, as a kubelet does; a server that looks at its files' times
sees a rotation. Neighbour: `sources` reads the objects.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pawl.sandbox.files import write_whole
from pawl.sandbox.hostnode.sources import CONFIG_MAPS, SECRETS, MissingError, Sources
from pawl.sandbox.hostnode.translate import inner, moved

Json = dict[str, Any]


@dataclass(frozen=True)
class Rooms:
    """Directories of one Pod: `pod` its own; `node` stands for the root of the node's file system."""

    pod: Path
    node: Path

    def root(self, container: str) -> Path:
        """What `/pawl/` is for a container."""
        return self.pod / container / "root"

    def log(self, container: str) -> Path:
        """Where a container's output goes."""
        return self.pod / container / "log"


async def fill(container: Json, sources: Sources, rooms: Rooms) -> None:
    """Make the mounts of a container. Raises MissingError while something is not there."""
    root = rooms.root(container["name"])
    root.mkdir(parents=True, exist_ok=True)
    for mount, volume in _mounts(container, sources.pod):
        target = inner(mount["mountPath"], root)
        if target:
            await _fill(target, mount, volume, sources, rooms)


async def refresh(container: Json, sources: Sources, rooms: Rooms) -> None:
    """Write what has changed in mounted Secrets and ConfigMaps; what is gone from the cluster stays as it was."""
    for mount, volume in _mounts(container, sources.pod):
        target = inner(mount["mountPath"], rooms.root(container["name"]))
        if target and "subPath" not in mount and ("secret" in volume or "configMap" in volume):
            try:
                await _files(target, volume, sources, rooms.root(container["name"]))
            except MissingError:
                continue


def _mounts(container: Json, pod: Json) -> list[tuple[Json, Json]]:
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
    return [(mount, volumes[mount["name"]]) for mount in container.get("volumeMounts") or ()]


async def _fill(target: Path, mount: Json, volume: Json, sources: Sources, rooms: Rooms) -> None:
    name = volume["name"]
    if "secret" in volume or "configMap" in volume:
        part = mount.get("subPath")
        room = rooms.pod / mount_owner(target, rooms) / "parts" / name if part else target
        await _files(room, volume, sources, rooms.root(mount_owner(target, rooms)))
        if part:
            _link(target, room / part)
        return
    if "persistentVolumeClaim" in volume:
        source = await sources.claim(volume["persistentVolumeClaim"]["claimName"])
    elif "emptyDir" in volume:
        source = rooms.pod / "volumes" / name
    elif "hostPath" in volume:
        source = rooms.node / volume["hostPath"]["path"].lstrip("/")
    else:
        raise MissingError(f"volume {name} is of a kind that this node does not have")
    source = source / mount.get("subPath", "")
    source.mkdir(parents=True, exist_ok=True)
    _link(target, source)


def mount_owner(target: Path, rooms: Rooms) -> str:
    """Name of the container whose mount this is."""
    return target.relative_to(rooms.pod).parts[0]


async def _files(target: Path, volume: Json, sources: Sources, root: Path) -> None:
    wanted = volume.get("secret") or volume["configMap"]
    kind = SECRETS if "secret" in volume else CONFIG_MAPS
    name, optional = wanted.get("secretName") or wanted["name"], wanted.get("optional", False)
    data = await sources.data(kind, name, optional=optional)
    paths = {item["path"]: item["key"] for item in wanted.get("items") or ()} or {key: key for key in data}
    missing = next((key for key in paths.values() if key not in data), None)
    if missing and not optional:
        raise MissingError(f"{kind} {name} has no key {missing}")
    files = {path: _moved(data[key], root) for path, key in paths.items() if key in data}
    _write_all(target, files, wanted.get("defaultMode", 0o644))


def _write_all(target: Path, files: Mapping[str, bytes], mode: int) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path, data in files.items():
        _write(target / path, data, mode)
    for left in set(_names(target)) - set(files):
        (target / left).unlink()


def _names(target: Path) -> list[str]:
    return [str(path.relative_to(target)) for path in target.rglob("*") if path.is_file() and not path.is_symlink()]


def _write(path: Path, data: bytes, mode: int) -> None:
    if not path.exists() or path.read_bytes() != data:
        write_whole(path, data, mode)


def _moved(data: bytes, root: Path) -> bytes:
    try:
        return moved(data.decode(), root).encode()
    except UnicodeDecodeError:
        return data


def _link(target: Path, source: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.symlink_to(source)
