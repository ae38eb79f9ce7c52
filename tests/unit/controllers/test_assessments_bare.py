"""Judgements of bare Pods are made anew when the Pod changes, whoever owns it.

Neighbours: `test_assessments` for workloads. Not here: what the judgements say.
"""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.controllers.override_doubles import Stage, body, pod

from pawl.controllers.assessments import Assessments
from pawl.decide.objects import ContainerState, Owner

TARGET = "r.corp/rook/ceph:1"
CLUSTER = Owner("cnpg.io/v1", "Cluster", "db", "uid-db", controller=True)
DEPLOYMENT = Owner("apps/v1", "Deployment", "operator", "uid-operator", controller=True)


@pytest.mark.parametrize("owners", [(), (CLUSTER,), (DEPLOYMENT,)])
async def test_a_pod_that_changed_is_judged_anew_and_one_that_did_not_is_not(owners: tuple[Owner, ...]) -> None:
    stage = Stage()
    override = stage.put(body())
    first = pod("db-0", TARGET, owners=owners)
    stage.world.put(first)
    await stage.look()
    kept, standing = Assessments(stage.world), stage.board.standing
    assert standing is not None
    (before,) = kept.of(override, standing, ("shop",), (0, {}))
    assert kept.of(override, standing, ("shop",), (0, {}))[0] is before
    stuck = (ContainerState("c0", "", "ImagePullBackOff"),)
    stage.world.put(msgspec.structs.replace(first, version="2", states=stuck))
    (after,) = kept.of(override, standing, ("shop",), (0, {}))
    assert [state.stuck is not None for state in (*before.pods, *after.pods)] == [False, True]
