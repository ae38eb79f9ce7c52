"""Asks a server that was just switched to another store for what that store holds: it must serve all of it.

Repositories, tags and the digest of every tag are compared between API and store; the largest blob and a sample of the
others are read as a stream and hashed. The server is read-only meanwhile, so that both stand still. A server that is
away for a moment is an error that another try mends, and no difference. Neighbours: `inventory` reads the store,
`registry.servercheck` asks. Not here: whether the store is whole (`verify`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pawl.api.errors import BadAnswer, InputError, Missing
from pawl.api.reasons import Reason
from pawl.api.registrywork import Order, Progress, Report, Task
from pawl.decide.compact import Digest, unpack
from pawl.decide.layout import is_digest
from pawl.jobs.inventory import Inventory, read_inventory
from pawl.jobs.open import open_store
from pawl.jobs.probe import target_of
from pawl.jobs.progress import Tell
from pawl.jobs.readahead import each
from pawl.registry import servercheck
from pawl.registry.servers import CONCURRENCY, Server
from pawl.registry.targets import reference_target

SAMPLE: Final = 16
"""Blobs besides the largest that are read whole, evenly spread over all digests."""
_SAMPLE_BYTES: Final = 64 * 1024 * 1024
"""Blobs of the sample are not larger: the largest of all is read anyway."""
_SHOWN: Final = 5
_SECONDS: Final = 60.0


@dataclass(slots=True)
class _Smoke:
    """What was compared so far, and what differs."""

    order: Order
    tell: Tell
    server: Server
    inventory: Inventory
    differs: list[str] = field(default_factory=list)
    both: list[tuple[str, str]] = field(default_factory=list)
    """Repository and tag of what is listed and held."""
    progress: Progress = field(default_factory=Progress)

    def done(self, *, objects: int = 0, read: int = 0) -> None:
        """Count what was compared."""
        was = self.progress
        more = {"objects_done": was.objects_done + objects, "bytes_done": was.bytes_done + read}
        self.progress = was.model_copy(update=more)
        self.tell(Report(task=Task.SMOKE, id=self.order.id, progress=self.progress))


@dataclass(frozen=True, slots=True)
class _Sampled:
    """A blob that is read through a repository that holds it."""

    repository: str
    digest: Digest
    size: int


async def smoke(order: Order, tell: Tell) -> Report:
    """Compare. Raises InputError where the order says too little, StoreError and RegistryError where one is away."""
    place = order.target or order.source
    if place is None or order.endpoint is None:
        raise InputError("the order names no store and server to compare")
    store = open_store(place)
    try:
        inventory = await read_inventory(store)
    finally:
        await store.close()
    async with Server(target_of(order.endpoint, _SECONDS)) as server:
        state = _Smoke(order, tell, server, inventory)
        blobs = list(sampled(inventory))
        total = sum(blob.size for blob in blobs)
        state.progress = Progress(objects=inventory.tags + len(blobs), bytes=total)
        await _catalog(state)
        await each(sorted(inventory.repositories), lambda name: _tags(state, name), CONCURRENCY)
        await each(sorted(state.both), lambda tag: _digest(state, *tag), CONCURRENCY)
        for blob in blobs:
            await _blob(state, blob)
    return _report(state)


async def _catalog(state: _Smoke) -> None:
    listed: set[str] = set()
    async for page in servercheck.catalog(state.server):
        listed.update(page)
    held = {name for name, found in state.inventory.repositories.items() if found.tags}
    state.differs += [f"repository {name} is in the store and not in the catalog" for name in sorted(held - listed)]
    known = set(state.inventory.repositories)
    state.differs += [f"repository {name} is in the catalog and not in the store" for name in sorted(listed - known)]


async def _tags(state: _Smoke, repository: str) -> None:
    held = state.inventory.repositories[repository].tags
    listed = set(await servercheck.tags(state.server, repository))
    state.differs += [f"tag {repository}:{tag} is not listed" for tag in sorted(set(held) - listed)]
    state.differs += [f"tag {repository}:{tag} is listed and not in the store" for tag in sorted(listed - set(held))]
    state.both += [(repository, tag) for tag in listed & set(held)]


async def _digest(state: _Smoke, repository: str, tag: str) -> None:
    packed = state.inventory.repositories[repository].tags[tag].digest
    wanted = unpack(packed) if packed else ""
    if not is_digest(wanted):
        return  # a broken link, which was broken before the move as well: `verify` names it
    try:
        served = await servercheck.manifest_digest(state.server, repository, tag)
    except (Missing, BadAnswer) as error:
        state.differs.append(str(error))
        return
    if served != wanted:
        state.differs.append(f"tag {repository}:{tag} is {served or 'not served'}, the store says {wanted}")
    state.done(objects=1)


async def _blob(state: _Smoke, blob: _Sampled) -> None:
    name = unpack(blob.digest)
    target = reference_target(blob.repository, "blobs", name)
    try:
        found = await state.server.hashed(target, lambda read: state.done(read=read))
    except (Missing, BadAnswer) as error:
        state.differs.append(str(error))
        return
    if found != name:
        state.differs.append(f"blob {blob.repository}@{name} is served with other bytes: they hash to {found}")
    state.done(objects=1)


def sampled(inventory: Inventory) -> Iterator[_Sampled]:
    """Yield the largest blob that a repository holds, then others spread evenly over the digests."""
    held = {
        digest: _Sampled(name, digest, inventory.blobs[digest])
        for name, found in inventory.repositories.items()
        for digest in found.layers
        if digest in inventory.blobs and unpack(digest).startswith("sha256:")
    }
    if not held:
        return
    largest = max(held.values(), key=lambda blob: (blob.size, blob.digest))
    yield largest
    small = [held[digest] for digest in sorted(held) if held[digest].size <= _SAMPLE_BYTES]
    yield from (blob for blob in _spread(small, SAMPLE) if blob != largest)


def _spread(blobs: Sequence[_Sampled], count: int) -> Iterator[_Sampled]:
    if len(blobs) <= count:
        yield from blobs
        return
    yield from (blobs[place * len(blobs) // count] for place in range(count))


def _report(state: _Smoke) -> Report:
    differs = state.differs
    more = f" and {len(differs) - _SHOWN} more" if len(differs) > _SHOWN else ""
    return Report(
        task=Task.SMOKE,
        id=state.order.id,
        done=True,
        ok=not differs,
        reason=Reason.SMOKE_FAILED if differs else Reason.PROVED,
        message=f"the server does not serve its store: {'; '.join(differs[:_SHOWN])}{more}" if differs else "",
        quarantine=differs[:20],
        progress=state.progress,
    )
