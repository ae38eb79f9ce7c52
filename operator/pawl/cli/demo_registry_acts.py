"""The steps of the third part: a registry on MinIO moves to a local volume while a client pulls, past one rotten byte.

Neighbours: `demo_program` puts them into acts, `demo_registry_stage` asks the world. Not here: how a move is made
(`jobs.migrate`, `decide.storagemachine`).
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Final

from pawl.api.reasons import ConditionType, Reason
from pawl.api.registrystorage import RegistryStorage
from pawl.api.registrystorage_status import MigrationPhase, MigrationStatus
from pawl.cli import demo_registry_stage as house
from pawl.cli import demo_registry_wish as wish
from pawl.cli.demo_checks import Check, expect, until
from pawl.cli.demo_registry_door import Caller
from pawl.cli.demo_registry_layer import Layer
from pawl.cli.demo_registry_pull import Puller, Pulls, Wanted
from pawl.cli.demo_stage import answer_of
from pawl.cli.demo_story import Story
from pawl.cli.units import rate, size, span
from pawl.sandbox.images import build

START: Final = 90.0
"""Seconds for a new leader and for the registry to come up, on a busy machine."""
MOVING: Final = 150.0
"""Seconds for a whole move."""
MODEL: Final = "shop/model"
FIRST, SECOND = Layer(1), Layer(2)
"""Two layers of one size and other bytes: each is written in full."""
ARRIVED: Final = frozenset({MigrationPhase.OPEN, MigrationPhase.HOLD, MigrationPhase.DONE})


async def node(story: Story) -> str:
    """Start a new replica, and a node that runs Pods."""
    stage = story.stage
    stage.start_replica("replica-3")
    await stage.apply(wish.node())
    house.start_node(stage)
    await until(Check[bool]("the node to be Ready", START, bool), lambda: house.node_is_ready(stage))
    pid = stage.replicas[-1].pid
    return f"a new replica, pid {pid}; node {wish.NODE} is Ready, and its Pods are processes of this machine"


async def declared(story: Story) -> str:
    """Declare the registry on a bucket of MinIO, and see it serve."""
    stage, minio = story.stage, house.minio_of(story.stage)
    story.house.port = house.node_port(stage.sandbox.name)
    await house.make_bucket(stage)
    await stage.apply(wish.home(minio))
    await house.declare(stage, story.house, wish.on_bucket(minio))
    found = await house.watched(stage, story.house, "the registry to be Ready", START, _ready)
    where = found.status.store.label if found.status.store else ""
    return f"{found.status.address} serves from {where}, with TLS and a login that Pawl made"


def _ready(found: RegistryStorage) -> bool:
    return all(house.holds(found, kind) for kind in (ConditionType.READY, ConditionType.WRITABLE))


async def filled(story: Story) -> str:
    """Push images as any client does."""
    async with Caller(await house.door(story.stage, story.house)) as caller:
        for image in (*wish.PULLED, wish.ROTTEN):
            story.house.digests[f"{image.repository}:{image.tag}"] = await caller.push(image)
    return f"pushed {', '.join(story.house.digests)}"


async def large_on_bucket(story: Story) -> str:
    """Push a large layer to the registry on MinIO."""
    seconds = story.house.on_bucket = await _pushed(story, FIRST, "v1")
    return f"one layer of {size(FIRST.size)} pushed in {seconds:.1f} s, {rate(FIRST.size / seconds)}: MinIO"


async def _pushed(story: Story, layer: Layer, tag: str) -> float:
    # Hashed before the clock runs.
    await asyncio.to_thread(lambda: layer.digest)
    async with Caller(await house.door(story.stage, story.house, straight=True)) as caller:
        return await caller.push_layer(MODEL, tag, layer)


async def client(story: Story) -> str:
    """Start a client that pulls from now on."""
    digests = story.house.digests
    wanted = [Wanted(each.repository, each.tag, digests[f"{each.repository}:{each.tag}"]) for each in wish.PULLED]
    story.house.puller = puller = Puller(await house.door(story.stage, story.house), wanted)
    await _pulled_more(puller, len(wanted))
    return f"a client pulls {len(wanted)} images of two platforms in turn, and hashes every byte"


async def _pulled_more(puller: Puller, count: int) -> None:
    before = puller.seen.good

    async def ask() -> Pulls:
        return puller.seen

    await until(Check[Pulls](f"{count} more pulls", START, lambda now: now.good >= before + count), ask)


async def rotten(story: Story) -> str:
    """Let one bit of a blob rot in the bucket."""
    digest = story.house.rotten = build(wish.ROTTEN).blobs[0].digest
    place = await house.flip(story.stage, digest)
    image = f"{wish.ROTTEN.repository}:{wish.ROTTEN.tag}"
    return f"byte {place:,} of {_short(digest)} in bucket {wish.BUCKET} is another one now; {image} needs it"


async def caught(story: Story) -> str:
    """Name a volume in spec.storage, and see the move end at the rotten blob."""
    stage, digest, begun = story.stage, story.house.rotten, asyncio.get_running_loop().time()
    await house.declare(stage, story.house, wish.on_volume())
    found = await house.watched(stage, story.house, "the move to find the blob", MOVING, _ended)
    moving, seconds = _migration(found), asyncio.get_running_loop().time() - begun
    named = any(digest in each for each in moving.quarantine) and digest in moving.message
    good = moving.phase is MigrationPhase.FAILED and moving.reason == Reason.SOURCE_CORRUPT
    expect(good and named, f"{Reason.SOURCE_CORRUPT.value} that names {digest}", house.seen(found))
    fast = (
        f"at {rate(story.house.rate)}" if story.house.rate else f"within {seconds:.1f} s, the start of its Job included"
    )
    told = f"{size(moving.bytes_done)} copied {fast}: {moving.objects_done:,} of {moving.objects:,} objects are there"
    return f"{Reason.SOURCE_CORRUPT.value}: {moving.message}\n{told}"


def _ended(found: RegistryStorage) -> bool:
    moving = found.status.migration
    return moving is not None and moving.phase in ARRIVED | {MigrationPhase.FAILED}


def _migration(found: RegistryStorage) -> MigrationStatus:
    moving = found.status.migration
    expect(moving is not None, "a migration", house.seen(found))
    assert moving is not None  # noqa: S101 - it was just expected
    return moving


async def stayed(story: Story) -> str:
    """See that the registry is served from MinIO as before, and takes pushes."""
    found = await house.watched(story.stage, story.house, "the registry to be writable", START, _writable)
    store = found.status.store
    expect(store is not None and store.kind == "S3", "the registry on MinIO", house.seen(found))
    async with Caller(await house.door(story.stage, story.house)) as caller:
        await caller.push_layer("shop/note", "v1", Layer(3, pieces=1))
    assert story.house.puller is not None  # noqa: S101 - it was started before
    await _pulled_more(story.house.puller, len(wish.PULLED))
    return f"still served from {store.label if store else ''}; a push is taken, pulls go on"


def _writable(found: RegistryStorage) -> bool:
    return house.holds(found, ConditionType.WRITABLE)


async def repaired(story: Story) -> str:
    """Put the true bytes back: a registry keeps what it has, so what is wrong is taken away first."""
    await house.take_away(story.stage, story.house.rotten)
    async with Caller(await house.door(story.stage, story.house)) as caller:
        digest = await caller.push(wish.ROTTEN)
        await caller.pull(wish.ROTTEN.repository, wish.ROTTEN.tag, digest)
    image = f"{wish.ROTTEN.repository}:{wish.ROTTEN.tag}"
    return f"the object is deleted and {image} pushed again: it is pulled with its true bytes"


async def moved(story: Story) -> str:
    """Ask again, and see the registry served from the volume."""
    before, begun = _migration(await house.read(story.stage)), asyncio.get_running_loop().time()
    story.house.phases.clear()
    note = await house.again(story.stage, "demo-true-bytes")
    found = await house.watched(story.stage, story.house, "the registry on the volume", MOVING, _arrived)
    moving, seconds = _migration(found), asyncio.get_running_loop().time() - begun
    expect(moving.id == before.id, f"migration {before.id} to go on", moving.id)
    where = found.status.store.label if found.status.store else ""
    path = " → ".join(each for each in story.house.phases if each != MigrationPhase.FAILED)
    told = f"{moving.objects:,} objects, {size(moving.bytes)}, served from {where} after {seconds:.0f} s"
    return f"{note}: {path}\n{told}; {moving.source.label} is kept for {span(3600)}"


def _arrived(found: RegistryStorage) -> bool:
    moving, store = found.status.migration, found.status.store
    there = moving is not None and moving.phase is MigrationPhase.HOLD
    return there and store is not None and store.kind == "Filesystem" and _ready(found)


async def counted(story: Story) -> str:
    """Ask the client how it went."""
    puller = story.house.puller
    assert puller is not None  # noqa: S101 - it was started before
    await _pulled_more(puller, len(wish.PULLED))
    now = await puller.stop()
    expect(now.wrong == 0, "no pull with wrong bytes", f"{now.wrong}; the last: {now.last}")
    again = f"{now.again} had to be tried again, the slowest took {now.longest:.1f} s"
    return f"the client: {now.good:,} pulls succeeded, {again}, 0 got wrong bytes ({size(now.bytes)} hashed)"


async def verified(story: Story) -> str:
    """Let `pawl registry verify` read every byte of the volume."""
    stage = story.stage
    root = stage.crew.logs.parent / "host" / "claims" / wish.NAMESPACE
    volumes = list(root.iterdir())
    expect(len(volumes) == 1, "one volume", [each.name for each in volumes])
    command = ("registry", "verify", "--deep", "--path", str(volumes[0]), "-o", "json")
    answer = await answer_of(sys.executable, "-m", "pawl", *command)
    expect(answer.code == 0, "pawl registry verify to find nothing", answer.err or answer.out)
    found = json.loads(answer.out)
    told = f"{found['blobs']} blobs, {size(found['bytes'])}, {found['manifests']} manifests and {found['tags']} tags"
    expect(found["ok"] and found["deep"], "all of the volume to be well", answer.out)
    return f"pawl registry verify --deep: {told} read, nothing wrong"


async def large_on_volume(story: Story) -> str:
    """Push as large a layer to the registry on the volume, and pull the first one back."""
    seconds, before = await _pushed(story, SECOND, "v2"), story.house.on_bucket
    async with Caller(await house.door(story.stage, story.house, straight=True)) as caller:
        await caller.pull(MODEL, "v1", FIRST.manifest().digest)
    fast = f"{size(SECOND.size)} pushed in {seconds:.1f} s, {rate(SECOND.size / seconds)}: the volume"
    return (
        f"{fast}; {before:.1f} s on MinIO, {before / seconds:.1f} times as long; the first layer is pulled back whole"
    )


def _short(digest: str) -> str:
    return f"{digest[:15]}…"
