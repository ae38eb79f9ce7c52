from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sandbox.support import PORTS, place_at, state_of

from pawl.api.errors import InputError, SandboxError
from pawl.sandbox.place import Place, Ports
from pawl.sandbox.processes import Process
from pawl.sandbox.realnodes.network import Network
from pawl.sandbox.state import State, Store, check_name, decode, encode

texts = st.text(max_size=20)
processes = st.builds(Process, role=texts, pid=st.integers(1, 2**22), mark=texts, log=texts)
port = st.integers(1, 65535)
states = st.builds(
    State,
    name=texts,
    provider=texts,
    context=texts,
    kubeconfig=texts,
    server=texts,
    registry=st.none() | texts,
    nodes=st.integers(0),
    binaries=texts,
    ports=st.none() | st.builds(Ports, api=port, etcd=port, etcd_peer=port, registry=port),
    processes=st.lists(processes, max_size=3).map(tuple),
    network=st.none() | st.builds(Network, key=texts, base=texts, count=st.integers(1, 50)),
    stopped=st.lists(st.integers(1, 50), max_size=3).map(tuple),
    ready=st.booleans(),
)


@given(states)
def test_a_state_survives_its_file(state: State) -> None:
    assert decode(encode(state)) == state


def test_what_was_saved_is_loaded(store: Store, place: Place) -> None:
    state = state_of(place, Process("etcd", 1, "mark", "log"))
    store.save(state)
    assert store.load(place.name) == state
    assert store.names() == [place.name]


def test_nothing_recorded_is_none(store: Store) -> None:
    assert store.load("nobody") is None
    assert store.names() == []


def test_a_removed_sandbox_is_forgotten(store: Store, place: Place) -> None:
    store.save(state_of(place))
    store.remove(place.name)
    store.remove(place.name)
    assert store.load(place.name) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"version": 99}', '{"version": 1, "processes": [], "ports": null}']
)
def test_a_damaged_file_is_named_with_the_way_out(text: str, store: Store) -> None:
    store.directory("torn").mkdir(parents=True)
    (store.directory("torn") / "state.json").write_text(text)
    with pytest.raises(SandboxError, match=r"sandbox torn: .*state.json is damaged .* remove the directory"):
        store.load("torn")


def test_the_network_of_real_nodes_is_remembered_and_its_range_taken(store: Store, tmp_path: Path) -> None:
    network = Network("a1b2c3", "10.77.0.0/16", 2)
    state = state_of(place_at(tmp_path, name="a"), network=network, stopped=(2,))
    store.save(state)
    store.save(state_of(place_at(tmp_path, name="b")))
    assert store.load("a") == state
    assert store.taken_ranges() == {"10.77.0.0/16"}
    assert store.place("a", tmp_path, PORTS, network).host == "10.77.0.1"


def test_a_record_of_before_real_nodes_is_read(tmp_path: Path) -> None:
    state = state_of(place_at(tmp_path, name="a"))
    fields = json.loads(encode(state))
    del fields["network"], fields["stopped"], fields["ports"]["dns"]
    assert decode(json.dumps(fields)) == replace(state, ports=replace(PORTS, dns=0))


def test_ports_of_all_recorded_sandboxes_are_taken(store: Store, tmp_path: Path) -> None:
    store.save(state_of(place_at(tmp_path, name="a")))
    store.save(state_of(place_at(tmp_path, name="b"), ports=Ports(1, 2, 3, 4)))
    store.save(state_of(place_at(tmp_path, name="c"), ports=None))
    assert store.taken_ports() == {1, 2, 3, 4, *filter(None, vars(PORTS).values())}


def test_a_damaged_neighbour_does_not_stop_a_new_sandbox(store: Store, tmp_path: Path) -> None:
    store.save(state_of(place_at(tmp_path, name="a"), ports=Ports(1, 2, 3, 4)))
    store.directory("torn").mkdir()
    (store.directory("torn") / "state.json").write_text("{")
    assert store.taken_ports() == {1, 2, 3, 4}


def test_no_secret_is_in_the_file(place: Place) -> None:
    assert not {"key", "token", "password"} & json.loads(encode(state_of(place))).keys()


@pytest.mark.parametrize("name", ["a", "default", "test-123", "a" * 40])
def test_good_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a.b", "../x", "a/b", "a b", "a" * 41, "x.failed-logs", "a\n"])
def test_bad_names_are_refused_with_the_rule(name: str) -> None:
    with pytest.raises(InputError, match="use 1 to 40 of"):
        check_name(name)
