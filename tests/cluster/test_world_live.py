"""The world follows a real cluster: creates, deletes, listings, owner chains, rights that are missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from tests.cluster.api import Api, Json
from tests.cluster.identities import kubeconfig_of
from tests.cluster.workloads import create, live, manifest, path_of, pod_spec

from pawl.api.errors import Expired
from pawl.cluster.calls import Answer, ConnectionValues, Request
from pawl.cluster.client import Cluster
from pawl.cluster.connect import HttpTransport
from pawl.cluster.credentials import Place
from pawl.cluster.watch import WatchSettings
from pawl.cluster.world import Change, World
from pawl.decide.objects import Owner, PodRow
from pawl.sandbox import Cluster as Sandbox

pytestmark = pytest.mark.cluster

IMAGE = "docker.io/rook/ceph:v1"
QUICK = WatchSettings(chunk=10, base=0.01, cap=0.1)


@dataclass
class Followed:
    """A running world and every change that it told."""

    world: World
    changes: list[Change]
    news: asyncio.Event

    async def until(self, done: Callable[[], object], seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not done():
                self.news.clear()
                await self.news.wait()

    def told(self, kind: str, uid: str, *, deleted: bool = False) -> list[Change]:
        return [each for each in self.changes if (each.kind, each.uid, each.deleted) == (kind, uid, deleted)]


@asynccontextmanager
async def following(cluster: Cluster, *namespaces: str) -> AsyncIterator[Followed]:
    changes: list[Change] = []
    news = asyncio.Event()

    def take(change: Change) -> None:
        changes.append(change)
        news.set()

    world = World(cluster, namespaces, take, QUICK)
    task = asyncio.create_task(world.run())
    try:
        async with asyncio.timeout(30):
            await world.until_synced()
        yield Followed(world, changes, news)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest_asyncio.fixture
async def client(cluster: Sandbox) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(str(cluster.kubeconfig)) as found:
        yield found


def owner(body: Json, *, controller: bool = True) -> Json:
    """An ownerReference as Rook copies it."""
    meta = body["metadata"]
    return {
        "apiVersion": body["apiVersion"],
        "kind": body["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": controller,
    }


def scaled(name: str, replicas: int) -> Json:
    body = manifest("Deployment", name, pod_spec(web=IMAGE))
    body["spec"]["replicas"] = replicas
    return body


async def test_pods_of_a_deployment_are_found_through_its_replica_set(
    client: Cluster, api: Api, namespace: str
) -> None:
    uid = create(api, namespace, scaled("web", 3))["metadata"]["uid"]
    async with following(client) as seen:
        world = seen.world
        await seen.until(lambda: len([each for each in world.pods_of(uid) if each.ready_since]) == 3)
        row = world.workload(uid)
        assert row is not None
        assert (row.kind, row.wanted, row.spec.images[0].image) == ("Deployment", 3, IMAGE)
        pod = world.pods_of(uid)[0]
        assert world.root_of(pod) == row
        assert world.parents_of(pod) == (row,)
        assert pod.node == "node-0"
        assert world.node("node-0") in world.nodes()
        assert world.with_repository_below("docker.io/rook") >= {uid, pod.uid}
        assert not world.with_repository_below("docker.io/roo")
        assert [each.kind for each in world.workloads(namespace)] == ["Deployment"]
        assert world.age < 30
        await seen.until(lambda: (now := world.workload(uid)) is not None and now.ready == 3 and now.settled)


async def test_a_change_of_a_pod_moves_the_stamp_of_its_deployment(client: Cluster, api: Api, namespace: str) -> None:
    uid = create(api, namespace, scaled("web", 1))["metadata"]["uid"]
    async with following(client) as seen:
        world = seen.world
        await seen.until(lambda: len([each for each in world.pods_of(uid) if each.ready_since]) == 1)
        pod, before = world.pods_of(uid)[0], world.stamp(uid)
        assert api.merge(path_of("Pod", namespace, pod.name), {"metadata": {"labels": {"a": "b"}}}).ok
        await seen.until(lambda: (now := world.pod(pod.uid)) is not None and ("a", "b") in now.spec.labels)
        assert world.stamp(uid) > before
        assert seen.told("Pod", pod.uid)[-1].root_uid == uid


async def test_a_deleted_pod_is_told_with_its_last_row(client: Cluster, api: Api, namespace: str) -> None:
    body = create(api, namespace, manifest("Pod", "bare", pod_spec(web=IMAGE)))
    uid = body["metadata"]["uid"]
    async with following(client) as seen:
        row = seen.world.pod(uid)
        assert row is not None
        assert seen.world.root_of(row) is None
        assert api.delete(path_of("Pod", namespace, "bare")).ok
        await seen.until(lambda: seen.told("Pod", uid, deleted=True))
        last = seen.told("Pod", uid, deleted=True)[0]
        assert isinstance(last.row, PodRow)
        assert (last.root_uid, last.row.created) == (uid, row.created)
        assert seen.world.pod(uid) is None
        assert uid not in seen.world.with_repository_below("docker.io")


async def test_parents_are_found_as_rook_makes_children(client: Cluster, api: Api, namespace: str) -> None:
    operator = create(api, namespace, scaled("operator", 1))["metadata"]["uid"]
    async with following(client) as seen:
        world = seen.world
        await seen.until(lambda: world.pods_of(operator))
        replicas = live(api, "ReplicaSet", namespace, world.pods_of(operator)[0].owners[0].name)
        references = [owner(replicas, controller=False)]
        discover = manifest("DaemonSet", "discover", pod_spec(web=IMAGE), ownerReferences=references)
        child = create(api, namespace, discover)["metadata"]["uid"]
        worker = manifest("Pod", "worker", pod_spec(web=IMAGE), ownerReferences=references)
        bare = create(api, namespace, worker)["metadata"]["uid"]
        await seen.until(lambda: world.workload(child) and world.pods_of(child) and world.pod(bare))
        row, pod, lone = world.workload(child), world.pods_of(child)[0], world.pod(bare)
        assert row is not None
        assert lone is not None
        assert [each.uid for each in world.parents_of(row)] == [operator]
        assert [each.uid for each in world.parents_of(pod)] == [child]
        assert [each.uid for each in world.parents_of(lone)] == [operator]
        assert world.root_of(lone) is None
        assert {each.uid for each in world.pods_of(operator)}.isdisjoint({bare, pod.uid})


async def test_jobs_of_a_cron_job_own_their_pods(client: Cluster, api: Api, namespace: str) -> None:
    cron = create(api, namespace, manifest("CronJob", "nightly", pod_spec(web=IMAGE)))
    job = manifest("Job", "nightly-1", pod_spec(web=IMAGE), ownerReferences=[owner(cron)])
    uid = create(api, namespace, job)["metadata"]["uid"]
    async with following(client) as seen:
        world = seen.world
        await seen.until(lambda: world.pods_of(uid))
        assert [each.uid for each in world.jobs_of(cron["metadata"]["uid"])] == [uid]
        assert world.pods_of(cron["metadata"]["uid"]) == ()
        await seen.until(lambda: (now := world.workload(uid)) is not None and now.job and now.job.finished)


async def test_an_owner_of_a_foreign_kind_is_the_root(client: Cluster, api: Api, namespace: str) -> None:
    answer = api.post(
        f"api/v1/namespaces/{namespace}/configmaps",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cr"}},
    )
    body = manifest("Pod", "bare", pod_spec(web=IMAGE), ownerReferences=[owner(answer.body)])
    uid = create(api, namespace, body)["metadata"]["uid"]
    async with following(client) as seen:
        row = seen.world.pod(uid)
        assert row is not None
        root = seen.world.root_of(row)
        assert isinstance(root, Owner)
        assert (root.kind, root.name) == ("ConfigMap", "cr")
        assert seen.world.pods_of(root.uid) == (row,)
        assert seen.world.stamp(root.uid) > 0


class Leaving:
    """A real transport that can go away: watches end, and nothing is listed until it is `back`, too late to go on."""

    def __init__(self, inner: HttpTransport) -> None:
        self._inner = inner
        self.back, self.cut = asyncio.Event(), asyncio.Event()
        self.back.set()

    async def send(self, request: Request) -> Answer:
        await self.back.wait()
        return await self._inner.send(request)

    @asynccontextmanager
    async def _stream(self, request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
        if self.cut.is_set():
            raise Expired("too old resource version")
        async with self._inner.stream(request) as lines:
            yield self._until_cut(lines)

    def stream(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._stream(request)

    async def _until_cut(self, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        cut = asyncio.ensure_future(self.cut.wait())
        while True:
            line = asyncio.ensure_future(anext(lines))
            await asyncio.wait({line, cut}, return_when=asyncio.FIRST_COMPLETED)
            if not line.done():
                line.cancel()
                return
            try:
                yield line.result()
            except StopAsyncIteration:
                cut.cancel()
                return

    async def connection_info(self) -> ConnectionValues:
        return await self._inner.connection_info()

    async def close(self) -> None:
        await self._inner.close()


async def test_what_went_while_the_watch_was_away_goes_with_the_next_listing(
    cluster: Sandbox, api: Api, namespace: str
) -> None:
    kept = create(api, namespace, manifest("CronJob", "kept", pod_spec(web=IMAGE)))["metadata"]["uid"]
    gone = create(api, namespace, manifest("CronJob", "gone", pod_spec(web=IMAGE)))["metadata"]["uid"]
    transport = Leaving(await HttpTransport.open(Place(str(cluster.kubeconfig))))
    async with Cluster(transport) as leaving, following(leaving, namespace) as seen:
        assert {each.uid for each in seen.world.workloads(namespace)} == {kept, gone}
        transport.back.clear()
        transport.cut.set()
        assert api.delete(path_of("CronJob", namespace, "gone")).ok
        new = create(api, namespace, manifest("CronJob", "new", pod_spec(web=IMAGE)))["metadata"]["uid"]
        transport.back.set()
        await seen.until(lambda: seen.told("CronJob", gone, deleted=True) and seen.world.workload(new))
        assert {each.uid for each in seen.world.workloads(namespace)} == {kept, new}
        assert len(seen.told("CronJob", kept)) == 1


async def test_a_namespace_that_may_not_be_read_does_not_stop_the_others(
    cluster: Sandbox, api: Api, namespace: str, tmp_path: Path
) -> None:
    rules = [{"apiGroups": ["", "apps", "batch"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
    create(api, namespace, manifest("Pod", "bare", pod_spec(web=IMAGE)))
    config = await kubeconfig_of(cluster, namespace, "narrow", tmp_path, rules)
    async with await Cluster.connect(config) as narrow, following(narrow, namespace, "default") as seen:
        assert seen.world.synced
        assert [each.name for each in seen.world.pods()] == ["bare"]
        trouble = seen.world.trouble()
        assert "pods in namespace default" in trouble
        assert not [each for each in trouble if namespace in each]
        assert "grant" in trouble["pods in namespace default"]
        assert seen.world.age < 30


async def test_nodes_and_namespaces_are_rows(client: Cluster, api: Api, namespace: str) -> None:
    async with following(client) as seen:
        world = seen.world
        node = world.node("node-0")
        assert node is not None
        assert (node.platform, node.ready) == ("linux/amd64", True)
        assert api.merge(f"api/v1/namespaces/{namespace}", {"metadata": {"labels": {"pawl.dev/ignore": "true"}}}).ok
        await seen.until(lambda: (row := world.namespace(namespace)) is not None and row.ignored)
        assert namespace in [each.name for each in world.namespaces()]
