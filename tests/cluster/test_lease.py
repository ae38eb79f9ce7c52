"""The election on a real API server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from tests.cluster.identities import kubeconfig_of

from pawl.api.errors import Forbidden, LeaseLost
from pawl.cluster.calls import Answer, ConnectionValues, Request
from pawl.cluster.client import Cluster
from pawl.cluster.connect import HttpTransport
from pawl.cluster.credentials import Place
from pawl.cluster.lease import Candidate, Elector, elapsed
from pawl.cluster.leaserecord import Timing
from pawl.cluster.resources import LEASES, NAMESPACES
from pawl.sandbox import Cluster as Sandbox

pytestmark = pytest.mark.cluster

SHORT = Timing(duration=3.0, renew_deadline=1.5, retry=0.3, stop=1.0)


class Faulty:
    """A real transport that can be cut from the outside."""

    def __init__(self, inner: HttpTransport) -> None:
        self._inner = inner
        self.cut = False

    async def send(self, request: Request) -> Answer:
        if self.cut:
            await asyncio.Event().wait()
        return await self._inner.send(request)

    def stream(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._inner.stream(request)

    async def connection_info(self) -> ConnectionValues:
        return await self._inner.connection_info()

    async def close(self) -> None:
        await self._inner.close()


class Replica:
    def __init__(self, transport: Faulty, candidate: Candidate, timing: Timing) -> None:
        self.transport = transport
        self.elector = Elector(Cluster(transport), candidate, timing)
        self.terms: list[int] = []
        self.task: asyncio.Task[None] | None = None

    def start(self) -> asyncio.Task[None]:
        self.task = asyncio.create_task(self.elector.run(self._lead))
        return self.task

    async def _lead(self, term: int) -> None:
        self.terms.append(term)
        await asyncio.Event().wait()


Make = Callable[..., Awaitable[Replica]]


@pytest.fixture
async def make(cluster: Sandbox, namespace: str) -> AsyncIterator[Make]:
    replicas: list[Replica] = []

    async def replica(name: str, timing: Timing = SHORT, where: str = namespace) -> Replica:
        transport = Faulty(await HttpTransport.open(Place(str(cluster.kubeconfig))))
        replicas.append(Replica(transport, Candidate(where, "pawl", name), timing))
        return replicas[-1]

    yield replica
    tasks = [replica.task for replica in replicas if replica.task]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for replica in replicas:
        await replica.transport.close()


@pytest.fixture
async def admin(cluster: Sandbox) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(str(cluster.kubeconfig)) as client:
        yield client


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.005)


@asynccontextmanager
async def never_two(*replicas: Replica) -> AsyncIterator[None]:
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, sum(replica.elector.valid() for replica in replicas))
            await asyncio.sleep(0.002)

    task = asyncio.create_task(watch())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert most == 1


async def test_a_released_lease_is_taken_within_one_retry_of_the_default_times(make: Make) -> None:
    first, second = await make("one", Timing()), await make("two", Timing())
    async with never_two(first, second):
        task = first.start()
        await until(first.elector.valid)
        second.start()
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.wait({task})
        begin = elapsed()
        await until(second.elector.valid)
        assert elapsed() - begin <= 3.0
        await until(lambda: (first.terms, second.terms) == ([1], [2]))


async def test_a_holder_that_stops_renewing_is_followed_after_the_duration(make: Make) -> None:
    first, second = await make("one"), await make("two")
    async with never_two(first, second):
        task = first.start()
        await until(first.elector.valid)
        second.start()
        await until(lambda: second.elector.state.holder == "one")
        first.transport.cut = True
        begin = elapsed()
        with pytest.raises(LeaseLost, match=r"could not be renewed for 1\.5 s"):
            await task
        assert elapsed() - begin <= SHORT.renew_deadline + 0.5
        assert not second.elector.valid()
        await until(second.elector.valid)
        assert SHORT.duration - SHORT.retry <= elapsed() - begin <= SHORT.duration + 2 * SHORT.retry + 0.5
        await until(lambda: second.terms == [2])


async def test_a_lease_written_by_another_is_lost(make: Make, admin: Cluster, namespace: str) -> None:
    first = await make("one")
    task = first.start()
    await until(first.elector.valid)
    await admin.merge_patch(LEASES, namespace, "pawl", {"spec": {"holderIdentity": "intruder"}})
    with pytest.raises(LeaseLost, match="held by intruder"):
        await asyncio.wait_for(task, 3 * SHORT.retry)
    assert json.loads(await admin.get(LEASES, namespace, "pawl"))["spec"]["holderIdentity"] == "intruder"


async def test_a_lease_deleted_by_hand_comes_back_with_its_holder(make: Make, admin: Cluster, namespace: str) -> None:
    first, second = await make("one"), await make("two")
    async with never_two(first, second):
        first.start()
        await until(first.elector.valid)
        second.start()
        await until(lambda: second.elector.state.holder == "one")
        await admin.delete(LEASES, namespace, "pawl")
        await asyncio.sleep(SHORT.duration)
        assert first.elector.valid()
        spec = json.loads(await admin.get(LEASES, namespace, "pawl"))["spec"]
        assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("one", 1)
        assert second.terms == []


async def test_a_released_lease_keeps_its_term_and_no_holder(make: Make, admin: Cluster, namespace: str) -> None:
    first = await make("one")
    task = first.start()
    await until(first.elector.valid)
    task.cancel()
    await asyncio.wait({task})
    spec = json.loads(await admin.get(LEASES, namespace, "pawl"))["spec"]
    assert "holderIdentity" not in spec
    assert spec["leaseTransitions"] == 1


async def test_the_namespace_is_made_if_missing(make: Make, admin: Cluster) -> None:
    where = f"t-{uuid4().hex[:10]}"
    first = await make("one", SHORT, where)
    first.start()
    await until(first.elector.valid)
    assert json.loads(await admin.get(NAMESPACES, None, where))["metadata"]["name"] == where
    await admin.delete(NAMESPACES, None, where)


async def test_a_replica_without_rights_says_which_are_missing(
    cluster: Sandbox, namespace: str, tmp_path: Path
) -> None:
    path = await kubeconfig_of(cluster, namespace, "poor", tmp_path)
    async with await Cluster.connect(path) as client:
        with pytest.raises(Forbidden) as caught:
            await Elector(client, Candidate(namespace, "pawl", "poor")).run(_never)
    assert str(caught.value) == (
        f"may not get leases in namespace {namespace}: grant system:serviceaccount:{namespace}:poor the verb 'get' on "
        "'leases' in API group 'coordination.k8s.io'"
    )


async def test_a_replica_that_may_only_read_says_so(cluster: Sandbox, namespace: str, tmp_path: Path) -> None:
    rules = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get"]}]
    path = await kubeconfig_of(cluster, namespace, "reader", tmp_path, rules)
    async with await Cluster.connect(path) as client:
        with pytest.raises(Forbidden, match="the verb 'create' on 'leases'"):
            await Elector(client, Candidate(namespace, "pawl", "reader")).run(_never)


async def _never(_term: int) -> None:
    raise AssertionError("must not lead")
