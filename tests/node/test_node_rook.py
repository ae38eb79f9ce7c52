"""The story of rook#15511 on real kubelets: one value of a chart, an operator that hands its image on, Jobs that wait.

The operator's Pod is real and only waits; what it would do is played by a process beside it. Neighbours:
`tests.cluster.test_override_rook` for what comes in between, `tests.cluster.rookstage` is the player.
Not here: Jobs of others (`test_node_jobs`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.api import Api
from tests.cluster.operators import Operator
from tests.node.node_images import ONCE, Placed, Program
from tests.node.node_scene import NodeScene, node_scene_of, two_replicas

from pawl.cli.demo_rook_objects import DISCOVER, MON, OPERATOR, PREPARE
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.node, pytest.mark.timeout(300), pytest.mark.usefixtures("installed")]

OPERATORS = ("once", PREPARE)
"""What the operator's image does whatever its arguments: end at once in Pods of Jobs, and wait in all others."""
WAITING = {"ErrImagePull", "ImagePullBackOff"}
PATIENCE = 150.0


@pytest.fixture(scope="module")
def pawl(cluster: Cluster, installed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    assert installed
    with two_replicas(cluster, tmp_path_factory.mktemp("pawl")) as running:
        yield running


@pytest.fixture
def scene(api: Api, cluster: Cluster, tmp_path: Path, pawl: Operator, tool: bytes) -> Iterator[NodeScene]:
    with node_scene_of(api, cluster, tmp_path, pawl, tool) as made:
        yield made


def shows(scene: NodeScene, app: str, *wanted: Placed) -> bool:
    """Whether every container of an app's Pods shows the content of one of these."""
    known = frozenset().union(*(each.acceptable for each in wanted))
    found = scene.image_ids(app)
    return bool(found) and all(digests <= known for digests in found.values())


def complete(scene: NodeScene) -> int:
    """How many Jobs have completed."""
    found = [job.get("status", {}).get("conditions", []) for job in scene.stage.find_all("jobs")]
    return sum(any(each["type"] == "Complete" for each in conditions) for conditions in found)


def test_one_override_moves_an_operator_with_all_that_it_made(scene: NodeScene, nodes_named: list[str]) -> None:
    """A Job a node waits for an image that only the mirror has, and blocks its own replacement. One override: the
    operator is restarted once and makes its DaemonSet anew, its Jobs are deleted once and complete, and every node
    shows the mirror's content. Pawl wrote nothing but the operator's template and what nobody else would mend."""
    stage = scene.stage
    rook, ceph = scene.both(Program("rook", entry=OPERATORS)), scene.both(Program("ceph"))
    tools = scene.mirror_of(Program("tools", words=ONCE))
    with stage.rook("--job-image", f"{scene.public}/tools:v1") as player, stage.recording() as recorder:
        stage.install(rook[0].tagged, ceph[0].tagged)
        stage.wait(lambda: stage.settled("daemonsets", DISCOVER), "the DaemonSet to run on all nodes")
        stage.wait(lambda: stage.settled("deployments", MON), "the Deployment that the custom resource wants")
        stage.wait(lambda: len([word for word in stage.waiting(PREPARE) if word in WAITING]) == 2, "both Jobs to wait")
        before = {each["metadata"]["uid"] for each in stage.find_all("jobs")}
        stage.apply(scene.mirror())
        scene.wait(lambda: complete(scene) == len(nodes_named), "a Job a node to complete", seconds=PATIENCE)
        scene.done(seconds=PATIENCE)
        lives = [line["detail"] for line in player.lines("started")]
    assert lives == [rook[0].tagged, rook[1].tagged]
    assert len(recorder.writes("Deployment", OPERATOR, "pawl")) == 1
    assert recorder.writes("DaemonSet", DISCOVER, "pawl") == []
    assert set(recorder.deleted("Job")) == before
    assert {pod["spec"]["nodeName"] for pod in stage.pods(DISCOVER)} == set(nodes_named)
    assert all(shows(scene, app, rook[1]) for app in (OPERATOR, DISCOVER))
    assert shows(scene, PREPARE, rook[1], tools)
    assert shows(scene, MON, ceph[1])
