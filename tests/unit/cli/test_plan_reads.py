"""What commands read of a cluster, with an API server in memory: what is missing is noted, what is needed ends them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.cli.policies import document as policy_document
from tests.unit.cluster.memory_api import MemoryApi

from pawl.api.errors import Forbidden
from pawl.cli.status_live import Live, readable
from pawl.cli.table_override import UnreadableOverride
from pawl.cluster.calls import Answer, Request
from pawl.decide.objects import NamespaceRow

OURS = "/apis/pawl.dev/v1alpha1"
SHOP = f"{OURS}/namespaces/shop"
RULES = {"rules": [{"source": "docker.io/rook", "target": {"repository": "r.corp/rook"}}]}


def api() -> MemoryApi:
    made = MemoryApi(("shop",))
    made.objects["/api/v1/namespaces/shop"] = {"metadata": {"name": "shop", "labels": {"team": "a"}, "uid": "n"}}
    info = {"operatingSystem": "linux", "architecture": "arm64"}
    made.put("/api/v1/nodes/n1", {"metadata": {"name": "n1"}, "status": {"nodeInfo": info}})
    pod = {"containers": [{"name": "app", "image": "docker.io/rook/ceph:v1"}]}
    template = {"template": {"metadata": {"labels": {"app": "web"}}, "spec": pod}, "replicas": 1}
    meta = {"name": "web", "namespace": "shop", "uid": "u-web"}
    made.put("/apis/apps/v1/namespaces/shop/deployments/web", {"metadata": dict(meta), "spec": template})
    made.put("/api/v1/namespaces/shop/pods/p", {"metadata": {**meta, "name": "p", "uid": "u-p"}, "spec": pod})
    made.put(f"{SHOP}/imageoverrides/rook", {"metadata": {"name": "rook", "namespace": "shop"}, "spec": RULES})
    made.put(f"{SHOP}/imageoverrides/new", {"metadata": {"name": "new", "namespace": "shop"}, "spec": {"teleport": 1}})
    made.put(f"{OURS}/clusterimageoverrides/wide", {"metadata": {"name": "wide"}, "spec": RULES})
    made.put(f"{SHOP}/imagepolicies/web", policy_document())
    made.put(f"{SHOP}/imagerules/pawl", {"metadata": {"name": "pawl", "namespace": "shop"}, "spec": {}})
    made.put(f"{SHOP}/imagerules/other", {"metadata": {"name": "other", "namespace": "shop"}, "spec": {}})
    made.put(f"{OURS}/clusterimagerules/pawl", {"metadata": {"name": "pawl"}, "spec": {"rules": 7}})
    return made


def live(*refused: str) -> tuple[Live, MemoryApi]:
    made = api()

    async def refuse(request: Request) -> Answer | None:
        if request.resource.plural in refused:
            raise Forbidden(f"{request.resource.plural} may not be read")
        return None

    return Live(made.cluster(refuse)), made


async def test_overrides_of_both_kinds() -> None:
    found, _ = live()
    seen = await found.overrides("shop")
    assert [(each.kind, type(each) is UnreadableOverride) for each in seen] == [
        ("ImageOverride", True),
        ("ImageOverride", False),
        ("ClusterImageOverride", False),
    ]
    assert [each.metadata.name for each in readable(seen)] == ["rook", "wide"]
    assert found.notes == []


async def test_cluster_wide_ones_that_may_not_be_seen_are_noted() -> None:
    found, _ = live("clusterimageoverrides")
    assert [each.metadata.name for each in readable(await found.overrides("shop"))] == ["rook"]
    assert found.notes == ["ClusterImageOverrides are not shown: clusterimageoverrides may not be read"]


async def test_those_of_the_namespace_are_needed() -> None:
    found, _ = live("imageoverrides")
    with pytest.raises(Forbidden):
        await found.overrides("shop")


async def test_the_world_of_one_namespace() -> None:
    found, made = live()
    world = await found.world(("shop",))
    assert [row.key for row in world.workloads()] == ["Deployment shop/web"]
    assert [row.name for row in world.pods()] == ["p"]
    assert [(node.name, node.platform) for node in world.nodes()] == [("n1", "linux/arm64")]
    assert world.namespaces() == (NamespaceRow("shop", (("team", "a"),)),)
    assert set(made.verbs) == {"get", "list"}


async def test_nodes_and_labels_that_may_not_be_seen_are_noted() -> None:
    found, _ = live("nodes", "namespaces")
    world = await found.world(("shop",))
    assert world.nodes() == ()
    assert world.namespaces() == (NamespaceRow("shop", (("kubernetes.io/metadata.name", "shop"),)),)
    assert len(found.notes) == 2


async def test_pods_are_needed() -> None:
    found, _ = live("pods")
    with pytest.raises(Forbidden):
        await found.world(("shop",))


async def test_tables_by_namespace_and_no_others() -> None:
    found, _ = live()
    tables = await found.tables("shop")
    assert {name: stored.name for name, stored in tables.items()} == {"shop": "pawl", "": "pawl"}
    assert tables["shop"].table is not None
    assert tables[""].table is None


async def test_policies() -> None:
    found, _ = live()
    assert [key.name for key in await found.policies("shop")] == ["web"]
    none, _ = live("imagepolicies")
    assert list(await none.policies("shop")) == []
    assert "read from the stored tables" in none.notes[0]


async def test_long_lists_are_read_to_their_end() -> None:
    made = api()
    body: dict[str, Any] = made.objects["/api/v1/namespaces/shop/pods/p"]
    for at in range(1100):
        meta = {**body["metadata"], "name": f"p{at}", "uid": f"u{at}"}
        made.put(f"/api/v1/namespaces/shop/pods/p{at}", {**body, "metadata": meta})
    assert len((await Live(made.cluster()).world(("shop",))).pods()) == 1101


async def test_a_kind_that_is_not_served_is_empty() -> None:
    made = MemoryApi(("shop",))

    async def unknown(request: Request) -> Answer | None:
        gone = b'{"kind": "Status", "code": 404, "reason": "NotFound", "message": "the server could not find it"}'
        return Answer(404, gone) if request.resource.group == "pawl.dev" else None

    found = Live(made.cluster(unknown))
    assert await found.overrides("shop") == []
    assert await found.tables("shop") == {}
