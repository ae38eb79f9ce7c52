"""How full a store is, in percent of bytes or of inodes, and whether it is too full for pushes.

Too full begins at `readOnlyAt` and ends below `collectAt`, so that a server does not go to and fro between the two.
Neighbours: `decide.expansion` makes claims larger, `decide.storagemachine_collection` collects, `jobs.meter` measures.
Not here: what is done about it.
"""

from __future__ import annotations

from typing import Final

from pawl.api.quantities import amount_or
from pawl.api.registrystorage_spec import Pressure
from pawl.api.registrystorage_status import RepositoryUsage, Usage
from pawl.api.registrywork import Meter
from pawl.decide.storagefacts import Facts

LARGEST: Final = 10
WHOLE: Final = 100


def capacity(facts: Facts) -> int:
    """Return how many bytes fit, 0 where nobody knows: a bucket has only the quota that the spec says."""
    s3 = facts.spec.storage.s3
    if facts.memory.store is not None and facts.memory.store.kind == "S3":
        return amount_or(s3.quota) if s3 is not None and s3.quota else 0
    return facts.meter.capacity if facts.meter is not None else 0


def percent(facts: Facts) -> int | None:
    """Return how full the store is: the greater of bytes and inodes. None where it was not measured."""
    meter = facts.meter
    if meter is None or (capacity(facts) == 0 and meter.inodes == 0):
        return None
    return max(_bytes_percent(facts, meter), _share(meter.inodes_used, meter.inodes))


def too_full(filled: int | None, limits: Pressure, *, before: bool) -> bool:
    """Whether pushes are refused, if they were (`before`) or were not until now. Unknown changes nothing."""
    if filled is None:
        return before
    if filled >= limits.read_only_at:
        return True
    return before and filled >= min(limits.collect_at, limits.read_only_at)


def usage(facts: Facts) -> Usage | None:
    """Return what the status says. None where nothing was measured."""
    meter = facts.meter
    if meter is None:
        return None
    largest = sorted(meter.repositories, key=lambda one: (-one.bytes, one.name))[:LARGEST]
    return Usage(
        bytes=meter.bytes,
        capacity=capacity(facts),
        percent=min(_bytes_percent(facts, meter), WHOLE),
        inodes_percent=min(_share(meter.inodes_used, meter.inodes), WHOLE),
        repositories=max(meter.repository_count, len(meter.repositories)),
        tags=meter.tags,
        blobs=meter.blobs,
        largest=[RepositoryUsage(name=one.name[:253], bytes=one.bytes, tags=one.tags) for one in largest],
    )


def _bytes_percent(facts: Facts, meter: Meter) -> int:
    on_disk = facts.memory.store is not None and facts.memory.store.kind == "Filesystem"
    return _share(meter.used if on_disk else meter.bytes + meter.upload_bytes, capacity(facts))


def _share(part: int, whole: int) -> int:
    return part * WHOLE // whole if whole > 0 else 0
