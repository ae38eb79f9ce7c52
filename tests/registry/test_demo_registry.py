"""The demo's client on a real registry under TLS: it sees each wrong byte, and outlasts a registry that is away."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.registry.secured import NAME, USER, Secured, secured_registry
from tests.support.registries import Tls, filesystem, registry_on

from pawl.cli.demo_checks import CheckFailedError
from pawl.cli.demo_registry_door import Caller, Door, WrongBytesError
from pawl.cli.demo_registry_layer import Layer
from pawl.cli.demo_registry_pull import Puller, Wanted
from pawl.decide.layout import blob_key
from pawl.sandbox.images import Image, build

pytestmark = pytest.mark.registry

ONE = Image("shop/web", "v1", "text", ("linux/amd64", "linux/arm64"))
OTHER = Image("shop/archive", "v1", "text")
LAYER = build(ONE).blobs[0].digest


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    with secured_registry(tmp_path) as found:
        yield found


def door_of(secured: Secured, password: str = USER.password) -> Door:
    trust = ssl.create_default_context(cadata=secured.ca_pem)
    return Door(secured.registry.host, NAME, trust, USER.username, password)


def file_of(secured: Secured, digest: str = LAYER) -> Path:
    return secured.store / blob_key(digest)


def rot(file: Path) -> bytes:
    true = file.read_bytes()
    file.write_bytes(true[:-1] + bytes([true[-1] ^ 1]))
    return true


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - a count has no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def pulled(secured: Secured) -> AsyncIterator[Puller]:
    """A client that has pulled the image once."""
    async with Caller(door_of(secured)) as caller:
        digest = await caller.push(ONE)
    puller = Puller(door_of(secured), [Wanted(ONE.repository, ONE.tag, digest)])
    try:
        await until(lambda: puller.seen.good)
        yield puller
    finally:
        await puller.stop()


async def test_what_is_pushed_is_pulled_whole(secured: Secured) -> None:
    layer, built = Layer(1, pieces=2), build(ONE)
    async with Caller(door_of(secured)) as caller:
        assert await caller.push(ONE) == built.top.digest
        assert await caller.push_layer("shop/model", "v1", layer) > 0
        # both platforms have the one layer
        bodies = [built.top, *built.manifests, *built.blobs, built.blobs[0]]
        assert await caller.pull(ONE.repository, ONE.tag, built.top.digest) == sum(len(each.body) for each in bodies)
        assert await caller.pull("shop/model", "v1", layer.manifest().digest) > layer.size
    assert file_of(secured, layer.digest).stat().st_size == layer.size


async def test_a_wrong_byte_and_a_wrong_digest_are_seen(secured: Secured) -> None:
    async with Caller(door_of(secured)) as caller:
        digest = await caller.push(ONE)
        with pytest.raises(WrongBytesError, match="manifests/v1"):
            await caller.pull(ONE.repository, ONE.tag, LAYER)
        rot(file_of(secured))
        with pytest.raises(WrongBytesError, match=LAYER):
            await caller.pull(ONE.repository, ONE.tag, digest)


async def test_a_push_alone_does_not_mend_what_is_there(secured: Secured) -> None:
    """Why the demo takes the rotten object away first: a registry keeps a blob that it has by name."""
    async with Caller(door_of(secured)) as caller:
        digest = await caller.push(OTHER)
        file = file_of(secured, build(OTHER).blobs[0].digest)
        true = rot(file)
        await caller.push(OTHER)
        assert file.read_bytes() != true
        file.unlink()
        await caller.push(OTHER)
        assert file.read_bytes() == true
        await caller.pull(OTHER.repository, OTHER.tag, digest)


async def test_who_may_not_come_in_is_told(secured: Secured) -> None:
    async with Caller(door_of(secured, "wrong")) as caller:
        with pytest.raises(CheckFailedError, match="HTTP 401"):
            await caller.push(ONE)


async def test_wrong_bytes_are_counted_until_they_are_right(secured: Secured) -> None:
    async with pulled(secured) as puller:
        true = rot(file_of(secured))
        await until(lambda: puller.seen.wrong)
        good = puller.seen.good
        file_of(secured).write_bytes(true)
        await until(lambda: puller.seen.good > good)
        assert LAYER in puller.seen.last


async def test_pulls_go_on_when_the_registry_is_back(secured: Secured) -> None:
    async with pulled(secured) as puller:
        secured.registry.kill()
        await until(lambda: puller.seen.again)
        good, base = puller.seen.good, secured.base
        tls = Tls(base / "tls.crt", base / "tls.key")
        with registry_on(filesystem(secured.store), auth=base / "htpasswd", tls=tls, host=secured.registry.host):
            await until(lambda: puller.seen.good > good)
        assert (puller.seen.again >= 1, puller.seen.wrong) == (True, 0)
        assert puller.seen.longest > 0
