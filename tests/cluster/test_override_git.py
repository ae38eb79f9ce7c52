"""Argo CD and Flux over one Deployment under an override (S20): who sees a diff, and how often Pods are made anew.

Neighbours: `appliers` play the tools. Not here: operators that write back (`test_override_fights`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cluster.api import Api, Json
from tests.cluster.appliers import ArgoLike, FluxLike, argo_like, flux_like
from tests.cluster.operators import Operator
from tests.cluster.override_scene import PUBLIC, keeper_of
from tests.cluster.override_stage_scenes import RookScene, rook_scene
from tests.cluster.override_stage_specs import enforcement, override, rollout, rule
from tests.cluster.override_stage_workloads import deployment

from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(200)]

HEAL = 1.0
LOOKS = 3
"""Looks of each tool after which nothing more is expected of it."""


@pytest.fixture(scope="module")
def pawl(cluster: Cluster, installed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    assert installed
    with keeper_of(cluster, tmp_path_factory.mktemp("pawl")) as running:
        yield running


@pytest.fixture
def scene(api: Api, cluster: Cluster, tmp_path: Path, pawl: Operator) -> Iterator[RookScene]:
    with rook_scene(api, cluster, tmp_path, pawl) as made:
        made.push("web", "v1")
        made.push("web", "v2")
        yield made


@contextmanager
def git_over(scene: RookScene, body: Json) -> Iterator[tuple[ArgoLike, FluxLike]]:
    """Both tools apply one object and heal it every second."""
    with argo_like(scene.stage, body, heal=HEAL) as argo, flux_like(scene.stage, body, heal=HEAL) as flux:
        scene.stage.wait(lambda: scene.stage.settled("deployments", "web"), "the Pod")
        yield argo, flux


def wish(scene: RookScene, tag: str, templates: str) -> Json:
    """An override to one tag with its digest: another tag is another generation of it."""
    known = scene.known("web", tag)
    wanted = rule(f"{PUBLIC}/web", known.name, tag=tag, digest=known.digest)
    return override(wanted, enforcement=enforcement(templates=templates), rollout=rollout())


def looked(scene: RookScene, *tools: ArgoLike | FluxLike) -> None:
    """Let each tool look some more."""
    goals = [(tool, tool.report.looks + LOOKS) for tool in tools]
    scene.wait(lambda: all(tool.report.looks >= goal for tool, goal in goals), "the tools to look")


def test_rewriting_pods_is_seen_by_neither(scene: RookScene) -> None:
    """The override rewrites Pods only. The Pods run from the mirror, and both tools show Synced all the time: the
    template is Git's, and annotations that Git does not name are nobody's diff."""
    body = deployment("web", scene.source("web"))
    with git_over(scene, body) as (argo, flux), scene.stage.recording() as seen:
        for tag in ("v1", "v2"):
            scene.stage.apply(wish(scene, tag, "Off"))
            scene.wait(lambda tag=tag: scene.pod_images("web") == [scene.target("web", tag)], f"Pods of {tag}")  # type: ignore[misc]
            scene.done()
            looked(scene, argo, flux)
        assert (argo.report.diffs, argo.report.server_diffs, flux.report.diffs) == ([], [], [])
        assert (argo.report.applies, flux.report.applies) == (0, 0)
    assert seen.images("Deployment", "web") == [scene.source("web")]
    assert len(seen.writes("Deployment", "web", "pawl")) == 2
    assert len(seen.created("ReplicaSet")) == 3


@pytest.mark.parametrize("templates", ["Admission", "Reconcile"])
def test_rewriting_templates_makes_one_replica_set_a_change_however_often_they_heal(
    scene: RookScene, templates: str
) -> None:
    """Templates are rewritten too. Argo CD compares with Git and heals in vain, each time; Flux asks the server and
    sees no diff. Neither makes a Pod anew: one ReplicaSet for each change of the override, no more."""
    body = deployment("web", scene.source("web"))
    with git_over(scene, body) as (argo, flux), scene.stage.recording() as seen:
        for tag in ("v1", "v2"):
            scene.stage.apply(wish(scene, tag, templates))
            scene.wait(lambda tag=tag: scene.pod_images("web") == [scene.target("web", tag)], f"Pods of {tag}")  # type: ignore[misc]
            scene.done()
            known = len(flux.report.diffs)
            looked(scene, argo, flux)
            assert flux.report.diffs[known + 2 :] == []
        assert argo.report.applies >= LOOKS
        assert all(scene.source("web") in line for line in argo.report.diffs)
        assert "Contested" not in scene.conditions()
    assert scene.stage.image("deployments", "web") == scene.target("web", "v2")
    assert len(seen.created("ReplicaSet")) == 3
    assert len(seen.created("Pod")) == 3


def test_a_commit_of_a_new_image_goes_through(scene: RookScene) -> None:
    """A new image in Git is rewritten as the old one was: the tools apply it once and are Synced at once."""
    pinned = override(rule(PUBLIC, scene.place), enforcement=enforcement(), rollout=rollout())
    with git_over(scene, deployment("web", scene.source("web"))) as (argo, flux), scene.stage.recording() as seen:
        scene.stage.apply(pinned)
        scene.done()
        fresh = deployment("web", scene.source("web", "v2"))
        argo.commit(fresh)
        flux.commit(fresh)
        scene.wait(lambda: scene.pod_images("web") == [scene.target("web", "v2")], "Pods of the new image")
        scene.done()
    assert seen.images("Deployment", "web")[-1] == scene.source("web", "v2")
    assert len(seen.writes("Deployment", "web", "pawl")) <= 2
