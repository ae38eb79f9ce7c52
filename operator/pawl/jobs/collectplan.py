"""What a collection would take away from a registry, and why it may not: pure, over an inventory.

What would be freed is reckoned as the server's own collector marks: whatever the links of manifests that stay name.
A plan is refused by its caps, and where the collector would stop or it cannot be known what an image needs.
Neighbours: `decide.retention` judges tags, `jobs.inventory` reads, `jobs.collect` carries a plan out, `jobs.meter`
answers with one. Not here: input and output.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pawl.api.reasons import Reason
from pawl.api.registrywork import Order, Plan
from pawl.decide.compact import Digest, unpack
from pawl.decide.layout import Entry, EntryKind, tag_current_key
from pawl.decide.retention import Judged, Repository, judge_all
from pawl.jobs.inventory import Fault, FaultKind, Held, Inventory

Gone = Mapping[str, frozenset[Digest]]
"""Manifests, by repository, that an earlier go at the same collection had found to be without need."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A plan with all that carrying it out needs.

    Attributes:
        plan: what it is for people.
        reason: why it is refused, as a condition says it; "" if it is not.
        judged: what becomes of each repository.
        dead_links: keys of links that hold no digest and that nothing needs.
        excused: what is wrong already with what stays, and hinders nothing.

    """

    plan: Plan
    reason: str = ""
    judged: Mapping[str, Judged] = field(default_factory=dict)
    dead_links: tuple[str, ...] = ()
    excused: tuple[Fault, ...] = ()


def plan_of(inventory: Inventory, order: Order) -> Plan:
    """Return what a collection would do. Raises Stalled where a rule cannot be read."""
    return draft_of(inventory, order).plan


def draft_of(inventory: Inventory, order: Order, gone: Gone | None = None) -> Draft:
    """Judge an inventory. Raises Stalled(InvalidPattern) and Stalled(InvalidSpec)."""
    repositories = _repositories(inventory, gone or {})
    now = order.now or datetime.now(UTC)
    judged = judge_all(repositories, order.retention, order.collection, order.uses, now)
    plan = _plan(inventory, judged)
    stops, dead, excused = _weigh(inventory, judged)
    refused, reason = _refusal(plan, order, stops)
    told = {"refused": refused, "unsafe": bool(stops)}
    return Draft(plan.model_copy(update=told), reason, judged, dead, excused)


def _repositories(inventory: Inventory, gone: Gone) -> dict[str, Repository]:
    return {
        name: Repository(held.tags, held.revisions, inventory.nodes, gone.get(name, frozenset()))
        for name, held in inventory.repositories.items()
    }


def _plan(inventory: Inventory, judged: Mapping[str, Judged]) -> Plan:
    verdicts = [verdict for name in sorted(judged) for verdict in judged[name].verdicts]
    marked = marked_by(inventory, {name: one.kept for name, one in judged.items()})
    revisions = sum(len(held.revisions) for held in inventory.repositories.values())
    return Plan(
        tags=len(verdicts),
        delete_tags=sum(not verdict.keep for verdict in verdicts),
        total_bytes=inventory.bytes,
        delete_bytes=sum(size for digest, size in inventory.blobs.items() if digest not in marked),
        delete_manifests=revisions - sum(len(_staying(inventory, name, one)) for name, one in judged.items()),
        reasons=dict(Counter(verdict.reason for verdict in verdicts)),
        verdicts=verdicts,
    )


def _staying(inventory: Inventory, name: str, judged: Judged) -> list[Digest]:
    return [digest for digest in inventory.repositories[name].revisions if digest in judged.kept]


def marked_by(inventory: Inventory, kept: Mapping[str, frozenset[Digest]]) -> set[Digest]:
    """Return the blobs that the server's collector leaves where only these manifests have links."""
    marked = set[Digest]()
    for name, digests in kept.items():
        for digest in digests & inventory.repositories[name].revisions.keys():
            marked.add(digest)
            if (node := inventory.nodes.get(digest)) is not None:
                marked.update(node.children, node.blobs)
    return marked


