"""Custom resources in `pawl rewrite`: the fields that `enforcement.paths` of an override names.

As in the cluster, a field belongs to no Pod and no container, and only rules of the override that names it count.
Neighbours: `decide.places_fields` finds the fields, `cli.rewrite` shows them. Not here: built-in kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pawl.api.imageoverride import Override
from pawl.api.imageoverride_spec import WorkloadKind
from pawl.decide.places import Manifest, Place, text
from pawl.decide.places_fields import field_places
from pawl.decide.rulebook import override_key
from pawl.decide.tables import CompiledTable, Ruling, Subject, rewrite_image

NOBODY: Final = Subject(WorkloadKind.POD, {})
"""To whom the image of a field belongs."""


def named_fields(manifest: Manifest, overrides: Sequence[Override]) -> tuple[tuple[str, Place], ...]:
    """Return the fields of an object that overrides name, each with the key of the override."""
    return tuple(_named(manifest, overrides))


def rule_fields(table: CompiledTable, fields: Sequence[tuple[str, Place]]) -> Iterator[tuple[Place, Ruling]]:
    """Say what becomes of these fields; those that another override's rules decide are left out."""
    for key, place in fields:
        ruling = rewrite_image(table, NOBODY, place.at)
        if ruling.entry is None or ruling.entry.override == key:
            yield place, ruling


def _named(manifest: Manifest, overrides: Sequence[Override]) -> Iterator[tuple[str, Place]]:
    kind = (text(manifest, "apiVersion"), text(manifest, "kind"))
    for override in overrides:
        for field in override.spec.enforcement.paths:
            if (field.api_version, field.kind) == kind:
                yield from ((override_key(override), place) for place in field_places(manifest, field.path))
