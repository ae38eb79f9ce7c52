"""Keys of a registry: what they mean, and the order in which they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.decide import layout
from pawl.decide.layout import Entry, EntryKind

HEX = "ab" * 32
DIGEST = f"sha256:{HEX}"
IN_SHOP = "docker/registry/v2/repositories/shop/web"


@pytest.mark.parametrize(
    ("key", "entry"),
    [
        (layout.blob_key(DIGEST), Entry(EntryKind.BLOB, digest=DIGEST)),
        (layout.layer_link_key("shop/web", DIGEST), Entry(EntryKind.LAYER_LINK, "shop/web", digest=DIGEST)),
        (layout.revision_link_key("shop/web", DIGEST), Entry(EntryKind.REVISION_LINK, "shop/web", digest=DIGEST)),
        (layout.tag_index_key("a", "v1", DIGEST), Entry(EntryKind.TAG_INDEX_LINK, "a", "v1", DIGEST)),
        (layout.tag_current_key("Team.Example/a", "v1"), Entry(EntryKind.TAG_CURRENT_LINK, "Team.Example/a", "v1")),
        (layout.tag_current_key("a", "index"), Entry(EntryKind.TAG_CURRENT_LINK, "a", "index")),
        (f"{IN_SHOP}/_uploads/1234/hashstates/sha256/0", Entry(EntryKind.UPLOAD, "shop/web")),
        (".pawl/migration-1/done", Entry(EntryKind.PAWL)),
    ],
)
def test_what_is_built_is_read_as_the_same(key: str, entry: Entry) -> None:
    assert layout.parse(key) == entry


def test_keys_are_where_distribution_writes_them() -> None:
    assert layout.blob_key(DIGEST) == f"docker/registry/v2/blobs/sha256/ab/{HEX}/data"
    assert layout.layer_link_key("shop/web", DIGEST) == f"{IN_SHOP}/_layers/sha256/{HEX}/link"
    assert layout.revision_link_key("shop/web", DIGEST) == f"{IN_SHOP}/_manifests/revisions/sha256/{HEX}/link"
    assert layout.tag_index_key("shop/web", "v1", DIGEST) == f"{IN_SHOP}/_manifests/tags/v1/index/sha256/{HEX}/link"
    assert layout.tag_current_key("shop/web", "v1") == f"{IN_SHOP}/_manifests/tags/v1/current/link"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "lost+found/x",
        "docker/registry/v2/scheduler-state.json",
        f"docker/registry/v2/blobs/sha256/cd/{HEX}/data",
        f"docker/registry/v2/blobs/sha256/ab/{HEX}/.data.partial",
        f"docker/registry/v2/blobs/sha256/ab/{HEX[:-1]}/data",
        f"docker/registry/v2/blobs/md5/ab/{HEX}/data",
        f"docker/registry/v2/repositories/../etc/_layers/sha256/{HEX}/link",
        f"docker/registry/v2/repositories/Shop/_layers/sha256/{HEX}/link",
        f"{IN_SHOP}/_layers/sha256/{HEX}",
        f"{IN_SHOP}/_manifests/revisions/sha256/{HEX}/signatures/sha256/{HEX}/link",
        f"{IN_SHOP}/_manifests/tags/../current/link",
        f"{IN_SHOP}/_manifests/tags/v1/current",
        f"{IN_SHOP}/_manifests/tags/v1",
        f"{IN_SHOP}/_manifests",
        f"{IN_SHOP}/_uploads",
    ],
)
def test_whatever_else_is_other(key: str) -> None:
    assert layout.parse(key).kind is EntryKind.OTHER


def test_blobs_come_first_and_current_links_last() -> None:
    ranks = [kind.rank for kind in (EntryKind.BLOB, *layout.LINKS)]
    assert ranks == sorted(ranks)
    assert max(ranks) < min(kind.rank for kind in (EntryKind.UPLOAD, EntryKind.PAWL, EntryKind.OTHER))


@pytest.mark.parametrize("body", [b"", b"\0" * 71, DIGEST.encode() + b"\n", b"sha256:abc", b"\xff" * 71, b"x" * 5000])
def test_a_link_holds_a_whole_digest_and_nothing_else(body: bytes) -> None:
    assert layout.linked(DIGEST.encode()) == DIGEST
    assert layout.linked(body) == ""


@given(st.text())
def test_every_key_is_read(text: str) -> None:
    layout.parse(text)
    layout.parse(layout.REPOSITORIES + text)
    layout.parse(layout.BLOBS + text)