def _weigh(inventory: Inventory, judged: Mapping[str, Judged]) -> tuple[list[str], tuple[str, ...], tuple[Fault, ...]]:
    """Part the faults: sentences that stop a collection, links that may go, and what hinders nobody."""
    stops, dead, excused = list[str](), list[str](), list[Fault]()
    staying = {digest for name, one in judged.items() for digest in _staying(inventory, name, one)}
    for fault in inventory.faults:
        if fault.kind is FaultKind.BAD_LINK:
            needed = _needed(fault.entry, fault.digest, inventory, judged)
            stops += [f"{fault.key} is needed and {fault.message}"] if needed else []
            dead += [] if needed else [fault.key]
        elif fault.kind is FaultKind.STRANGE:
            stops.append(f"{fault.key}: {fault.message}; move it away")
        elif fault.digest in staying and fault.kind is FaultKind.UNREADABLE:
            stops.append(f"{_named(inventory, judged, fault.digest)}: {fault.message}")
        elif fault.digest in staying:
            excused.append(fault)
    return stops + list(_lost(inventory, judged)), tuple(dead), tuple(excused)


def _needed(entry: Entry, digest: Digest, inventory: Inventory, judged: Mapping[str, Judged]) -> bool:
    """Whether something that stays needs the link at this key."""
    if entry.kind is EntryKind.OTHER:
        return False
    one, held = judged[entry.repository], inventory.repositories[entry.repository]
    if entry.kind is EntryKind.REVISION_LINK:
        return digest in one.kept
    if entry.kind is EntryKind.LAYER_LINK:
        return any(digest in inventory.nodes[kept].blobs for kept in one.kept & inventory.nodes.keys())
    stays = any(verdict.keep for verdict in one.verdicts if verdict.tag == entry.tag)
    return stays and (entry.kind is EntryKind.TAG_CURRENT_LINK or held.tags[entry.tag].digest == digest)


def _lost(inventory: Inventory, judged: Mapping[str, Judged]) -> Iterable[str]:
    """Name the tags that stay and whose manifest is not there: nobody knows what else they need."""
    for name, one in judged.items():
        held = inventory.repositories[name]
        for verdict in one.verdicts:
            digest = held.tags[verdict.tag].digest
            if verdict.keep and digest and not _is_there(inventory, held, digest):
                key = tag_current_key(name, verdict.tag)
                yield f"{name}:{verdict.tag}: its manifest {verdict.digest} is not there ({key} names it)"


def _is_there(inventory: Inventory, held: Held, digest: Digest) -> bool:
    return digest in held.revisions and (digest in inventory.nodes or digest in inventory.opaque)


def _named(inventory: Inventory, judged: Mapping[str, Judged], digest: Digest) -> str:
    """Name an image as people do: by the first tag on it, by repository and digest otherwise."""
    for name, one in sorted(judged.items()):
        if digest in one.kept and digest in inventory.repositories[name].revisions:
            tags = (verdict.tag for verdict in one.verdicts if verdict.keep and verdict.digest == unpack(digest))
            tag = next(tags, "")
            return f"{name}:{tag}" if tag else f"{name}@{unpack(digest)}"
    return unpack(digest)


def _refusal(plan: Plan, order: Order, stops: list[str]) -> tuple[str, str]:
    """Return a sentence and a reason, both empty where nothing speaks against the plan."""
    if stops:
        more = f"; and {len(stops) - 1} more such faults" if len(stops) > 1 else ""
        way = "push the image again or delete the tag, then collect again"
        return f"the store cannot be collected safely: {stops[0]}{more}; {way}", Reason.COLLECTION_FAILED
    most = order.collection.max_delete_percent
    if plan.delete_tags * 100 > most * plan.tags:
        return _cap(f"{plan.delete_tags} of {plan.tags} tags", most), Reason.CAP_EXCEEDED
    if plan.delete_bytes * 100 > most * plan.total_bytes:
        return _cap(f"{plan.delete_bytes} of {plan.total_bytes} bytes", most), Reason.CAP_EXCEEDED
    return "", ""


def _cap(share: str, most: int) -> str:
    return f"{share} would go, more than {most} %: raise spec.collection.maxDeletePercent, or keep more by rules"
