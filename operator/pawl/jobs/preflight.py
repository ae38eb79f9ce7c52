"""Looks at a source before its bytes are moved: how much it is, what is wrong with it, and whether it fits.

Old damage is told here, before the first byte, so that it is not found afterwards as if the move had made it.
Neighbours: `copytarget` judges the target, `migrate` asks both. Not here: copying.
"""

from __future__ import annotations

from dataclasses import dataclass

from pawl.api.reasons import Reason
from pawl.decide.manifestgraph import Manifest
from pawl.jobs.copymanifests import manifests
from pawl.jobs.copyscan import Faults, Scan, scan
from pawl.jobs.copysets import Sizes
from pawl.jobs.copystore import CopyStore
from pawl.jobs.copytarget import Halt, Held, fits, held, may_take
from pawl.jobs.store import Space


@dataclass(frozen=True, slots=True)
class Preflight:
    """What would be moved. `links_at_fault` are not copied; schema-1 manifests keep a migration from beginning."""

    objects: int
    bytes: int
    largest: int
    links: int
    links_at_fault: Faults
    schema1: Faults
    room: Space
    reason: Reason | None
    verdict: str
    """One sentence; `reason` says why it may not begin, None where it may."""


async def preflight(source: CopyStore, target: CopyStore) -> Preflight:
    """Look at both. Writes nothing."""
    await source.space()
    there = await held(target, Sizes())
    found = await scan(source, there.proved, there.links)
    old = await schema1(source)
    room = await target.space()
    reason, verdict = await _verdict(source, target, found, there, old)
    return Preflight(
        found.blobs + found.links, found.bytes, found.largest, found.links, found.faults, old, room, reason, verdict
    )


async def schema1(source: CopyStore) -> Faults:
    """Return the manifests that distribution 3 cannot serve."""
    old = Faults()
    async for repository, digest, manifest in manifests(source):
        if isinstance(manifest, Manifest) and manifest.schema1:
            old.add(f"{repository}@{digest}")
    return old


def schema1_found(old: Faults) -> str:
    """Return the sentence about them."""
    return (
        f"{old.count} manifests are of schema 1, which distribution 3 cannot serve: {old}; push these images again "
        "with a client of today, or delete them, and collect"
    )


async def _verdict(
    source: CopyStore, target: CopyStore, found: Scan, there: Held, old: Faults
) -> tuple[Reason | None, str]:
    if old.count:
        return Reason.SCHEMA_1_FOUND, schema1_found(old)
    try:
        await may_take(source, target)
    except Halt as halt:
        return halt.reason, str(halt)
    if short := fits(found, there, await target.space()):
        return Reason.NO_SPACE, f"{target.label} {short}; make it larger, or collect first"
    said = f"{found.blobs} blobs and {found.links} links, {found.bytes} bytes, can move to {target.label}"
    return None, f"{said}; {found.faults.count} broken links stay behind" if found.faults.count else said
