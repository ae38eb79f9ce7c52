"""Rows of bytes: a Pod, Node or Namespace as the API server sends it becomes a row of `decide.objects`.

What many rows have in common (templates, labels, owners, states) is one object in memory; the table that finds it
forgets what was not asked for lately.
Neighbours: `rows_wire` names the fields, `rows_workloads` does the other kinds, `world` asks. Not here: caches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Final, TypeVar, cast

import msgspec

from pawl.cluster import rows_wire as wire
from pawl.decide.objects import (
    IGNORE,
    ContainerState,
    Group,
    ImageAt,
    Labels,
    NamespaceRow,
    NodeRow,
    NodeTerm,
    Owner,
    Placement,
    PodRow,
    PodSpec,
)

CAPACITY: Final = 16384
"""Shared values that are remembered: five for each of some three thousand templates."""
FIELD_NAME: Final = "metadata.name"
"""The one field that node affinity can name. It stands among a row's labels, under this key."""

T = TypeVar("T")

_POD: Final = msgspec.json.Decoder(wire.WirePod)
_NODE: Final = msgspec.json.Decoder(wire.WireNode)
_NAMESPACE: Final = msgspec.json.Decoder(wire.WireNamespace)


class Shared:
    """Gives equal values one identity. Values are hashable and of types that never compare equal across each other."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._known = lru_cache(capacity)(_itself)

    def one(self, value: T) -> T:
        """Return the first value that was equal to this one, or this."""
        return cast("T", self._known(value))

    def spec(self, spec: wire.WirePodSpec, labels: dict[str, str] | None) -> PodSpec:
        """Return the part of a Pod spec that Pawl looks at. A Pod on a node no longer has a placement to choose."""
        kept = PodSpec(
            images=self.one(tuple(self.one(each) for each in _images(spec))),
            pull_secrets=self.one(tuple(each.name for each in spec.image_pull_secrets or () if each.name)),
            account=self.one(spec.service_account_name or "default"),
            placement=Placement() if spec.node_name else self.one(_placement(spec)),
            labels=self.labels(labels),
            ignored=(labels or {}).get(IGNORE) == "true",
        )
        return self.one(kept)

    def labels(self, labels: dict[str, str] | None) -> Labels:
        """Return labels, sorted by key."""
        return self.one(tuple(self.one(pair) for pair in sorted((labels or {}).items())))

    def owners(self, references: Iterable[wire.OwnerReference] | None) -> tuple[Owner, ...]:
        """Return all ownerReferences."""
        return self.one(tuple(_owner(each) for each in references or ()))


class RowReader:
    """Makes rows of the bytes of one object. Every method raises msgspec.MsgspecError for what is no such object."""

    def __init__(self, shared: Shared | None = None) -> None:
        self.shared = shared or Shared()

    def pod(self, raw: bytes) -> PodRow:
        """Read a Pod."""
        pod, one = _POD.decode(raw), self.shared.one
        meta, status = pod.metadata, pod.status
        return PodRow(
            namespace=one(meta.namespace),
            name=meta.name,
            uid=meta.uid,
            version=meta.resource_version,
            spec=self.shared.spec(pod.spec, meta.labels),
            created=seconds(meta.creation_timestamp) or 0.0,
            owners=self.shared.owners(meta.owner_references),
            node=one(pod.spec.node_name),
            phase=one(status.phase),
            deleting=meta.deletion_timestamp is not None,
            mirror=meta.annotations is not None and meta.annotations.mirror is not None,
            ready_since=_ready_since(status.conditions),
            states=one(tuple(one(_state(each)) for each in _statuses(status))),
        )

    def node(self, raw: bytes) -> NodeRow:
        """Read a Node. Its labels hold its name too, as `metadata.name`: node affinity may ask for that field."""
        node = _NODE.decode(raw)
        info, name = node.status.node_info, node.metadata.name
        labels = {**(node.metadata.labels or {}), FIELD_NAME: name}
        ready = any(each.type == "Ready" and each.status == "True" for each in node.status.conditions or ())
        return NodeRow(name, f"{info.operating_system}/{info.architecture}", tuple(sorted(labels.items())), ready)

    def namespace(self, raw: bytes) -> NamespaceRow:
        """Read a Namespace."""
        meta = _NAMESPACE.decode(raw).metadata
        labels = meta.labels or {}
        gone = meta.deletion_timestamp is not None
        return NamespaceRow(meta.name, tuple(sorted(labels.items())), gone, labels.get(IGNORE) == "true")


def seconds(moment: datetime | None) -> float | None:
    """Return a time as seconds since the epoch."""
    return moment.timestamp() if moment is not None else None


def _itself(value: object) -> object:
    return value


def _owner(each: wire.OwnerReference) -> Owner:
    return Owner(each.api_version, each.kind, each.name, each.uid, bool(each.controller))


def _images(spec: wire.WirePodSpec) -> Iterator[ImageAt]:
    groups: tuple[tuple[Group, list[wire.Container] | None], ...] = (
        ("containers", spec.containers),
        ("initContainers", spec.init_containers),
        ("ephemeralContainers", spec.ephemeral_containers),
    )
    for group, containers in groups:
        yield from (ImageAt(group, each.name, each.image) for each in containers or () if each.image)
    for volume in spec.volumes or ():
        if volume.image is not None and volume.image.reference:
            yield ImageAt("volumes", volume.name, volume.image.reference)


def _placement(spec: wire.WirePodSpec) -> Placement:
    affinity = spec.affinity.node_affinity if spec.affinity is not None else None
    required = affinity.required if affinity is not None else None
    terms = tuple(_term(each) for each in (required.node_selector_terms or () if required is not None else ()))
    return Placement(tuple(sorted((spec.node_selector or {}).items())), terms)


def _term(term: wire.SelectorTerm) -> tuple[NodeTerm, ...]:
    """One term; an empty one matches no node (core/v1 NodeSelectorTerm), which `In` without values says."""
    both = (*(term.match_expressions or ()), *(term.match_fields or ()))
    found = tuple(NodeTerm(each.key, each.operator, tuple(each.values or ())) for each in both)
    return found or (NodeTerm(FIELD_NAME, "In"),)


def _ready_since(conditions: list[wire.Condition] | None) -> float | None:
    ready = next((each for each in conditions or () if each.type == "Ready" and each.status == "True"), None)
    return None if ready is None else seconds(ready.last_transition_time) or 0.0


def _statuses(status: wire.PodStatus) -> Iterator[wire.ContainerStatus]:
    yield from status.container_statuses or ()
    yield from status.init_container_statuses or ()
    yield from status.ephemeral_container_statuses or ()


def _state(status: wire.ContainerStatus) -> ContainerState:
    waiting = status.state.waiting.reason if status.state is not None and status.state.waiting is not None else ""
    started = status.restart_count > 0 or _ran(status.state) or _ran(status.last_state)
    return ContainerState(status.name, status.image_id, waiting, started)


def _ran(state: wire.StateOf | None) -> bool:
    return state is not None and (state.running is not None or state.terminated is not None)
