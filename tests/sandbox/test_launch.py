from __future__ import annotations

import pytest
from tests.sandbox.support import sleeper, state_of

from pawl.api.errors import SandboxError
from pawl.sandbox.launch import Launch, StartFailedError, stop_all
from pawl.sandbox.place import Place
from pawl.sandbox.processes import is_alive
from pawl.sandbox.state import Store


def test_a_wait_ends_when_its_condition_holds(store: Store, place: Place) -> None:
    answers = iter([False, False, True])
    Launch(store, state_of(place), place).wait("registry", "did not answer", lambda: next(answers))
    assert list(answers) == []


def test_a_wait_has_a_deadline_and_names_role_and_reason(store: Store, place: Place) -> None:
    with pytest.raises(StartFailedError, match=r"registry did not answer within 0.1 s"):
        Launch(store, state_of(place), place).wait("registry", "did not answer", lambda: False, deadline=0.1)


def test_a_death_ends_the_wait_at_once_with_the_role_of_the_dead(store: Store, place: Place) -> None:
    lives, dies = sleeper(place.log("etcd"), "etcd"), sleeper(place.log("kwok"), "kwok")
    launch = Launch(store, state_of(place, lives, dies), place)
    stop_all([dies])
    with pytest.raises(StartFailedError, match=r"kwok stopped while starting") as failure:
        launch.wait("registry", "did not answer", lambda: False)
    assert failure.value.role == "kwok"
    stop_all([lives])


def test_a_binary_that_cannot_be_executed_is_named_and_nothing_is_recorded(store: Store, place: Place) -> None:
    launch = Launch(store, state_of(place, registry=None, ready=False), place)
    with pytest.raises(SandboxError, match=r"etcd: .* cannot be started \(Permission denied\)"):
        launch.run()
    assert launch.state.processes == ()


def test_what_runs_before_a_failure_is_on_record(store: Store, place: Place) -> None:
    registry = place.binaries / "registry"
    registry.write_text("#!/bin/sh\nexec sleep 600\n")
    registry.chmod(0o755)
    with pytest.raises(SandboxError, match=r"etcd: .* cannot be started"):
        Launch(store, state_of(place, ready=False), place).run()
    found = store.load(place.name)
    assert found
    assert [process.role for process in found.processes] == ["registry"]
    assert not found.ready
    stop_all(found.processes)


def test_stopping_twice_is_no_error(place: Place) -> None:
    process = sleeper(place.log("kwok"), "kwok")
    stop_all([process])
    stop_all([process])
    assert not is_alive(process)
