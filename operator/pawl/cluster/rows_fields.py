"""Who wrote the images of a template: the two questions that Pawl asks of `metadata.managedFields`.

Most objects have never been applied by Pawl; their managedFields stay bytes.
Source: kubernetes.io/docs/reference/using-api/server-side-apply, the format FieldsV1.
Neighbours: `rows_workloads` puts the answers into rows. Not here: what follows from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pawl.decide.objects import MANAGER

Fields = Mapping[str, Any]

_QUOTED: Final = f'"{MANAGER}"'.encode()
_TEMPLATE: Final = ("f:spec", "f:template", "f:spec")
_CRON_TEMPLATE: Final = ("f:spec", "f:jobTemplate", "f:spec", "f:template", "f:spec")
_GROUPS: Final = ("f:containers", "f:initContainers")


class _Entry(msgspec.Struct, rename="camel"):
    manager: str = ""
    operation: str = ""
    time: str = ""
    subresource: str = ""
    fields_v1: Any = msgspec.field(name="fieldsV1", default=None)

    @property
    def applied(self) -> bool:
        """Whether it is Pawl's by server-side apply; what Pawl created is nobody's that could let it go."""
        return self.manager == MANAGER and self.operation == "Apply"


_ENTRIES: Final = msgspec.json.Decoder(list[_Entry] | None)


@dataclass(frozen=True, slots=True)
class Written:
    """`owned`: containers that only Pawl holds. `reverter`: who took images back that Pawl had written."""

    owned: tuple[str, ...] = ()
    reverter: str = ""


def written(managed_fields: bytes, kind: str) -> Written:
    """Read the managedFields (JSON, may be empty) of a workload of this kind."""
    if _QUOTED not in managed_fields:
        return Written()
    entries = [each for each in _ENTRIES.decode(managed_fields) or () if not each.subresource]
    ours = [_containers(each, kind) for each in entries if each.applied]
    others = [(each, _containers(each, kind)) for each in entries if not each.applied]
    foreign = {place for _, places in others for place in places}
    owned = sorted({place[1] for places in ours for place in places if place not in foreign})
    return Written(tuple(owned), _reverter(ours, others))


def _reverter(
    ours: Iterable[Mapping[tuple[str, str], bool]], others: Iterable[tuple[_Entry, Mapping[tuple[str, str], bool]]]
) -> str:
    """The last manager with the image of a container that Pawl still names, but whose image is no longer Pawl's."""
    lost = {place for places in ours for place, image in places.items() if not image}
    takers = [each for each, places in others if any(places.get(place) for place in lost)]
    return max(takers, key=lambda each: each.time).manager if takers else ""


def _containers(entry: _Entry, kind: str) -> dict[tuple[str, str], bool]:
    """(Group, name) of each container that an entry holds, and whether it holds the image."""
    spec = entry.fields_v1
    for step in _CRON_TEMPLATE if kind == "CronJob" else _TEMPLATE:
        spec = spec.get(step) if isinstance(spec, dict) else None
    if not isinstance(spec, dict):
        return {}
    return {(group, name): "f:image" in held for group in _GROUPS for name, held in _named(spec.get(group))}


def _named(group: object) -> Iterator[tuple[str, Fields]]:
    """The entries of a list by name: keys are `k:` and the JSON of the key fields."""
    for key, held in group.items() if isinstance(group, dict) else ():
        if key.startswith("k:") and isinstance(held, dict):
            name = msgspec.json.decode(key[2:]).get("name")
            if isinstance(name, str):
                yield name, held
