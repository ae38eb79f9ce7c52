"""What `pawl uninstall` says before it does anything, and how it ends."""

from __future__ import annotations

import pytest

from pawl.cli.uninstall import _told_at_the_end, told
from pawl.cli.uninstall_look import Found, Seen, Signs, _becomes
from pawl.cluster.resources import CLUSTER_IMAGE_OVERRIDES, IMAGE_OVERRIDES

ONE = Seen(IMAGE_OVERRIDES, "shop", "private", "goes")
WIDE = Seen(CLUSTER_IMAGE_OVERRIDES, None, "rook", "goes")


def test_everything_is_named_with_what_becomes_of_it() -> None:
    signs = Signs((ONE, WIDE), ("imageoverride shop/old",), ("table of shop", "table of the cluster"))
    lines = told(Found(signs, "host_1", namespace_stands=True))
    for words in ("imageoverride shop/private", "clusterimageoverride rook", "imageoverride shop/old", "table of shop"):
        assert any(words in line for line in lines), words
    assert any("host_1" in line for line in lines)
    assert any("ledgers" in line for line in lines)


def test_without_a_leader_the_command_works() -> None:
    lines = told(Found(Signs((ONE,), (), ()), "", namespace_stands=False))
    assert any("this command does it" in line for line in lines)


def test_nothing_is_said_so() -> None:
    assert told(Found(Signs((), (), ()), "", namespace_stands=True)) == ["nothing of an override is left here"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "3 workloads roll back"),
        ({"enforcement": {"templates": "Reconcile"}}, "templates of 3 workloads"),
        ({"enforcement": {"paths": [{}]}}, "templates of 3 workloads"),
        ({"deletionPolicy": "Leave", "enforcement": {"templates": "Reconcile"}}, "stays"),
    ],
)
def test_what_becomes_of_an_override(spec: dict[str, object], words: str) -> None:
    assert words in _becomes(spec, {"workloads": {"matched": 3}})


def test_what_is_left_is_named_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert _told_at_the_end(Signs((ONE,), (), ("table of shop",))) == 1
    assert "imageoverride shop/private, table of shop" in capsys.readouterr().err
    assert _told_at_the_end(Signs((), (), ())) == 0
