"""Reads what `pawl why` traces: one Pod, its owners, its node, the table in force, overrides, and policies.

Single reads, so that the rights to one namespace are enough; what only adds to the answer may be missing.
Neighbours: `why_trace` traces. Not here: judgement, writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import msgspec

from pawl.api.errors import Forbidden, InputError, NotFound, Stalled
from pawl.api.imagepolicy import ImagePolicy
from pawl.api.imagerules import TABLE_NAME
from pawl.cli.status_live import Live, readable
from pawl.cli.why_trace import Ground, Secrets, Traced, Written, secrets_of, trace_pod
from pawl.cluster.index_tables import controller_of
from pawl.cluster.resources import CLUSTER_IMAGE_RULES, IMAGE_POLICIES, IMAGE_RULES, NAMESPACES, NODES, PODS
from pawl.cluster.rows import RowReader
from pawl.cluster.rows_workloads import WorkloadReader, decoders
from pawl.cluster.ruletables import StoredTable, decode_table
from pawl.cluster.templates import read_originals
from pawl.cluster.world import WATCHED
from pawl.controllers.store import read_policy
from pawl.decide.objects import SYSTEM_NAMESPACES, Group, NodeRow, Owner, PodRow, WorkloadRow
from pawl.decide.tables import CompiledTable


@dataclass(frozen=True, slots=True)
class Answer:
    """All about one Pod. `owners`: from the nearest up, as far as their kinds are known."""

    pod: PodRow
    owners: tuple[WorkloadRow, ...]
    ground: Ground
    traced: tuple[Traced, ...]
    secrets: Secrets


async def ground_of(live: Live, namespace: str, operator: str) -> Ground:
    """Return the table in force in a namespace and what is known of its overrides. Raises ClusterError."""
    stored = await _table(live, namespace)
    try:
        overrides = readable(await live.overrides(namespace))
    except Forbidden as error:
        live.notes.append(f"why one rule wins is told by the table alone: {error}")
        overrides = ()
    table = stored.table if stored is not None else None
    name = "" if stored is None else f"ImageRules {namespace}/pawl" if stored.namespace else "ClusterImageRules pawl"
    if stored is not None and table is None:
        live.notes.append(f"{name} cannot be read by this version of Pawl; upgrade the command")
    return Ground(
        table=None if table is None else CompiledTable.of(table),
        table_name=name,
        since=stored.written if stored is not None else 0.0,
        overrides=overrides,
        left_alone=await _left_alone(live, namespace, operator),
    )


async def answer_of(live: Live, namespace: str, name: str, operator: str) -> Answer:
    """Return the answer for one Pod. Raises InputError where it is not there, ClusterError."""
    try:
        pod = RowReader().pod(await live.cluster.get(PODS, namespace, name))
    except NotFound as error:
        text = f"Pod {namespace}/{name} does not exist; `kubectl get pods -n {namespace}` lists those that do"
        raise InputError(text) from error
    ground = await ground_of(live, namespace, operator)
    owners = await _owners(live, pod)
    node, originals = await _node(live, pod.node), originals_of(owners)
    traced = trace_pod(ground, pod, node, originals)
    ground = await with_policies(live, ground, traced)
    template = owners[0].spec if owners else None
    return Answer(pod, owners, ground, trace_pod(ground, pod, node, originals), secrets_of(ground, pod, template))


async def with_policies(live: Live, ground: Ground, traced: Iterable[Traced]) -> Ground:
    """Add the policies whose selections decided something."""
    names = {one.selected.policy.partition(" ")[2] for one in traced if one.selected is not None}
    found: dict[tuple[str, str], ImagePolicy] = {}
    for namespace, _, name in (each.partition("/") for each in sorted(names)):
        try:
            found[namespace, name] = read_policy(await live.cluster.get(IMAGE_POLICIES, namespace, name))
        except (NotFound, Forbidden, Stalled):
            continue
    return replace(ground, policies=found)


def originals_of(owners: Iterable[WorkloadRow]) -> Mapping[tuple[Group, str], Written]:
    """Return what the nearest template says, and where Pawl wrote that template, what stood there before."""
    rows = tuple(owners)
    found: dict[tuple[Group, str], Written] = {}
    for at in rows[0].spec.images if rows else ():
        found[at.group, at.name] = Written(at.image, f"the template of {rows[0].key}")
        for row in rows:
            note = read_originals(row.original).get(f"{at.group}/{at.name}")
            if note is not None and note.after == at.image:
                found[at.group, at.name] = Written(note.before, f"pawl.dev/original of {row.key}")
    return found


async def _table(live: Live, namespace: str) -> StoredTable | None:
    for resource, place in ((IMAGE_RULES, namespace), (CLUSTER_IMAGE_RULES, None)):
        try:
            return decode_table(await live.cluster.get(resource, place, TABLE_NAME))
        except NotFound:
            continue
    return None


async def _left_alone(live: Live, namespace: str, operator: str) -> str:
    if namespace in SYSTEM_NAMESPACES | {operator}:
        return f"images of namespace {namespace} are never rewritten"
    try:
        row = RowReader().namespace(await live.cluster.get(NAMESPACES, None, namespace))
    except NotFound as error:
        raise InputError(f"namespace {namespace} does not exist; `kubectl get namespaces` lists all") from error
    except Forbidden:
        return ""
    return f'namespace {namespace} has the label pawl.dev/ignore "true"' if row.ignored else ""


async def _owners(live: Live, pod: PodRow) -> tuple[WorkloadRow, ...]:
    kinds, readers = dict(WATCHED), decoders()
    found: list[WorkloadRow] = []
    owner: Owner | None = controller_of(pod.owners)
    while owner is not None and owner.kind in kinds and len(found) < 3:
        try:
            raw = await live.cluster.get(kinds[owner.kind], pod.namespace, owner.name)
        except (NotFound, Forbidden) as error:
            live.notes.append(f"its {owner.kind} {owner.name} cannot be read: {error}")
            break
        row = _replica_set(raw) if owner.kind == "ReplicaSet" else readers[owner.kind](raw)
        if not isinstance(row, WorkloadRow) or row.uid != owner.uid:
            break
        found.append(row)
        owner = controller_of(row.owners)
    return tuple(found)


def _replica_set(raw: bytes) -> WorkloadRow:
    """Read a ReplicaSet with its template, which the rows of the world leave out."""
    return msgspec.structs.replace(WorkloadReader().deployment(raw), kind="ReplicaSet")


async def _node(live: Live, name: str) -> NodeRow | None:
    if not name:
        return None
    try:
        return RowReader().node(await live.cluster.get(NODES, None, name))
    except (NotFound, Forbidden, msgspec.MsgspecError):
        return None
