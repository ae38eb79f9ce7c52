from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.api.errors import SandboxError
from pawl.sandbox.ports import HIGHEST, LOOPBACK, LOWEST, allocate, is_free


def test_ports_are_distinct_free_and_below_the_ephemeral_range() -> None:
    ports = allocate("a", 4, ())
    assert len(set(ports)) == 4
    assert all(LOWEST <= port <= HIGHEST and is_free(port) for port in ports)


def test_ports_of_others_are_left_alone() -> None:
    first = allocate("a", 4, ())
    assert not set(first) & set(allocate("a", 4, first))


def test_the_same_name_gets_the_same_ports_again() -> None:
    assert allocate("steady", 4, ()) == allocate("steady", 4, ())


def test_a_port_in_use_is_passed_over() -> None:
    wanted = allocate("busy", 1, ())[0]
    with socket.socket() as taken:
        taken.bind((LOOPBACK, wanted))
        taken.listen()
        assert not is_free(wanted)
        assert wanted not in allocate("busy", 4, ())


def test_an_exhausted_range_names_the_way_out() -> None:
    with pytest.raises(SandboxError, match=r"sandbox a: fewer than 2 free ports .* stop other sandboxes"):
        allocate("a", 2, range(LOWEST, HIGHEST + 1))


@given(st.text(max_size=40))
def test_any_name_has_a_place_to_start(name: str) -> None:
    assert LOWEST <= allocate(name, 1, ())[0] <= HIGHEST
