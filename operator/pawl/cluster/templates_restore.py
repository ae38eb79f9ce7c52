"""How a workload is given back: the operations that put originals where Pawl's value still stands. Pure.

An empty apply alone would delete the images, for only Pawl owns them; so the originals come back by a normal patch,
which moves the ownership, together with the annotations: one write, one rollout.
Neighbours: `templates` made the note, `writers` sends the operations. Not here: the API server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pawl.cluster.templates import Original, read_originals, template_path
from pawl.decide.objects import MANAGER, ORIGINAL, RESTART, ROLLOUT

Json = dict[str, Any]
Operation = Mapping[str, object]

RESTORER: Final = "pawl-restore"
"""Field manager of what is given back: another one than `pawl`, of which nothing shall remain."""

_ESCAPES: Final = (("~", "~0"), ("/", "~1"))


@dataclass(frozen=True, slots=True)
class Skipped:
    """A place that was not restored, and why in a sentence."""

    place: str
    why: str


@dataclass(frozen=True, slots=True)
class Restoration:
    """`operations` of a JSON patch, none if nothing of Pawl is left; `held`: manager pawl still owns something."""

    operations: tuple[Operation, ...]
    skipped: tuple[Skipped, ...]
    held: bool


def restoration(live: Json, kind: str) -> Restoration:
    """Decide how the live object, a workload of this kind, is restored."""
    template = template_path(kind)
    originals = read_originals(notes_of(live).get(ORIGINAL, ""))
    operations: list[Operation] = []
    skipped: list[Skipped] = []
    for place, original in originals.items():
        found = _image_at(live, template, place)
        if isinstance(found, Skipped) or found[1] != original.after:
            skipped.append(found if isinstance(found, Skipped) else _changed(place, original, found[1]))
        else:
            operations.append({"op": "replace", "path": found[0], "value": original.before})
    operations += _without(live, (), (ORIGINAL,))
    operations += _without(live, template, (ROLLOUT, RESTART))
    return Restoration((*guarded(live, operations),), tuple(skipped), _held(live))


def guarded(live: Json, operations: Sequence[Operation]) -> Iterator[Operation]:
    """Yield the operations after one that the API server answers with 409 if the object has changed or is another.

    A `test` would be answered with 422, which says nothing about the cause.
    """
    if operations:
        metadata = live["metadata"]
        yield {"op": "replace", "path": "/metadata/uid", "value": metadata["uid"]}
        yield {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]}
    yield from operations


def notes_of(live: Json) -> dict[str, str]:
    """Return the annotations of an object or template."""
    return (live.get("metadata") or {}).get("annotations") or {}


def pointer(*steps: str | int) -> str:
    """Return a JSON pointer (RFC 6901)."""
    return "".join(f"/{_escaped(str(step))}" for step in steps)


def _escaped(step: str) -> str:
    for plain, escape in _ESCAPES:
        step = step.replace(plain, escape)
    return step


def _image_at(live: Json, template: Sequence[str], place: str) -> tuple[str, str] | Skipped:
    """Pointer and value of a place, or why it is not there."""
    group, _, name = place.partition("/")
    entries = (_at(live, (*template, "spec")) or {}).get(group) or []
    index = next((index for index, entry in enumerate(entries) if entry.get("name") == name), None)
    image = entries[index].get("image") if index is not None else None
    if index is None or not image:
        return Skipped(place, f"{place} is no longer in the template; there is nothing to restore")
    path: tuple[str | int, ...] = (*template, "spec", group, index, "image")
    if group == "volumes":
        return pointer(*path, "reference"), image.get("reference", "")
    return pointer(*path), image


def _changed(place: str, original: Original, image: str) -> Skipped:
    return Skipped(
        place, f"{place} is {image!r} now, not {original.after!r} as Pawl wrote: somebody changed it, so it stays"
    )


def _without(live: Json, path: Sequence[str], keys: Sequence[str]) -> Iterator[Operation]:
    present = notes_of(_at(live, path) or {})
    for key in keys:
        if key in present:
            yield {"op": "remove", "path": pointer(*path, "metadata", "annotations", key)}


def _at(live: Json, path: Sequence[str]) -> Json | None:
    found: Any = live
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def _held(live: Json) -> bool:
    return any(
        each.get("manager") == MANAGER and each.get("operation") == "Apply"
        for each in live["metadata"].get("managedFields") or ()
    )
