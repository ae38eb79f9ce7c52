"""Platforms as containerd names them, and revisions of tag lists."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.decide.shortlist import revision as tag_revision
from pawl.registry.manifests import matches
from pawl.registry.platforms import missing_platforms, normalise, offers

PAIRS = [
    # offered, wanted, fits
    ("linux/amd64", "linux/amd64", True),
    ("linux/x86_64", "linux/amd64", True),
    ("linux/amd64", "linux/amd64/v1", True),
    ("linux/amd64", "linux/amd64/v3", True),
    ("linux/amd64/v3", "linux/amd64", False),
    ("linux/amd64/v2", "linux/amd64/v3", True),
    ("linux/arm64/v8", "linux/arm64", True),
    ("linux/arm64", "linux/arm64/v8", True),
    ("linux/aarch64", "linux/arm64/8", True),
    ("linux/arm64/v9", "linux/arm64", False),
    ("linux/arm", "linux/arm/v7", True),
    ("linux/arm/7", "linux/arm", True),
    ("linux/armhf", "linux/arm/v7", True),
    ("linux/armel", "linux/arm/v6", True),
    ("linux/arm/v6", "linux/arm/v7", True),
    ("linux/arm/v7", "linux/arm/v6", False),
    ("linux/arm/v7", "linux/arm64", False),
    ("linux/i386", "linux/386", True),
    ("LINUX/AMD64", "linux/amd64", True),
    ("macos/arm64", "darwin/arm64", True),
    ("windows/amd64", "linux/amd64", False),
    ("linux/s390x", "linux/s390x", True),
    ("linux/riscv64", "linux/ppc64le", False),
]


@pytest.mark.parametrize(("offered", "wanted", "fits"), PAIRS)
def test_offers(offered: str, wanted: str, fits: bool) -> None:  # noqa: FBT001
    assert offers([offered], wanted) is fits
    assert offers(["plan9/mips", offered], wanted) is fits


def test_nothing_offers_nothing() -> None:
    assert not offers([], "linux/amd64")


def test_what_is_missing_is_named_in_order() -> None:
    wanted = ["linux/s390x", "linux/amd64", "linux/arm/v7"]
    assert missing_platforms(["linux/amd64"], wanted) == ("linux/s390x", "linux/arm/v7")
    assert missing_platforms(["linux/amd64"], []) == ()


@given(st.text(max_size=40))
def test_normalising_twice_changes_nothing(platform: str) -> None:
    once = normalise(platform)
    assert normalise("/".join(once)) == once or "/" in once[2]


@given(st.lists(st.text(max_size=10)), st.randoms())
def test_a_revision_is_of_the_set(tags: list[str], random: object) -> None:
    expected = hashlib.sha256("\n".join(sorted(set(tags))).encode()).hexdigest()
    shuffled = [*tags, *tags]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert tag_revision(tags) == tag_revision(shuffled) == tag_revision(dict.fromkeys(tags)) == expected


def test_digests_of_known_kinds_match() -> None:
    body = b"body"
    assert matches(body, "sha256:" + hashlib.sha256(body).hexdigest())
    assert matches(body, "sha512:" + hashlib.sha512(body).hexdigest())
    assert not matches(body, "md5:" + hashlib.md5(body, usedforsecurity=False).hexdigest())
    assert not matches(body, "sha256:" + hashlib.sha256(b"other").hexdigest())
