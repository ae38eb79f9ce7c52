"""Manifests: hashed by us, bounded, and read for platforms."""

from __future__ import annotations

import json

import pytest
from tests.support.registry import FakeRegistry
from tests.support.registry_client import plain
from tests.support.registry_images import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, digest_of
from tests.support.registry_raw import Exchange, raw_server

from pawl.api.errors import BadAnswer, Missing, TooLarge, Unreachable
from pawl.registry.client import RegistryClient
from pawl.registry.manifests import Head, NotModified

pytestmark = pytest.mark.registry


async def test_an_index_tells_its_platforms_without_attestations(client: RegistryClient) -> None:
    async with FakeRegistry() as registry:
        digest = registry.push("r", "v1", ["linux/amd64", "linux/arm64/v8", "windows/amd64"])
        found = await client.get_manifest(plain(registry.host), "r", "v1", want_platforms=True)
        assert len(registry.requests) == 1
    assert (found.digest, found.media_type) == (digest, OCI_INDEX)
    assert found.platforms == ("linux/amd64", "linux/arm64/v8", "windows/amd64")
    assert [child.platform for child in found.children] == list(found.platforms)
    assert found.config is None


async def test_a_single_manifest_names_its_platform_in_its_config(client: RegistryClient) -> None:
    async with FakeRegistry() as registry:
        digest = registry.push("r", "v1", ["linux/arm/v7"], single=True)
        found = await client.get_manifest(plain(registry.host), "r", "v1", want_platforms=True)
        assert found.platforms == ("linux/arm/v7",)
        assert found.digest == digest
        assert [r.path for r in registry.requests] == ["/v2/r/manifests/v1", f"/v2/r/blobs/{found.config}"]


async def test_platforms_are_read_only_when_asked(client: RegistryClient) -> None:
    async with FakeRegistry() as registry:
        registry.push("r", "v1", single=True)
        found = await client.get_manifest(plain(registry.host), "r", "v1")
        assert found.platforms is None
        assert len(registry.requests) == 1


async def test_what_is_no_image_has_no_platforms(client: RegistryClient) -> None:
    chart = {"schemaVersion": 2, "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": "x"}}
    async with FakeRegistry() as registry:
        registry.repository("r").put(OCI_MANIFEST, json.dumps(chart).encode(), "chart")
        found = await client.get_manifest(plain(registry.host), "r", "chart", want_platforms=True)
    assert found.platforms == ()


async def test_bytes_that_disagree_with_the_header_are_refused_and_the_header_is_never_taken(
    client: RegistryClient,
) -> None:
    async with FakeRegistry() as registry:
        claimed = registry.push("r", "v1")
        registry.behave(flip=True)
        with pytest.raises(BadAnswer, match="than the registry says"):
            await client.get_manifest(plain(registry.host), "r", "v1")
        with pytest.raises(BadAnswer, match="another digest"):
            await client.get_manifest(plain(registry.host), "r", claimed)


async def test_a_config_with_another_digest_is_refused(client: RegistryClient) -> None:
    async with FakeRegistry() as registry:
        registry.push("r", "v1", single=True)
        registry.behave(flip=True, only="/blobs/")
        with pytest.raises(BadAnswer, match="config"):
            await client.get_manifest(plain(registry.host), "r", "v1", want_platforms=True)


INDEX = {"schemaVersion": 2, "manifests": []}
BODIES: dict[str, tuple[str, object, str]] = {
    "schema 1 by type": ("application/vnd.docker.distribution.manifest.v1+prettyjws", {"schemaVersion": 1}, "schema 1"),
    "schema 1 by content": ("application/json", {"schemaVersion": 1, "fsLayers": []}, "schema 1"),
    "both at once": (OCI_INDEX, {**INDEX, "layers": []}, "both at once"),
    "neither": (OCI_MANIFEST, {"schemaVersion": 2}, "neither"),
    "index under the name of a manifest": (OCI_MANIFEST, INDEX, "media type"),
    "says another type": (OCI_INDEX, {**INDEX, "mediaType": OCI_MANIFEST}, "media type"),
    "html": ("text/html", INDEX, "web page"),
    "no object": (OCI_INDEX, [], "shape"),
}


@pytest.mark.parametrize(("kind", "body", "message"), BODIES.values(), ids=BODIES.keys())
async def test_what_is_no_manifest(client: RegistryClient, kind: str, body: object, message: str) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.answer(200, json.dumps(body).encode(), Content_Type=kind)

    async with raw_server(script) as server:
        with pytest.raises(BadAnswer, match=message):
            await client.get_manifest(plain(server.host), "r", "v1", want_platforms=True)


