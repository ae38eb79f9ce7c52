"""When Pawl steps back: the third revert in ten minutes, the third short life in five, and nothing that is ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.decide.fights import Churn, PodEnd, Revert, Reverts, comparer_of
from pawl.decide.objects import Owner


def reverts(*times: float, manager: str = "argocd") -> list[bool]:
    machine = Reverts()
    return [machine.seen(Revert("uid", manager, at)) for at in times]


def churn(*lives: tuple[float, float], **more: bool) -> list[bool]:
    machine = Churn()
    values = {"rewritten": True} | more
    return [machine.seen(PodEnd("owner", born, died, **values)) for born, died in lives]


def test_the_third_revert_in_ten_minutes_makes_a_contest() -> None:
    assert reverts(0, 299, 599) == [False, False, True]
    assert reverts(0, 300, 600) == [False, False, False]
    assert reverts(0, 500, 700, 900) == [False, False, False, True]


def test_own_writes_are_no_reverts() -> None:
    assert reverts(0, 1, 2, 3, manager="pawl") == [False] * 4


def test_workloads_are_counted_apart() -> None:
    machine = Reverts()
    assert not any(machine.seen(Revert(uid, "flux", at)) for at, uid in enumerate("aabbcc"))


def test_the_third_short_life_exempts_the_owner() -> None:
    assert churn((0, 5), (5, 10), (10, 15)) == [False, False, True]
    assert churn((0, 5), (100, 110), (300, 310)) == [False, False, False]


def test_long_lives_own_evictions_and_unchanged_pods_do_not_count() -> None:
    lives = [(0.0, 5.0), (5.0, 10.0), (10.0, 15.0)]
    assert churn((0, 60), (60, 120), (120, 180)) == [False] * 3
    assert churn(*lives, ours=True) == [False] * 3
    assert churn(*lives, rewritten=False) == [False] * 3


def test_after_a_contest_the_count_starts_anew() -> None:
    assert reverts(0, 1, 2, 3, 4, 5) == [False, False, True, False, False, True]


@given(st.lists(st.tuples(st.text(min_size=1, max_size=2), st.floats(0, 1e6)), max_size=60))
def test_memory_is_bounded(events: list[tuple[str, float]]) -> None:
    machine = Reverts(bound=5)
    for uid, at in sorted(events, key=lambda pair: pair[1]):
        machine.seen(Revert(uid, "x", at))
        assert len(machine) <= 5


CLUSTER = Owner("postgresql.cnpg.io/v1", "Cluster", "db", "c", controller=True)
LOOSE = Owner("v1", "ConfigMap", "x", "x")


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("apps/v1", "ReplicaSet"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
        ("batch/v1", "Job"),
        ("v1", "ReplicationController"),
    ],
)
def test_kubernetes_own_controllers_compare_no_pods_and_kinds_of_that_name_elsewhere_do(
    version: str, kind: str
) -> None:
    assert comparer_of((LOOSE, Owner(version, kind, "n", "u", controller=True))) is None
    other = Owner("apps.kruise.io/v1", kind, "n", "u", controller=True)
    assert comparer_of((LOOSE, other)) is other


def test_a_bare_pod_is_compared_by_whoever_made_it() -> None:
    above = Owner("apps/v1", "Deployment", "operator", "d", controller=True)
    replicas = Owner("apps/v1", "ReplicaSet", "operator-1", "r")
    assert comparer_of((CLUSTER,)) is CLUSTER
    assert comparer_of((above,)) is above
    assert comparer_of((replicas, LOOSE)) is replicas
    assert comparer_of(()) is None
