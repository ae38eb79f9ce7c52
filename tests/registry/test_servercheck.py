"""Questions to real registries, Pod by Pod: under TLS with another name than what is dialled, with users, read-only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.registry.secured import NAME, USER, Secured, secured_registry
from tests.support.registries import Server as Registry
from tests.support.registries import filesystem, registry_on

from pawl.api.errors import BadAnswer, Missing, RegistryError
from pawl.registry import servercheck
from pawl.registry.credentials import Credentials
from pawl.registry.servercheck import CANARY, Blob, takes_pushes
from pawl.registry.servers import Server, Target
from pawl.registry.targets import reference_target
from pawl.sandbox.images import Image, Pusher, build

pytestmark = pytest.mark.registry


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured_registry(tmp_path_factory.mktemp("secured")) as made:
        yield made


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """An open registry with three images."""
    with registry_on(filesystem(tmp_path_factory.mktemp("plain"))) as registry:
        with Pusher(registry.host) as pusher:
            for tag in ("v1", "v2", "v3"):
                pusher.push(Image("shop/web", tag, text=tag))
        yield registry


def held(store: Path) -> list[Path]:
    return sorted(path for path in store.rglob("*") if path.is_file())


async def test_a_pod_takes_pushes_under_the_name_of_its_service(secured: Secured) -> None:
    before = held(secured.store)
    assert await takes_pushes(secured.target()) is True
    assert held(secured.store) == before, "asking left something in the store"


@pytest.mark.parametrize("credentials", [Credentials("pawl", "another"), Credentials()])
async def test_who_is_not_known_is_told_nothing(secured: Secured, credentials: Credentials) -> None:
    assert await takes_pushes(secured.target(credentials)) is None


async def test_another_name_and_another_authority_are_not_trusted(secured: Secured) -> None:
    assert await takes_pushes(secured.target(url="https://other.shop.svc:5000")) is None
    assert await takes_pushes(Target(f"https://{NAME}:5000", secured.registry.host, "", USER)) is None


async def test_nobody_there_says_nothing() -> None:
    assert await takes_pushes(Target("http://127.0.0.1:9", seconds=5)) is None


@pytest.mark.parametrize("version", ["3", "2"])
async def test_a_read_only_server_refuses(tmp_path: Path, version: str) -> None:
    with registry_on(filesystem(tmp_path), version, read_only=True) as registry:
        assert await takes_pushes(Target(f"http://{registry.host}")) is False
    with registry_on(filesystem(tmp_path), version) as registry:
        assert await takes_pushes(Target(f"http://{registry.host}")) is True
        async with Server(Target(f"http://{registry.host}")) as server:
            assert (await servercheck.push_nothing(server, CANARY, 2 << 20)).status == 400
    assert held(tmp_path) == []


async def test_push_pull_and_delete(secured: Secured) -> None:
    built = build(Image(CANARY, "v1"))
    manifest = Blob(built.top.media_type, built.top.body)
    async with Server(secured.target()) as server:
        for blob in built.blobs:
            for _ in range(2):  # the second finds it there
                await servercheck.push_blob(server, CANARY, Blob(blob.media_type, blob.body))
        await servercheck.push_manifest(server, CANARY, manifest, "v1")
        assert await servercheck.manifest_digest(server, CANARY, "v1") == manifest.digest
        assert await servercheck.pull_manifest(server, CANARY, manifest.digest) == manifest.body
        assert await servercheck.delete_manifest(server, CANARY, manifest.digest)
        assert await servercheck.manifest_digest(server, CANARY, "v1") == ""
        with pytest.raises(Missing):
            await servercheck.pull_manifest(server, CANARY, manifest.digest)


async def test_a_manifest_that_its_blobs_lack_is_refused(plain: Registry) -> None:
    built = build(Image("shop/none", "v1", text="never pushed"))
    async with Server(Target(f"http://{plain.host}")) as server:
        with pytest.raises(RegistryError, match="400"):
            await servercheck.push_manifest(server, "shop/none", Blob(built.top.media_type, built.top.body), "v1")


async def test_lists_of_many_pages(plain: Registry) -> None:
    async with Server(Target(f"http://{plain.host}")) as server:
        assert await servercheck.tags(server, "shop/web", 2) == ["v1", "v2", "v3"]
        assert await servercheck.tags(server, "shop/none") == []
        assert [name async for page in servercheck.catalog(server, 1) for name in page] == ["shop/web"]


async def test_a_large_blob_is_hashed_as_a_stream(plain: Registry) -> None:
    body = bytes(range(256)) * 32 * 1024  # 8 MiB, more than an answer may have
    digest, seen = f"sha256:{hashlib.sha256(body).hexdigest()}", list[int]()
    async with Server(Target(f"http://{plain.host}")) as server:
        await servercheck.push_blob(server, "shop/web", Blob("", body))
        assert await server.hashed(reference_target("shop/web", "blobs", digest), seen.append) == digest
        assert sum(seen) == len(body)
        with pytest.raises(Missing):
            await server.hashed(reference_target("shop/web", "blobs", f"sha256:{'0' * 64}"), seen.append)


async def test_a_bounded_body_and_an_upload_sent_elsewhere_are_seen() -> None:
    """A server between client and registry, as an Ingress is."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        if request.method != "POST":
            return web.Response(status=413)
        place = "http://other.example/v2/x" if "/elsewhere/" in request.path else "/v2/up"
        return web.Response(status=202, headers={"Location": place})

    app = web.Application(client_max_size=4 << 20)
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as between, Server(Target(f"http://127.0.0.1:{between.port}")) as server:
        assert (await servercheck.push_nothing(server, "shop/web", 1 << 20)).status == 413
        with pytest.raises(BadAnswer, match="X-Forwarded-Proto"):
            await servercheck.push_blob(server, "elsewhere/web", Blob("", b"x"))
