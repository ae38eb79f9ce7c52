"""The images that the sandbox pushes, as bytes: deterministic, true digests, an index where platforms are several."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

from pawl.sandbox.images import INDEX, MANIFEST, Image, build, digest_of

ONE = Image("shop/web", "v1", "hello")
TWO = Image("shop/web", "v1", "hello", ("linux/amd64", "linux/arm64/v8"))


def test_equal_arguments_make_equal_bytes() -> None:
    assert build(ONE) == build(Image("shop/web", "v1", "hello"))
    assert digest_of(ONE) == digest_of(Image("shop/web", "v1", "hello"))


def test_the_digest_is_known_for_ever() -> None:
    """It must not move with Python or the machine: tests and benches write it down."""
    assert digest_of(ONE) == "sha256:efbee8f37cc12c728fdac8e8437ebb1b81715aedae36dfde3f273220c1404756"


def test_everything_named_changes_the_digest() -> None:
    others = [
        Image("shop/api", "v1", "hello"),
        Image("shop/web", "v2", "hello"),
        Image("shop/web", "v1", "hullo"),
        Image("shop/web", "v1", "hello", ("linux/arm64",)),
        TWO,
    ]
    assert len({digest_of(image) for image in [ONE, *others]}) == 6


def test_one_platform_is_a_manifest() -> None:
    built = build(ONE)
    assert (built.top.media_type, built.manifests) == (MANIFEST, ())


def test_what_a_manifest_names_is_there() -> None:
    built = build(ONE)
    manifest = json.loads(built.top.body)
    blobs = {blob.digest: blob for blob in built.blobs}
    for part in (manifest["config"], *manifest["layers"]):
        assert len(blobs[part["digest"]].body) == part["size"]
        assert part["digest"] == "sha256:" + hashlib.sha256(blobs[part["digest"]].body).hexdigest()


def test_the_config_names_platform_and_layer() -> None:
    built = build(ONE)
    config = json.loads(next(blob.body for blob in built.blobs if blob.media_type.endswith("config.v1+json")))
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    assert config["rootfs"]["diff_ids"] == [built.blobs[0].digest]


def test_the_layer_can_be_unpacked() -> None:
    with tarfile.open(fileobj=io.BytesIO(build(ONE).blobs[0].body)) as archive:
        file = archive.extractfile("image.txt")
        assert file is not None
        assert file.read() == b"shop/web:v1\nhello\n"


def test_several_platforms_are_an_index() -> None:
    built = build(TWO)
    index = json.loads(built.top.body)
    assert built.top.media_type == INDEX
    assert [child["digest"] for child in index["manifests"]] == [manifest.digest for manifest in built.manifests]
    assert [child["platform"] for child in index["manifests"]] == [
        {"os": "linux", "architecture": "amd64"},
        {"os": "linux", "architecture": "arm64", "variant": "v8"},
    ]
