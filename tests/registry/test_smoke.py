"""A switched server must serve what its store holds: a tag less, another digest, other bytes are seen."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.registry.secured import URL, USER, secured_registry
from tests.support.registries import filesystem, registry_on

from pawl.api.errors import InputError, Unreachable
from pawl.api.reasons import Reason
from pawl.api.registrywork import Endpoint, Order, Place, Report, Task
from pawl.decide.layout import blob_key, tag_current_key
from pawl.jobs.inventory import read_inventory
from pawl.jobs.open import open_store
from pawl.jobs.smoke import SAMPLE, sampled, smoke
from pawl.sandbox.images import Image, Pusher, build

pytestmark = pytest.mark.registry

IMAGES = [
    *(Image("shop/web", f"v{number}", text=f"{number}") for number in range(12)),
    Image("shop/api", "v1", platforms=("linux/amd64", "linux/arm64")),
    Image("shop/api", "large", text="x" * 300_000),
]


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with images, as its server left it."""
    store = tmp_path_factory.mktemp("smoke") / "store"
    with registry_on(filesystem(store)) as registry, Pusher(registry.host) as pusher:
        for image in IMAGES:
            pusher.push(image)
    return store


@pytest.fixture
def stores(pushed: Path, tmp_path: Path) -> Iterator[tuple[Path, Endpoint]]:
    """A copy of the store, and a read-only server on another copy."""
    served, held = tmp_path / "served", tmp_path / "held"
    for copy in (served, held):
        shutil.copytree(pushed, copy)
    with registry_on(filesystem(served), read_only=True) as registry:
        yield held, Endpoint(url=f"http://{registry.host}")


async def smoked(store: Path, endpoint: Endpoint) -> tuple[Report, list[Report]]:
    told: list[Report] = []
    place = Place(kind="Filesystem", path=str(store))
    return await smoke(Order(task=Task.SMOKE, id="s1", target=place, endpoint=endpoint), told.append), told


async def test_a_server_of_its_own_store_passes(stores: tuple[Path, Endpoint]) -> None:
    report, told = await smoked(*stores)
    assert (report.ok, report.reason, report.message) == (True, Reason.PROVED, "")
    assert report.progress.objects == report.progress.objects_done == told[-1].progress.objects_done
    assert report.progress.bytes == report.progress.bytes_done > 300_000


async def test_what_differs_is_named(stores: tuple[Path, Endpoint]) -> None:
    held, endpoint = stores
    served = held.parent / "served"
    tags = served / "docker/registry/v2/repositories/shop/web/_manifests/tags"
    (served / tag_current_key("shop/web", "v2")).unlink()
    shutil.copytree(tags / "v0", tags / "surplus")
    shutil.rmtree(tags / "v3")
    other = (served / tag_current_key("shop/web", "v4")).read_text()
    (served / tag_current_key("shop/web", "v5")).write_text(other)
    shutil.rmtree(held / "docker/registry/v2/repositories/shop/api")
    shutil.copytree(
        held / "docker/registry/v2/repositories/shop/web", held / "docker/registry/v2/repositories/shop/gone"
    )
    report, _ = await smoked(held, endpoint)
    assert (report.ok, report.done, report.reason) == (False, True, Reason.SMOKE_FAILED)
    said = "\n".join(report.quarantine)
    assert f"tag shop/web:v5 is {other}, the store says" in said
    assert "repository shop/api is in the catalog and not in the store" in said
    assert "repository shop/gone is in the store and not in the catalog" in said
    assert "tag shop/web:v2 is not served" in said
    assert "tag shop/web:v3 is not listed" in said
    assert "tag shop/web:surplus is listed and not in the store" in said
    assert report.message.startswith("the server does not serve its store: ")


async def test_bytes_that_rotted_are_seen(stores: tuple[Path, Endpoint]) -> None:
    held, endpoint = stores
    layer = next(blob for blob in build(IMAGES[-1]).blobs if len(blob.body) > 300_000)
    path = held.parent / "served" / blob_key(layer.digest)
    path.write_bytes(b"y" + path.read_bytes()[1:])
    report, _ = await smoked(held, endpoint)
    assert [layer.digest in line and "other bytes" in line for line in report.quarantine] == [True]


async def test_a_blob_that_is_gone_is_seen(stores: tuple[Path, Endpoint]) -> None:
    held, endpoint = stores
    layer = next(blob for blob in build(IMAGES[-1]).blobs if len(blob.body) > 300_000)
    (held.parent / "served" / blob_key(layer.digest)).unlink()
    report, _ = await smoked(held, endpoint)
    assert [layer.digest in line and "not found" in line for line in report.quarantine] == [True]


async def test_a_server_that_is_away_is_no_difference(pushed: Path) -> None:
    """Another try may find it: only what it serves wrong ends a move."""
    with pytest.raises(Unreachable):
        await smoked(pushed, Endpoint(url="http://127.0.0.1:9"))


@pytest.mark.parametrize("status", [500, 503])
async def test_a_server_that_fails_at_its_blobs_is_no_difference(stores: tuple[Path, Endpoint], status: int) -> None:
    held, endpoint = stores

    async def answer(request: web.Request) -> web.Response:
        if "/blobs/" in request.path:
            return web.Response(status=status)
        async with session.request(request.method, f"{endpoint.url}{request.path_qs}") as real:
            headers = {name: real.headers[name] for name in ("Docker-Content-Digest", "Link") if name in real.headers}
            return web.Response(body=await real.read(), status=real.status, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with aiohttp.ClientSession() as session, TestServer(app) as between:
        with pytest.raises(Unreachable):
            await smoked(held, Endpoint(url=f"http://127.0.0.1:{between.port}"))


async def test_under_tls_with_users(tmp_path: Path) -> None:
    with secured_registry(tmp_path) as secured:
        host = secured.registry.host
        files = {"ca_file": str(tmp_path / "ca.crt"), "credentials": str(tmp_path)}
        report, _ = await smoked(secured.store, Endpoint(url=URL, address=host, **files))
        assert report.ok, "an empty registry serves all that it has"
    assert USER.password not in report.model_dump_json()


async def test_the_largest_blob_is_always_sampled(pushed: Path) -> None:
    inventory = await read_inventory(open_store(Place(kind="Filesystem", path=str(pushed))))
    found = list(sampled(inventory))
    assert found[0].size == max(
        inventory.blobs[digest] for held in inventory.repositories.values() for digest in held.layers
    )
    assert len(found) in {SAMPLE, SAMPLE + 1}
    assert len({blob.digest for blob in found}) == len(found)


async def test_an_order_that_says_too_little() -> None:
    with pytest.raises(InputError):
        await smoke(Order(task=Task.SMOKE, id="s"), lambda _report: None)
