"""What is broken in the graph of a registry, in sentences that name tag, manifest and blob.

Neighbours: `inventory` notes what one manifest refers to, `collect` and `verify` ask here. Not here: bytes of blobs.
"""

from __future__ import annotations

from collections.abc import Iterator

from pawl.decide.compact import unpack
from pawl.jobs.inventory import Held, Inventory


def breaks(inventory: Inventory) -> list[str]:
    """Return what cannot be pulled as it should, one sentence for each fault, sorted."""
    found = {f"{fault.key}: {fault.message}" for fault in inventory.faults}
    for name, held in inventory.repositories.items():
        found.update(_tags(name, held))
        found.update(_manifests(name, held, inventory))
    return sorted(found)


def _tags(name: str, held: Held) -> Iterator[str]:
    for tag, one in held.tags.items():
        if one.digest and one.digest not in held.revisions:
            yield f"{name}:{tag}: {unpack(one.digest)} is no manifest of this repository"
        if one.digest and one.digest not in held.index.get(tag, ()):
            yield f"{name}:{tag}: {unpack(one.digest)} is not in the index of this tag"


def _manifests(name: str, held: Held, inventory: Inventory) -> Iterator[str]:
    for digest in held.revisions:
        if digest not in inventory.blobs:
            yield f"{name}@{unpack(digest)}: the bytes of this manifest are not there"
        node = inventory.nodes.get(digest)
        for child in node.children if node is not None else ():
            if child in inventory.blobs and child not in held.revisions:
                yield f"{name}@{unpack(digest)}: {unpack(child)} is no manifest of this repository"
