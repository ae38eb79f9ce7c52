"""A parent that Pawl restarted counts among those that roll at once, until its Pods are Ready or late."""

from __future__ import annotations

from tests.unit.decide.rollout_world import Load, World, spec, world

from pawl.decide.rollout_actions import Restart, Roll

OLD = "rook/ceph:v1"
FOREIGN = "corp/operator:1"
OPERATOR = Load("Deployment", "operator", FOREIGN)
ONE = spec(rollout={"maxConcurrent": 1, "batches": ["100%"], "progressDeadline": "2m"})


def scene() -> World:
    """An operator whose own image is nobody's business, its child, and a stranger; its restart has just begun."""
    made = world(OPERATOR, Load("DaemonSet", "discover", OLD, parent=OPERATOR.uid), Load("Deployment", "web", OLD))
    restarted = made.decide(ONE)
    assert [action.workload.name for action in restarted.actions if isinstance(action, Restart)] == ["operator"]
    made.apply(restarted.actions)
    return made


def rolled(made: World) -> list[str]:
    found = made.decide(ONE).actions
    return [action.workload.name for action in found if isinstance(action, Roll)]


def operator_is_ready(made: World) -> bool:
    return all(pod.row.ready_since is not None for pod in made.pods if pod.load == OPERATOR.uid)


def test_nothing_else_begins_until_its_new_pod_is_ready() -> None:
    made = scene()
    waited = 0
    made.tick()
    while not operator_is_ready(made):
        assert rolled(made) == []
        made.tick()
        waited += 1
    assert waited
    assert rolled(made) == ["web"]


def test_one_that_never_becomes_ready_holds_nothing_up_after_its_deadline() -> None:
    made = scene()
    made.broken = frozenset({FOREIGN})
    made.tick()
    found = made.decide(ONE)
    assert rolled(made) == []
    assert found.wait is not None
    assert 0 < found.wait <= 120
    made.tick(found.wait)
    assert not operator_is_ready(made)
    assert rolled(made) == ["web"]
