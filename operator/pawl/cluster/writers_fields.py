"""Images in fields of custom resources: rewritten in place, with a note of what stood there, and given back.

Neighbours: `discovery` finds the Resource, `templates` has the form of the note. Not here: kinds with a Pod template.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from pawl.api.errors import NotFound
from pawl.cluster.client import Cluster
from pawl.cluster.resources import Resource
from pawl.cluster.templates import noted, read_originals
from pawl.cluster.templates_restore import RESTORER, Json, Operation, Skipped, guarded, notes_of, pointer
from pawl.decide.objects import ORIGINAL

Steps = tuple[str | int, ...]


async def read_field(cluster: Cluster, resource: Resource, namespace: str | None, name: str, path: str) -> list[str]:
    """Return the texts at a path of one object, in order. Raises NotFound, Forbidden."""
    live = _decode(await cluster.get(resource, namespace, name))
    return [text for _, text in values_at(live, path)]


async def rewrite_field(
    cluster: Cluster, resource: Resource, namespace: str | None, name: str, path: str, mapping: Mapping[str, str]
) -> int:
    """Replace the texts at a dotted path (`spec.cephVersion.image`, `[*]` goes through a list) by those of `mapping`.

    Returns how many were replaced; 0 writes nothing. Raises Conflict where somebody wrote in between,
    NotFound, Invalid.
    """
    live = _decode(await cluster.get(resource, namespace, name))
    changes = [(pointer(*steps), old, mapping[old]) for steps, old in values_at(live, path) if old in mapping]
    changes = [each for each in changes if each[1] != each[2]]
    if changes:
        replaced: list[Operation] = [{"op": "replace", "path": at, "value": new} for at, _, new in changes]
        note = noted(notes_of(live).get(ORIGINAL, ""), changes)
        operations = guarded(live, [*replaced, *_annotate(live, note)])
        await cluster.json_patch(resource, namespace, name, tuple(operations))
    return len(changes)


async def restore_fields(cluster: Cluster, resource: Resource, namespace: str | None, name: str) -> tuple[Skipped, ...]:
    """Give an object back what stood there where Pawl's value still stands. Returns what was left, and why.

    An object that is gone needs nothing. Raises Conflict where somebody wrote in between.
    """
    try:
        live = _decode(await cluster.get(resource, namespace, name))
        note = notes_of(live).get(ORIGINAL)
        if note is None:
            return ()
        operations, skipped = _undo(live, note)
        await cluster.json_patch(resource, namespace, name, tuple(guarded(live, operations)), manager=RESTORER)
    except NotFound:
        return ()
    return skipped


def values_at(live: Json, path: str) -> Iterator[tuple[Steps, str]]:
    """Yield where each text at a dotted path stands, and the text. What is missing or of another type is left out."""
    steps = [part for step in path.split(".") for part in ((step[:-3], "*") if step.endswith("[*]") else (step,))]
    yield from _walk(live, steps, ())


def _walk(value: object, steps: Sequence[str], walked: Steps) -> Iterator[tuple[Steps, str]]:
    if not steps:
        if isinstance(value, str):
            yield walked, value
    elif steps[0] == "*":
        for index, each in enumerate(value if isinstance(value, list) else ()):
            yield from _walk(each, steps[1:], (*walked, index))
    elif isinstance(value, dict) and steps[0] in value:
        yield from _walk(value[steps[0]], steps[1:], (*walked, steps[0]))


def _annotate(live: Json, note: str) -> Iterator[Operation]:
    if not notes_of(live):
        yield {"op": "add", "path": "/metadata/annotations", "value": {}}
    yield {"op": "add", "path": pointer("metadata", "annotations", ORIGINAL), "value": note}


def _undo(live: Json, note: str) -> tuple[list[Operation], tuple[Skipped, ...]]:
    operations: list[Operation] = [{"op": "remove", "path": pointer("metadata", "annotations", ORIGINAL)}]
    skipped: list[Skipped] = []
    for place, original in read_originals(note).items():
        found = _value(live, place)
        if found == original.after:
            operations.append({"op": "replace", "path": place, "value": original.before})
        else:
            skipped.append(Skipped(place, f"{place} is {found!r} now, not {original.after!r} as Pawl wrote; it stays"))
    return operations, tuple(skipped)


def _value(live: object, place: str) -> object:
    """What stands at a JSON pointer, or None."""
    for step in place.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(live, list):
            live = live[int(key)] if key.isdigit() and int(key) < len(live) else None
        else:
            live = live.get(key) if isinstance(live, dict) else None
    return live


def _decode(raw: bytes) -> dict[str, Any]:
    return msgspec.json.decode(raw, type=dict[str, Any])
