"""Where images stand in a manifest, and a manifest with other images in these places.

Every kind of Kubernetes itself that holds Pods or a template of Pods; lists of them are gone through. Manifests are
what a user gives: anything that has not the shape of the API is passed over, never refused.
Neighbours: `decide.tables` judges the images; `cli.rewrite` reads and writes the manifests; `cluster.rows` does the
same for objects of a cluster. Not here: fields of custom resources.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from pawl.decide.objects import IGNORE, Group, ImageAt, Owner, PodSpec

Path = tuple[str | int, ...]
"""Keys and indexes from the object down to a value."""

Manifest = Mapping[str, object]

_TEMPLATE: Final = ("spec", "template")
_POD_AT: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("", "Pod"): (),
    ("", "ReplicationController"): _TEMPLATE,
    ("", "PodTemplate"): ("template",),
    ("apps", "Deployment"): _TEMPLATE,
    ("apps", "ReplicaSet"): _TEMPLATE,
    ("apps", "StatefulSet"): _TEMPLATE,
    ("apps", "DaemonSet"): _TEMPLATE,
    ("batch", "Job"): _TEMPLATE,
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
}
_GROUPS: Final[Mapping[Group, tuple[str, ...]]] = {
    "containers": ("image",),
    "initContainers": ("image",),
    "ephemeralContainers": ("image",),
    "volumes": ("image", "reference"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """One image of a manifest: where it stands, as keys and as people write it, and what it says."""

    path: Path
    text: str
    at: ImageAt


def pod_path(api_version: str, kind: str) -> tuple[str, ...] | None:
    """Return where the Pod, or the template of Pods, stands in an object of this kind; None if it holds none."""
    group = api_version.rpartition("/")[0]
    return _POD_AT.get((group, kind))


def spec_path(api_version: str, kind: str) -> tuple[str, ...] | None:
    """Return where the Pod spec stands in an object of this kind, None if it has none."""
    above = pod_path(api_version, kind)
    return None if above is None else (*above, "spec")


def members(manifest: Manifest) -> Iterator[tuple[Path, Manifest]]:
    """Go through a manifest: itself, or the objects of a list (`List`, `PodList`), with the path to each.

    Objects of a typed list may lack kind and apiVersion; they are given those of the list.
    """
    kind, items = text(manifest, "kind"), manifest.get("items")
    if not kind.endswith("List") or not isinstance(items, Sequence) or isinstance(items, str):
        yield (), manifest
        return
    given = {"apiVersion": manifest.get("apiVersion"), "kind": kind.removesuffix("List")}
    for index, item in enumerate(items):
        if isinstance(item, Mapping):
            typed = item if kind == "List" or "kind" in item else {**given, **item}
            yield from ((("items", index, *path), member) for path, member in members(typed))


def image_places(manifest: Manifest) -> tuple[Place, ...]:
    """Return the images of one object in the order containers, initContainers, ephemeralContainers, volumes."""
    where = spec_path(text(manifest, "apiVersion"), text(manifest, "kind"))
    spec = None if where is None else at(manifest, where)
    if where is None or not isinstance(spec, Mapping):
        return ()
    return tuple(place for group in _GROUPS for place in _of_group(spec, where, group))


def pod_spec(manifest: Manifest) -> PodSpec:
    """Return what a table needs of one object: images, labels of the Pods, pull Secrets, and whether it is ignored."""
    above = pod_path(text(manifest, "apiVersion"), text(manifest, "kind")) or ()
    labels = strings(at(manifest, (*above, "metadata", "labels")))
    secrets = tuple(text(secret, "name") for secret in _objects(at(manifest, (*above, "spec", "imagePullSecrets"))))
    images = tuple(place.at for place in image_places(manifest))
    return PodSpec(images, secrets, labels=tuple(sorted(labels.items())), ignored=labels.get(IGNORE) == "true")


def owners(manifest: Manifest) -> tuple[Owner, ...]:
    """Return the ownerReferences of an object."""
    listed = _objects(at(manifest, ("metadata", "ownerReferences")))
    return tuple(
        Owner(
            text(owner, "apiVersion"),
            text(owner, "kind"),
            text(owner, "name"),
            text(owner, "uid"),
            owner.get("controller") is True,
        )
        for owner in listed
    )


def replaced(manifest: Manifest, changes: Mapping[Path, object]) -> dict[str, object]:
    """Return a manifest with other values at these paths; what is not on the way to one of them is shared."""
    copy: dict[str, object] = dict(manifest)
    for path, value in changes.items():
        _put(copy, path, value)
    return copy


def at(value: object, path: Path) -> object:
    """Return what stands at a path, None if there is nothing."""
    for key in path:
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, Sequence) and not isinstance(value, str) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return None
    return value


def text(value: Mapping[str, object], key: str) -> str:
    """Return a field that should be text, or nothing."""
    found = value.get(key)
    return found if isinstance(found, str) else ""


def strings(value: object) -> dict[str, str]:
    """Return a map of text, such as labels; what is no text is left out."""
    if not isinstance(value, Mapping):
        return {}
    return {key: item for key, item in value.items() if isinstance(key, str) and isinstance(item, str)}


def _of_group(spec: Mapping[str, object], where: tuple[str, ...], group: Group) -> Iterator[Place]:
    field = _GROUPS[group]
    listed = spec.get(group)
    for index, item in enumerate(listed if isinstance(listed, Sequence) and not isinstance(listed, str) else ()):
        image = at(item, field)
        if isinstance(item, Mapping) and isinstance(image, str) and image:
            name = text(item, "name")
            shown = ".".join((*where, f"{group}[{name or index}]", *field))
            yield Place((*where, group, index, *field), shown, ImageAt(group, name, image))


def _objects(value: object) -> list[Mapping[str, object]]:
    listed = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    return [item for item in listed if isinstance(item, Mapping)]


def _put(parent: dict[str, object], path: Path, value: object) -> None:
    """Set a value, with a copy of every map and list on the way to it."""
    node: dict[str, object] | list[object] = parent
    for key, following in pairwise(path):
        node = _step(node, key, following)
    _set(node, path[-1], value)


def _step(
    node: dict[str, object] | list[object], key: str | int, following: str | int
) -> dict[str, object] | list[object]:
    below = at(node, (key,))
    copied: dict[str, object] | list[object]
    if isinstance(following, int):
        copied = list(below) if isinstance(below, Sequence) else []
    else:
        copied = dict(below) if isinstance(below, Mapping) else {}
    _set(node, key, copied)
    return copied


def _set(node: dict[str, object] | list[object], key: str | int, value: object) -> None:
    if isinstance(node, list):
        node[int(key)] = value
    else:
        node[str(key)] = value
