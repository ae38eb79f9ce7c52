"""Fields of custom resources on a real API server, and how their kinds are found."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
import pytest_asyncio
from tests.cluster.api import Api, Json
from tests.cluster.conftest import install

from pawl.api.errors import Conflict, NotFound
from pawl.cluster.calls import Answer, Request
from pawl.cluster.client import Cluster
from pawl.cluster.connect import HttpTransport
from pawl.cluster.credentials import Place
from pawl.cluster.discovery import served
from pawl.cluster.resources import DEPLOYMENTS, NODES, Resource
from pawl.cluster.writers_fields import read_field, restore_fields, rewrite_field
from pawl.sandbox import Cluster as Sandbox

pytestmark = pytest.mark.cluster

OLD, NEW = "quay.io/ceph/ceph:v19", "registry.corp:5000/ceph/ceph:v19"
LIST, ONE = "spec.daemons[*].image", "spec.cephVersion.image"


@pytest_asyncio.fixture
async def client(cluster: Sandbox) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(str(cluster.kubeconfig)) as found:
        yield found


@pytest.fixture
def group(api: Api) -> Iterator[str]:
    """A group with a kind Cake that takes anything."""
    name = f"g{uuid4().hex[:8]}.example.com"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"cakes.{name}"},
        "spec": {
            "group": name,
            "scope": "Namespaced",
            "names": {"plural": "cakes", "singular": "cake", "kind": "Cake"},
            "versions": [version],
        },
    }
    install(api, crd)
    yield name
    api.delete(f"apis/apiextensions.k8s.io/v1/customresourcedefinitions/cakes.{name}")


@pytest.fixture
def cake(api: Api, group: str, namespace: str) -> tuple[Resource, str]:
    """A custom resource `one` and its path."""
    place = f"apis/{group}/v1/namespaces/{namespace}/cakes"
    spec = {"cephVersion": {"image": OLD}, "daemons": [{"image": OLD}, {"image": "other/x:1"}, {"name": "none"}]}
    answer = api.post(place, {"apiVersion": f"{group}/v1", "kind": "Cake", "metadata": {"name": "one"}, "spec": spec})
    assert answer.ok, answer.message
    return Resource(group, "v1", "cakes"), f"{place}/one"


async def test_kinds_of_a_group_are_found(client: Cluster, group: str) -> None:
    assert await served(client, f"{group}/v1") == {"Cake": Resource(group, "v1", "cakes")}
    assert (await served(client, "apps/v1"))["Deployment"] == DEPLOYMENTS
    assert (await served(client, "v1"))["Node"] == NODES
    assert await served(client, f"{group}/v9") == {}
    assert await served(client, "nowhere.example.com/v1") == {}


async def test_a_field_is_rewritten_and_given_back(
    client: Cluster, api: Api, namespace: str, cake: tuple[Resource, str]
) -> None:
    resource, place = cake
    before = api.get(place).body
    assert await read_field(client, resource, namespace, "one", LIST) == [OLD, "other/x:1"]
    assert await rewrite_field(client, resource, namespace, "one", ONE, {OLD: NEW}) == 1
    assert await rewrite_field(client, resource, namespace, "one", LIST, {OLD: NEW}) == 1
    written = api.get(place).body
    assert written["spec"]["cephVersion"]["image"] == NEW
    assert [each.get("image") for each in written["spec"]["daemons"]] == [NEW, "other/x:1", None]
    assert await rewrite_field(client, resource, namespace, "one", LIST, {OLD: NEW, NEW: NEW}) == 0
    assert api.get(place).body["metadata"]["resourceVersion"] == written["metadata"]["resourceVersion"]
    assert await restore_fields(client, resource, namespace, "one") == ()
    after = api.get(place).body
    assert after["spec"] == before["spec"]
    assert "pawl.dev/original" not in after["metadata"].get("annotations", {})
    assert await restore_fields(client, resource, namespace, "one") == ()


async def test_what_somebody_else_changed_stays(
    client: Cluster, api: Api, namespace: str, cake: tuple[Resource, str]
) -> None:
    resource, place = cake
    await rewrite_field(client, resource, namespace, "one", ONE, {OLD: NEW})
    assert api.merge(place, {"spec": {"cephVersion": {"image": "mine/x:2"}}}).ok
    (skipped,) = await restore_fields(client, resource, namespace, "one")
    assert "mine/x:2" in skipped.why
    assert api.get(place).body["spec"]["cephVersion"]["image"] == "mine/x:2"


async def test_an_object_that_is_gone_is_not_made_anew(
    client: Cluster, api: Api, namespace: str, cake: tuple[Resource, str]
) -> None:
    resource, place = cake
    assert api.delete(place).ok
    with pytest.raises(NotFound):
        await rewrite_field(client, resource, namespace, "one", ONE, {OLD: NEW})
    assert await restore_fields(client, resource, namespace, "one") == ()
    assert api.get(place).code == 404


class Between(HttpTransport):
    """Lets somebody else write after a read."""

    api: Api
    place: str
    body: Json

    async def send(self, request: Request) -> Answer:
        answer = await super().send(request)
        if request.verb == "get":
            assert self.api.merge(self.place, self.body).ok
        return answer


async def test_a_write_in_between_is_a_conflict(
    cluster: Sandbox, api: Api, namespace: str, cake: tuple[Resource, str]
) -> None:
    resource, place = cake
    transport = await Between.open(Place(str(cluster.kubeconfig)))
    assert isinstance(transport, Between)
    transport.api, transport.place, transport.body = api, place, {"spec": {"cephVersion": {"image": "mine/x:2"}}}
    async with Cluster(transport) as client:
        with pytest.raises(Conflict):
            await rewrite_field(client, resource, namespace, "one", ONE, {OLD: NEW})
    assert api.get(place).body["spec"]["cephVersion"]["image"] == "mine/x:2"
