"""Parts of every Pod that Pawl makes for a registry: what is mounted where, and how little it may do.

All paths are below `/pawl/`, and every Pod but the trust DaemonSet's fits Pod Security `restricted`. Neighbours:
`serverobjects_server`, `serverobjects_meter`, `serverobjects_trust` and `workobjects` put them together.
Not here: what the programs do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pawl.api.registrystorage_spec import RegistryStorageSpec, Resources, Toleration
from pawl.api.registrystorage_status import StoreRef

Json = dict[str, Any]

USER: Final = 65532
SECRET_MODE: Final = 0o440
"""Readable for the group of the Pod alone."""
WORKER_RESOURCES: Final[Json] = {
    "requests": {"cpu": "50m", "memory": "64Mi"},
    "limits": {"memory": "256Mi"},
}
OUT: Final = "/pawl/out"


@dataclass(frozen=True, slots=True)
class Mount:
    """Something under a path. Mounts with an equal `volume` share one volume: a kubelet waits for ever for a claim that
    one Pod names twice.
    """

    path: str
    volume: Json
    writable: bool = False

    @property
    def name(self) -> str:
        """Name of the volume, from its path."""
        return self.path.removeprefix("/pawl/").strip("/").replace("/", "-").replace(".", "-")

    def is_in(self, name: str, volume: Json) -> bool:
        """Tell whether this volume is the one that is mounted. Empty directories are never shared."""
        return volume == self.volume and ("emptyDir" not in volume or name == self.name)


@dataclass(frozen=True, slots=True)
class Container:
    """One container. `command` empty: the program of the image."""

    name: str
    image: str
    args: tuple[str, ...]
    command: tuple[str, ...] = ()
    env: tuple[Json, ...] = ()
    mounts: tuple[Mount, ...] = ()
    resources: Json = field(default_factory=dict)
    more: Json = field(default_factory=dict)
    """Ports, probes and what else only one kind of container has."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How the Pods of one kind are placed and ended."""

    pull_secrets: tuple[str, ...] = ()
    affinity: Json = field(default_factory=dict)
    more: Json = field(default_factory=dict)
    privileged_user: bool = False
    """Root, for what belongs to the node; still without any capability."""


def secret(path: str, name: str, *keys: str, optional: bool = False) -> Mount:
    """Mount these keys of a Secret, and no other."""
    items = [{"key": key, "path": key} for key in keys]
    volume: Json = {"secretName": name, "items": items, "defaultMode": SECRET_MODE}
    return Mount(path, {"secret": volume | ({"optional": True} if optional else {})})


def config_map(path: str, name: str, *, optional: bool = False) -> Mount:
    """Mount a ConfigMap."""
    volume: Json = {"name": name, "defaultMode": 0o444}
    return Mount(path, {"configMap": volume | ({"optional": True} if optional else {})})


def claim(path: str, name: str, *, writable: bool) -> Mount:
    """Mount a claim."""
    return Mount(path, {"persistentVolumeClaim": {"claimName": name}}, writable=writable)


def scratch(path: str) -> Mount:
    """Mount an empty directory."""
    return Mount(path, {"emptyDir": {"sizeLimit": "64Mi"}}, writable=True)


def from_secret(variable: str, name: str, key: str) -> Json:
    """An environment variable from a Secret."""
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}


def store_secrets(store: StoreRef, place: str) -> tuple[Mount, ...]:
    """Mount what a worker needs to reach a bucket: `/pawl/<place>-credentials` and `/pawl/<place>-ca`."""
    keys = secret(f"/pawl/{place}-credentials", store.credentials_secret, "accessKey", "secretKey")
    authority = secret(f"/pawl/{place}-ca", store.ca_secret, "ca.crt")
    return tuple(
        mount
        for mount, name in ((keys, store.credentials_secret), (authority, store.ca_secret))
        if name and _is_s3(store)
    )


def pod_spec(
    spec: RegistryStorageSpec, containers: Iterable[Container], shape: Shape, first: Iterable[Container] = ()
) -> Json:
    """Return a Pod spec; `first` are init containers."""
    main, init = tuple(containers), tuple(first)
    names = _volume_names((*init, *main))
    found: Json = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": _pod_security(shape),
        "containers": [_container(each, names) for each in main],
        "volumes": [{"name": name, **volume} for name, volume in names],
        **_placed(spec, shape),
    }
    if init:
        found["initContainers"] = [_container(each, names) for each in init]
    secrets = dict.fromkeys((*(each.name for each in spec.server.pull_secrets), *shape.pull_secrets))
    return found | ({"imagePullSecrets": [{"name": name} for name in secrets]} if secrets else {}) | shape.more


def resources(given: Resources) -> Json:
    """Return requests and limits as Kubernetes writes them, without empty maps."""
    return {key: dict(value) for key, value in (("requests", given.requests), ("limits", given.limits)) if value}


def beside(names: Mapping[str, str]) -> Json:
    """Return a podAffinity: on the node of a Pod with these labels, or nowhere."""
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [on_host(names)]}}


def on_host(names: Mapping[str, str]) -> Json:
    """Return a term of pod affinity."""
    return {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": dict(names)}}


def _is_s3(store: StoreRef) -> bool:
    return store.kind == "S3"


def _placed(spec: RegistryStorageSpec, shape: Shape) -> Json:
    tolerations = [_toleration(each) for each in spec.server.tolerations]
    placed = {
        "nodeSelector": dict(spec.server.node_selector),
        "tolerations": tolerations,
        "affinity": shape.affinity,
    }
    return {key: value for key, value in placed.items() if value}


def _toleration(given: Toleration) -> Json:
    return {key: value for key, value in given.wire().items() if value}


def _pod_security(shape: Shape) -> Json:
    seccomp = {"seccompProfile": {"type": "RuntimeDefault"}}
    if shape.privileged_user:
        return {"runAsUser": 0, "runAsGroup": 0, **seccomp}
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        # Without it each start changes the owner of every file: hours for a large store.
        "fsGroupChangePolicy": "OnRootMismatch",
        **seccomp,
    }


def _volume_names(containers: Iterable[Container]) -> list[tuple[str, Json]]:
    found: list[tuple[str, Json]] = []
    for mount in (mount for each in containers for mount in each.mounts):
        if not any(mount.is_in(*known) for known in found):
            found.append((mount.name, mount.volume))
    return found


def _container(each: Container, names: list[tuple[str, Json]]) -> Json:
    found: Json = {
        "name": each.name,
        "image": each.image,
        "args": list(each.args),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [_mount(mount, names) for mount in each.mounts],
    }
    optional = {"command": list(each.command), "env": list(each.env), "resources": each.resources}
    return found | {key: value for key, value in optional.items() if value} | each.more


def _mount(mount: Mount, names: list[tuple[str, Json]]) -> Json:
    name = next(name for name, volume in names if mount.is_in(name, volume))
    return {"name": name, "mountPath": mount.path} | ({} if mount.writable else {"readOnly": True})
