"""Manifests of every kind, and bytes that are none: a Manifest or a ValueError, never anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pawl.decide.compact import node_of, pack, unpack
from pawl.decide.manifestgraph import ARTIFACT, MAX_MANIFEST, Descriptor, Manifest, references

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def raw(document: Any) -> bytes:
    return json.dumps(document).encode()


def one(digest: str, size: int = 7, **more: Any) -> dict[str, Any]:
    return {"mediaType": "x/y", "digest": digest, "size": size, **more}


def test_an_image_names_config_layers_and_subject() -> None:
    foreign = one(C, urls=["https://elsewhere.example/layer"])
    document = {"schemaVersion": 2, "mediaType": OCI, "config": one(A), "layers": [one(B, 9), foreign]}
    found = references(None, raw({**document, "subject": one(C)}))
    layers = (Descriptor(B, 9), Descriptor(C, 7, foreign=True))
    assert found == Manifest((), Descriptor(A, 7), layers, C)
    assert found.blobs == (Descriptor(A, 7), *layers)


@pytest.mark.parametrize("kind", [INDEX, "application/vnd.docker.distribution.manifest.list.v2+json", None])
def test_an_index_names_its_children(kind: str | None) -> None:
    document = {"schemaVersion": 2, "manifests": [one(A), one(B)], **({"mediaType": kind} if kind else {})}
    assert references(None, raw(document)).children == (Descriptor(A, 7), Descriptor(B, 7))


def test_the_old_formats_are_named() -> None:
    schema1 = {"schemaVersion": 1, "fsLayers": [{"blobSum": A}, {"blobSum": A}, {"blobSum": B}], "history": []}
    found = references("application/vnd.docker.distribution.manifest.v1+prettyjws", raw(schema1))
    assert (found.schema1, [layer.digest for layer in found.layers]) == (True, [A, B])
    assert "schema 1" in node_of(found).opaque
    artifact = references(None, raw({"mediaType": ARTIFACT, "blobs": [one(A)], "subject": one(B)}))
    assert (artifact.artifact, artifact.layers, artifact.subject) == (True, (Descriptor(A, 7),), B)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"schemaVersion": 2, "mediaType": OCI, "config": one(A), "manifests": [one(B)]}, "at once"),
        ({"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "layers": [one(B)]}, "at once"),
        ({"schemaVersion": 2, "mediaType": OCI, "layers": []}, "without a config"),
        ({"schemaVersion": 3, "config": one(A)}, "schemaVersion 3"),
        ({"schemaVersion": 2, "mediaType": "text/plain"}, "'text/plain' is unknown"),
        ({"schemaVersion": 2, "mediaType": OCI, "config": one("sha256:abc")}, "is no digest"),
        ({"schemaVersion": 2, "mediaType": OCI, "config": one(A, -1)}, "has -1 bytes"),
        ({"schemaVersion": 2, "mediaType": OCI, "config": one(A), "subject": one("../../etc")}, "is no digest"),
        ({"schemaVersion": "2"}, "it is no manifest"),
        ([], "it is no manifest"),
    ],
)
def test_what_is_no_manifest_is_refused_with_a_sentence(document: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        references(None, raw(document))


@pytest.mark.parametrize(
    "body", [b"", b"\x00", b"{", b"\xff" * 9, b"[" * 100_000, b'{"a":' * 100_000, b" " * (MAX_MANIFEST + 1)]
)
def test_hostile_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"it is no manifest|more than a manifest"):
        references(None, body)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([A, B, OCI, INDEX, "", "sha512:ff"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["schemaVersion", "mediaType", "config", "layers", "manifests", "digest", "size", "subject"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | _JSON.map(raw))
def test_whatever_comes_is_a_manifest_or_a_value_error(body: bytes) -> None:
    try:
        node = node_of(references(None, body))
    except ValueError:
        return
    assert all((*node.children, *node.blobs))


def test_digests_go_into_bytes_and_back() -> None:
    for digest in (A, "sha512:" + "0f" * 64, "sha384:" + "0f" * 48):
        assert unpack(pack(digest)) == digest
    for text in ("", "sha256:", "sha256:zz", "sha256:" + "0f" * 33, "md5:" + "0f" * 16, A.upper()):
        assert pack(text) == b""
    assert unpack(b"") == ""
