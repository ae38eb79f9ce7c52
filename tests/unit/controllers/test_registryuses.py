"""What the cluster uses of a registry: Pods, templates, history, policies, digests under any name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.controllers.registry_doubles import ApplyingApi, registry

from pawl.api.errors import ApiUnavailable
from pawl.cluster.calls import Answer, Request
from pawl.controllers.overridestore import OverrideStore
from pawl.controllers.registryuses import UsesReader
from pawl.controllers.store import PolicyStore

Json = dict[str, Any]
HOST = "main-registry.shop.svc:5000"
DIGEST, OTHER, THIRD = (f"sha256:{digit * 64}" for digit in "abc")
ROOTS = {
    "Pod": "/api/v1/pods",
    "Deployment": "/apis/apps/v1/deployments",
    "ReplicaSet": "/apis/apps/v1/replicasets",
    "CronJob": "/apis/batch/v1/cronjobs",
    "ControllerRevision": "/apis/apps/v1/controllerrevisions",
}


class Site:
    """A cluster, and what is found in it. Objects are stored below the path of the list of all namespaces."""

    def __init__(self) -> None:
        self.api = ApplyingApi()
        self.policies, self.overrides = PolicyStore(lambda _: ""), OverrideStore()

    def put(self, kind: str, name: str, **body: Any) -> None:
        self.api.put(f"{ROOTS[kind]}/{name}", {"metadata": {"name": name, "namespace": "shop"}} | body)

    async def found(self, *namespaces: str, **spec: Any) -> dict[tuple[str, str, str], str]:
        seen = await self.reader(*namespaces).read(registry(**spec))
        return {(use.repository, use.tag, use.digest): use.by for use in seen.uses}

    def reader(self, *namespaces: str) -> UsesReader:
        return UsesReader(self.api.cluster(), self.policies, self.overrides, namespaces)


def pod_spec(*images: str) -> Json:
    return {"containers": [{"name": str(number), "image": image} for number, image in enumerate(images)]}


def template(*images: str) -> Json:
    return {"template": {"spec": pod_spec(*images)}}


async def test_a_pod_uses_its_images_and_what_its_node_runs() -> None:
    site = Site()
    spec = pod_spec(f"{HOST}/web:v1") | {
        "initContainers": [{"image": f"{HOST}/init"}],
        "ephemeralContainers": [{"image": f"{HOST}/debug:1"}],
        "volumes": [{"image": {"reference": f"{HOST}/model:2"}}, {"emptyDir": {}}],
    }
    site.put("Pod", "web-0", spec=spec, status={"containerStatuses": [{"imageID": f"{HOST}/web@{DIGEST}"}]})
    found = await site.found()
    assert set(found) == {
        ("web", "v1", ""),
        ("init", "latest", ""),
        ("debug", "1", ""),
        ("model", "2", ""),
        ("", "", DIGEST),
    }
    assert set(found.values()) == {"Pod shop/web-0"}


async def test_templates_and_what_a_rollback_goes_back_to_count() -> None:
    site = Site()
    site.put("Deployment", "web", spec=template(f"{HOST}/web:v3"))
    site.put("ReplicaSet", "web-1", spec=template(f"{HOST}/web:v1"))
    site.put("CronJob", "nightly", spec={"jobTemplate": {"spec": template(f"{HOST}/batch:v1")}})
    site.put("ControllerRevision", "db-1", data={"spec": template(f"{HOST}/db:v7")})
    assert {key[:2] for key in await site.found()} == {("web", "v3"), ("web", "v1"), ("batch", "v1"), ("db", "v7")}


async def test_digests_and_tags_count_under_every_name() -> None:
    site = Site()
    site.put("Deployment", "a", spec=template(f"mirror.example.com/web@{DIGEST}"))
    site.put("Deployment", "b", spec=template("docker.io/library/web:v1", "not a reference!"))
    found = await site.found()
    assert set(found) == {("", "", DIGEST), ("library/web", "v1", "")}
    assert found["library/web", "v1", ""] == "Deployment shop/b, as docker.io"


async def test_every_name_of_the_registry_is_its_name() -> None:
    site = Site()
    hosts = [
        "main-registry:5000",
        "main-registry.shop.svc.cluster.local:5000",
        "images.lan:30500",
        "main-registry.shop:5000",
    ]
    for number, host in enumerate(hosts):
        site.put("Deployment", str(number), spec=template(f"{host}/web:v{number}"))
    found = await site.found(access={"host": "images.lan:30500"})
    assert {key[1] for key in found} == {f"v{number}" for number in range(len(hosts))}


async def test_what_a_policy_holds_and_held_counts() -> None:
    site = Site()
    selection = {"epoch": 1, "sequence": 2, "tag": "v2", "digest": OTHER, "reference": f"{HOST}/web:v2@{OTHER}"}
    when = {"time": "2026-01-01T00:00:00Z", "cause": "Newer", "epoch": 1, "sequence": 2}
    policy = {
        "metadata": {"name": "web", "namespace": "shop", "resourceVersion": "1", "uid": "u", "generation": 1},
        "spec": {"image": f"{HOST}/web", "interval": "5m", "select": {"alphabetical": {}}},
        "status": {
            "selection": selection
            | {"sortKey": "6b", "ordering": "0" * 32, "selectedAt": when["time"], "cause": "Newer"},
            "history": [when | {"from": f"v1@{DIGEST}", "to": f"v2@{OTHER}"}],
        },
    }
    site.policies.offer(json.dumps(policy).encode(), asked_at=0.0)
    found = await site.found()
    assert set(found) == {("web", "v2", OTHER), ("web", "v1", DIGEST)}


async def test_a_kind_that_may_not_be_listed_makes_the_view_partial() -> None:
    site = Site()

    async def refuse(request: Request) -> Answer | None:
        return Answer(403, b"{}") if request.resource.plural == "cronjobs" else None

    site.api.hook = refuse
    seen = await site.reader().read(registry())
    assert "cronjobs" in seen.partial


async def test_some_namespaces_are_a_partial_view_and_an_api_server_that_is_away_is_none() -> None:
    site = Site()
    assert (await site.reader("shop").read(registry())).partial
    assert not (await site.reader().read(registry())).partial

    async def away(_: Request) -> Answer | None:
        return Answer(503, b"{}")

    site.api.hook = away
    with pytest.raises(ApiUnavailable):
        await site.reader().read(registry())


async def test_a_policy_that_this_version_cannot_read_makes_the_view_partial() -> None:
    site = Site()
    meta = {"name": "web", "namespace": "shop", "resourceVersion": "1"}
    site.policies.offer(
        json.dumps({"metadata": meta, "spec": {"image": "h/web", "novel": True}}).encode(), asked_at=0.0
    )
    seen = await site.reader().read(registry())
    assert "ImagePolicy shop/web" in seen.partial