@pytest.mark.parametrize("kind", ["application/json", "", OCI_INDEX])
async def test_a_content_type_that_says_little_is_forgiven(client: RegistryClient, kind: str) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.answer(200, json.dumps(INDEX).encode(), Content_Type=kind)

    async with raw_server(script) as server:
        found = await client.get_manifest(plain(server.host), "r", "v1", want_platforms=True)
    assert found.platforms == ()


async def test_a_manifest_over_four_mebibytes(client: RegistryClient) -> None:
    body = json.dumps({**INDEX, "annotations": {"x": "y" * 4 * 1024 * 1024}}).encode()

    async def script(exchange: Exchange) -> None:
        await exchange.answer(200, body, Content_Type=OCI_INDEX)

    async with raw_server(script) as server:
        with pytest.raises(TooLarge):
            await client.get_manifest(plain(server.host), "r", "v1")


async def test_a_config_over_four_mebibytes(client: RegistryClient) -> None:
    config = json.dumps({"os": "linux", "architecture": "amd64", "x": "y" * 4 * 1024 * 1024}).encode()
    body = {
        "schemaVersion": 2,
        "config": {"mediaType": OCI_CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [],
    }
    async with FakeRegistry() as registry:
        registry.repository("r").blobs[digest_of(config)] = config
        registry.repository("r").put(OCI_MANIFEST, json.dumps(body).encode(), "v1")
        with pytest.raises(TooLarge):
            await client.get_manifest(plain(registry.host), "r", "v1", want_platforms=True)


async def test_head_says_what_is_claimed_and_whether_it_changed(client: RegistryClient) -> None:
    async with FakeRegistry() as registry:
        access = plain(registry.host)
        digest = registry.push("r", "latest")
        head = await client.head_manifest(access, "r", "latest")
        assert isinstance(head, Head)
        assert (head.claimed_digest, head.media_type) == (digest, OCI_INDEX)
        assert await client.head_manifest(access, "r", "latest", if_none_match=digest) == NotModified(digest)
        assert registry.requests[-1].headers["if-none-match"] == f'"{digest}"'
        moved = registry.push("r", "latest", content="2")
        head = await client.head_manifest(access, "r", "latest", if_none_match=digest)
        assert isinstance(head, Head)
        assert head.claimed_digest == moved


async def test_a_registry_without_conditions_still_tells_that_nothing_changed(client: RegistryClient) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.answer(200, Docker_Content_Digest="sha256:same", Content_Type=OCI_INDEX)

    async with raw_server(script) as server:
        same = await client.head_manifest(plain(server.host), "r", "v1", if_none_match="sha256:same")
        other = await client.head_manifest(plain(server.host), "r", "v1", if_none_match="sha256:other")
    assert same == NotModified("sha256:same")
    assert isinstance(other, Head)


async def test_an_unasked_304_is_an_error(client: RegistryClient) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.answer(304)

    async with raw_server(script) as server:
        with pytest.raises(BadAnswer, match="304"):
            await client.get_manifest(plain(server.host), "r", "v1")
        with pytest.raises(BadAnswer, match="304"):
            await client.exists(plain(server.host), "r", "sha256:x")


async def test_exists(client: RegistryClient) -> None:
    async with FakeRegistry() as registry:
        access = plain(registry.host)
        digest = registry.push("r", "v1")
        assert await client.exists(access, "r", digest)
        registry.delete_tag("r", "v1")
        assert await client.exists(access, "r", digest)
        registry.delete_manifest("r", digest)
        assert not await client.exists(access, "r", digest)
        registry.behave(fail=500)
        with pytest.raises(Unreachable):
            await client.exists(access, "r", digest)
        registry.behave(html=True)
        with pytest.raises(BadAnswer):
            await client.exists(access, "r", digest)


async def test_what_is_missing(client: RegistryClient) -> None:
    async with FakeRegistry() as registry:
        registry.push("r", "v1")
        for path, tag in (("r", "v2"), ("none", "v1")):
            with pytest.raises(Missing, match=f"{path}:{tag}"):
                await client.get_manifest(plain(registry.host), path, tag)


@pytest.mark.parametrize("reference", ["", "a/b", "../x", "a b", "sha256:" + "x" * 300, "a?b"])
async def test_a_reference_that_is_none(client: RegistryClient, reference: str) -> None:
    with pytest.raises(ValueError, match="not a tag or digest"):
        await client.get_manifest(plain("127.0.0.1:1"), "r", reference)
