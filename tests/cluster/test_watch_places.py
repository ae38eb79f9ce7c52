"""An install for several namespaces, one of which is not there: the others are worked on.

Neighbours: `test_rights_namespaced` for what such an install may do. Not here: rights.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cluster.api import Api
from tests.cluster.grants import granted
from tests.cluster.operators import operator_of
from tests.cluster.override_scene import Scene
from tests.cluster.override_stage import stage_of
from tests.cluster.override_stage_specs import rollout
from tests.cluster.override_stage_workloads import deployment

from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(200), pytest.mark.usefixtures("installed")]


def test_a_namespace_that_is_gone_stops_no_other(api: Api, cluster: Cluster, tmp_path: Path) -> None:
    with (
        stage_of(api, cluster, tmp_path) as stage,
        granted(cluster, api, tmp_path, watched=[stage.namespace]) as account,
    ):
        flags = ("--no-manage-gate", "--plain-http-hosts", stage.registry)
        places = ("--watch-namespaces", f"{stage.namespace},not-there")
        with operator_of(account.kubeconfig, tmp_path, *flags, *places, namespace=account.namespace) as pawl:
            scene = Scene(stage, pawl)
            scene.push()
            stage.apply(deployment("web", scene.source()))
            stage.apply(scene.mirror(rollout=rollout()))
            stage.wait(lambda: stage.find("imagerules", "pawl"), "the table")
            pawl.wait_log("ready")
            assert [line["namespace"] for line in pawl.lines("namespace left out")] == ["not-there"]
