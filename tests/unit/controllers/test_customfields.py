"""Fields of custom resources: what differs, how often they are listed, and that one kind that fails stops no other."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.controllers.override_doubles import FORBIDDEN, Stage, body, rule

from pawl.api.imageoverride import Override
from pawl.cluster.resources import Resource
from pawl.controllers.customfields import PERIOD, CustomFields, Fields, names_with_notes
from pawl.decide.rollout_actions import RewriteField

CEPH = {"apiVersion": "ceph.rook.io/v1", "kind": "CephCluster", "path": "spec.cephVersion.image"}
WIDE = {"apiVersion": "wide.io/v1", "kind": "Wide", "path": "spec.images[*]"}
SOURCE, TARGET = "docker.io/rook/ceph:1", "r.corp/rook/ceph:1"
CLUSTERS = Resource("ceph.rook.io", "v1", "cephclusters")


class Ground:
    """Two kinds of custom resources, one of them without namespaces."""

    def __init__(self, *paths: dict[str, str], cluster: bool = False) -> None:
        self.stage = Stage("shop", "other")
        kinds = {
            "/apis/ceph.rook.io/v1": [{"name": "cephclusters", "kind": "CephCluster", "namespaced": True}],
            "/apis/wide.io/v1": [{"name": "wides", "kind": "Wide", "namespaced": False}],
        }
        for path, found in kinds.items():
            self.stage.api.put(path, {"resources": found})
        self.it = CustomFields(self.stage.cluster, lambda: self.stage.time)
        self.override: Override = self.stage.put(
            body("one", "" if cluster else "shop", enforcement={"paths": list(paths)})
        )

    def put(self, name: str, spec: dict[str, Any], namespace: str = "shop", **notes: str) -> None:
        group = f"/apis/ceph.rook.io/v1/namespaces/{namespace}/cephclusters" if namespace else "/apis/wide.io/v1/wides"
        self.stage.api.put(f"{group}/{name}", {"metadata": {"name": name, "annotations": notes}, "spec": spec})

    async def look(self, *namespaces: str) -> Fields:
        return await self.it.look(self.override, await self.stage.look(), namespaces or ("shop",))

    def lists(self) -> int:
        return sum(r.verb == "list" for r in self.stage.api.requests)


def ceph(image: str) -> dict[str, Any]:
    return {"cephVersion": {"image": image}}


async def test_what_differs_is_named_with_what_stands_there_and_what_is_wanted() -> None:
    ground = Ground(CEPH)
    ground.put("old", ceph(SOURCE))
    ground.put("right", ceph(TARGET))
    ground.put("free", ceph("docker.io/library/nginx:1"))
    ground.put("empty", {})
    ground.put("elsewhere", ceph(SOURCE), "other")
    found = await ground.look()
    wanted = RewriteField("ceph.rook.io/v1", "CephCluster", "shop", "old", CEPH["path"], ((SOURCE, TARGET),))
    assert found == Fields((wanted,))


async def test_lists_and_kinds_without_namespaces_go_by_the_cluster_s_table() -> None:
    ground = Ground(WIDE, cluster=True)
    ground.put("w", {"images": [SOURCE, "docker.io/rook/b:2", SOURCE, "x:1"]}, "")
    (found,) = (await ground.look()).differ
    assert (found.namespace, found.images) == ("", ((SOURCE, TARGET), ("docker.io/rook/b:2", "r.corp/rook/b:2")))


async def test_what_another_override_decides_is_left_to_it() -> None:
    ground = Ground(CEPH)
    ground.stage.put(body("two", rules=[rule("docker.io/rook/ceph", "r.corp/else")]))
    ground.put("old", ceph(SOURCE))
    assert (await ground.look()).differ == ()


async def test_nothing_is_listed_again_before_a_minute_a_change_or_a_write() -> None:
    ground = Ground(CEPH)
    ground.put("old", ceph(SOURCE))
    first = await ground.look()
    lists = ground.lists()
    for _ in range(5):
        assert await ground.look() is first
    assert ground.lists() == lists
    ground.stage.time += PERIOD + 1
    await ground.look()
    assert ground.lists() == lists + 1
    ground.it.forget()
    await ground.look()
    assert ground.lists() == lists + 2
    await ground.look("shop", "other")
    assert ground.lists() == lists + 4


async def test_without_paths_nothing_is_asked() -> None:
    ground = Ground()
    await ground.look()
    assert ground.lists() == 0


async def test_a_kind_that_is_refused_is_told_and_stops_no_other() -> None:
    ground = Ground(CEPH, WIDE, cluster=True)
    ground.put("w", {"images": [SOURCE]}, "")
    ground.stage.faults[("list", "cephclusters")] = FORBIDDEN
    found = await ground.look()
    assert [each.kind for each in found.differ] == ["Wide"]
    (trouble,) = found.trouble
    assert trouble.startswith("CephCluster (ceph.rook.io/v1): ")


@pytest.mark.parametrize("changed", [{"apiVersion": "none.io/v1"}, {"kind": "Unknown"}])
async def test_a_kind_that_the_cluster_does_not_have_is_no_trouble(changed: dict[str, str]) -> None:
    assert await Ground(CEPH | changed).look() == Fields()


async def test_only_what_pawl_noted_something_in_is_given_back() -> None:
    ground = Ground(CEPH)
    ground.put("ours", {}, "shop", **{"pawl.dev/original": "{}"})
    ground.put("theirs", {}, "shop", other="x")
    ground.put("ours", {}, "other", **{"pawl.dev/original": "{}"})
    found = [each async for each in names_with_notes(ground.stage.cluster, CLUSTERS, ("shop", "other"))]
    assert found == [("shop", "ours"), ("other", "ours")]
