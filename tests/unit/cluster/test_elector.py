"""The election: one writer at a time, whatever the network, the clocks and people's hands do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from tests.unit.cluster.memory_api import MemoryApi, View, status
from tests.unit.cluster.waiting import until

from pawl.api.errors import ApiUnavailable, Forbidden, LeaseLost
from pawl.cluster.calls import Answer, Request
from pawl.cluster.client import Cluster, Options
from pawl.cluster.lease import Candidate, Clocks, Elector, LeaseState, elapsed, new_identity
from pawl.cluster.leaserecord import Timing

FAST = Timing(duration=0.9, renew_deadline=0.5, retry=0.05, stop=0.3)
PATH = "/apis/coordination.k8s.io/v1/namespaces/pawl-system/leases/pawl"


class Replica:
    """One candidate with its own view of the server, which can be cut."""

    def __init__(self, api: MemoryApi, name: str, timing: Timing = FAST, clocks: Clocks | None = None) -> None:
        self.view: View = api.view(self._hook)
        self.cut = False
        self.answer: Callable[[Request], Awaitable[Answer | None]] | None = None
        self.terms: list[int] = []
        self.ended = asyncio.Event()
        self.work: Callable[[int], Awaitable[None]] = self.forever
        cluster = Cluster(self.view, Options(backoff=0.001))
        self.elector = Elector(cluster, Candidate("pawl-system", "pawl", name), timing, clocks)

    async def _hook(self, request: Request) -> Answer | None:
        if self.cut:
            await asyncio.Event().wait()
        return await self.answer(request) if self.answer else None

    async def forever(self, term: int) -> None:
        self.terms.append(term)
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()

    async def run(self) -> None:
        await self.elector.run(self.work)

    def leads(self) -> bool:
        return self.elector.valid()


@asynccontextmanager
async def started(*replicas: Replica) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(replica.run()) for replica in replicas]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Overlap:
    """Samples whether more than one replica believes that it may write."""

    def __init__(self, *replicas: Replica) -> None:
        self.replicas = replicas
        self.seen = 0

    async def watch(self) -> None:
        while True:
            self.seen = max(self.seen, sum(replica.leads() for replica in self.replicas))
            await asyncio.sleep(0.001)


@asynccontextmanager
async def never_two(*replicas: Replica) -> AsyncIterator[None]:
    overlap = Overlap(*replicas)
    task = asyncio.create_task(overlap.watch())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert overlap.seen == 1


@pytest.fixture
def api() -> MemoryApi:
    return MemoryApi(namespaces=("pawl-system",))


def spec(api: MemoryApi) -> dict[str, Any]:
    result: dict[str, Any] = api.objects[PATH]["spec"]
    return result


async def test_the_first_candidate_makes_the_lease_and_leads_in_term_one(api: MemoryApi) -> None:
    replica = Replica(api, "one")
    assert replica.elector.state == LeaseState(leading=False, holder="", term=0)
    async with started(replica):
        await until(lambda: replica.terms == [1])
        assert replica.leads()
        assert replica.elector.state == LeaseState(leading=True, holder="one", term=1)
        assert spec(api)["holderIdentity"] == "one"
        assert spec(api)["leaseTransitions"] == 1
        assert spec(api)["leaseDurationSeconds"] == 1


async def test_it_renews_while_it_leads(api: MemoryApi) -> None:
    replica = Replica(api, "one")
    async with started(replica):
        await until(replica.leads)
        await until(lambda: api.verbs["update"] >= 5)
        await asyncio.sleep(2 * FAST.renew_deadline)
        assert replica.leads()


async def test_a_finished_leader_releases_and_the_next_one_follows_at_once(api: MemoryApi) -> None:
    first, second = Replica(api, "one"), Replica(api, "two")
    finish = asyncio.Event()

    async def work(_: int) -> None:
        await finish.wait()

    first.work = work
    async with never_two(first, second), started(first) as tasks:
        await until(first.leads)
        async with started(second):
            await asyncio.sleep(1.5 * FAST.duration)
            assert not second.leads()
            assert second.elector.state == LeaseState(leading=False, holder="one", term=1)
            finish.set()
            await tasks[0]
            begin = elapsed()
            await until(second.leads)
            assert elapsed() - begin < FAST.duration / 2
            await until(lambda: second.terms == [2])


async def test_what_the_leading_task_raises_comes_out_and_the_lease_is_released(api: MemoryApi) -> None:
    replica = Replica(api, "one")

    async def work(_: int) -> None:
        raise RuntimeError("cannot go on")

    replica.work = work
    with pytest.raises(RuntimeError, match="cannot go on"):
        await replica.run()
    assert "holderIdentity" not in spec(api)
    assert not replica.leads()


async def test_cancelling_ends_the_leading_task_first_and_releases_after(api: MemoryApi) -> None:
    replica = Replica(api, "one")
    holders: list[object] = []

    async def work(_: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            renewals = api.verbs["update"]
            await asyncio.sleep(3 * FAST.retry)  # a last write takes its time
            assert api.verbs["update"] > renewals
            assert replica.leads()
            holders.append(spec(api).get("holderIdentity"))

    replica.work = work
    async with started(replica) as tasks:
        await until(replica.leads)
        await asyncio.sleep(0.01)
        tasks[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
    assert holders == ["one"]
    assert "holderIdentity" not in spec(api)
    assert spec(api)["leaseTransitions"] == 1


async def test_a_leading_task_that_does_not_stop_keeps_the_lease_from_being_released(api: MemoryApi) -> None:
    replica = Replica(api, "one")
    stop = asyncio.Event()

    async def work(_: int) -> None:
        while not stop.is_set():
            try:
                await stop.wait()
            except asyncio.CancelledError:
                continue

    replica.work = work
    with structlog.testing.capture_logs() as logs:
        async with started(replica) as tasks:
            await until(replica.leads)
            await asyncio.sleep(0.01)
            tasks[0].cancel()
            await asyncio.wait(tasks, timeout=2)
    assert spec(api)["holderIdentity"] == "one"
    assert "left to run out" in logs[-1]["event"]
    stop.set()
    await asyncio.sleep(0.01)


async def test_a_leader_that_cannot_renew_loses_it_before_another_takes_it(api: MemoryApi) -> None:
    first, second = Replica(api, "one"), Replica(api, "two")
    async with never_two(first, second), started(first) as tasks:
        await until(first.leads)
        async with started(second):
            await asyncio.sleep(0.1)
            first.cut = True
            begin = elapsed()
            with pytest.raises(LeaseLost, match=r"pawl-system/pawl is lost: .* 0\.5 s .*must exit"):
                await tasks[0]
            assert elapsed() - begin <= FAST.renew_deadline + 0.2
            assert first.ended.is_set()
            assert not first.leads()
            assert not second.leads()
            await until(second.leads)
            await until(lambda: second.terms == [2])
            assert elapsed() - begin >= FAST.duration - 0.1


async def test_losing_it_is_said_with_the_last_trouble(api: MemoryApi) -> None:
    replica = Replica(api, "one")

    async def refuse(request: Request) -> Answer | None:
        return status(503, "ServiceUnavailable", "etcd is away") if request.verb == "update" else None

    async with started(replica) as tasks:
        await until(replica.leads)
        replica.answer = refuse
        with pytest.raises(LeaseLost, match="etcd is away"):
            await tasks[0]


async def test_a_short_outage_is_survived(api: MemoryApi) -> None:
    replica = Replica(api, "one")
    failures = 0

    async def refuse(_: Request) -> Answer | None:
        nonlocal failures
        failures += 1
        raise ApiUnavailable("no connection")

    with structlog.testing.capture_logs() as logs:
        async with started(replica):
            await until(replica.leads)
            replica.answer = refuse
            await until(lambda: failures >= 3)
            replica.answer = None
            await asyncio.sleep(2 * FAST.renew_deadline)
            assert replica.leads()
    assert [entry["error"] for entry in logs if entry["log_level"] == "warning"] == ["no connection"]


async def test_a_lease_taken_by_hand_is_lost_at_once(api: MemoryApi) -> None:
    replica = Replica(api, "one")
    async with started(replica) as tasks:
        await until(replica.leads)
        api.put(PATH, {**api.objects[PATH], "spec": {**spec(api), "holderIdentity": "somebody"}})
        with pytest.raises(LeaseLost, match="held by somebody"):
            await asyncio.wait_for(tasks[0], 4 * FAST.retry)
    assert spec(api)["holderIdentity"] == "somebody"


async def test_a_lease_emptied_by_hand_is_lost_too(api: MemoryApi) -> None:
    replica = Replica(api, "one")
    async with started(replica) as tasks:
        await until(replica.leads)
        api.put(PATH, {**api.objects[PATH], "spec": {}})
        with pytest.raises(LeaseLost, match="held by nobody"):
            await tasks[0]


async def test_an_annotation_by_somebody_else_is_kept_and_costs_nothing(api: MemoryApi) -> None:
    replica = Replica(api, "one")
    async with started(replica):
        await until(replica.leads)
        touched = {**api.objects[PATH]["metadata"], "annotations": {"note": "hello"}, "labels": {"a": "b"}}
        api.put(PATH, {**api.objects[PATH], "metadata": touched})
        renewals = api.verbs["update"]
        await until(lambda: api.verbs["update"] > renewals + 4)
        assert replica.leads()
    async with started(Replica(api, "two")):
        await until(lambda: spec(api).get("holderIdentity") == "two")
    assert api.objects[PATH]["metadata"]["annotations"] == {"note": "hello"}


async def test_a_lease_deleted_by_hand_is_made_again_in_the_same_term_and_nobody_jumps_in(api: MemoryApi) -> None:
    first, second = Replica(api, "one"), Replica(api, "two")
    async with never_two(first, second), started(first):
        await until(first.leads)
        async with started(second):
            await until(lambda: second.elector.state.holder == "one")
            for _ in range(3):
                del api.objects[PATH]
                await until(lambda: PATH in api.objects)
                await asyncio.sleep(2 * FAST.retry)
            assert first.leads()
            assert not second.leads()
            assert spec(api)["leaseTransitions"] == 1


async def test_a_lease_deleted_under_a_dead_leader_is_taken_in_a_greater_term(api: MemoryApi) -> None:
    first, second = Replica(api, "one"), Replica(api, "two")
    async with never_two(first, second), started(first):
        await until(first.leads)
        async with started(second):
            await until(lambda: second.elector.state.holder == "one")
            first.cut = True
            del api.objects[PATH]
            await until(second.leads)
            await until(lambda: second.terms == [2])


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(days=400), timedelta(0)])
async def test_wall_clocks_do_not_matter(api: MemoryApi, jump: timedelta) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    moments = iter(range(10_000))
    wrong = Clocks(wall=lambda: start + jump * (next(moments) % 2))  # jumps to and fro, or stands still
    first, second = Replica(api, "one", clocks=wrong), Replica(api, "two")
    async with never_two(first, second), started(first):
        await until(first.leads)
        async with started(second):
            await asyncio.sleep(2 * FAST.duration)
            assert first.leads()
            assert not second.terms


async def test_a_machine_that_slept_has_lost_the_lease_when_it_wakes(api: MemoryApi) -> None:
    slept = 0.0
    replica = Replica(api, "one", clocks=Clocks(elapsed=lambda: elapsed() + slept))
    async with started(replica) as tasks:
        await until(replica.leads)
        slept = 3600.0
        assert not replica.leads()
        with pytest.raises(LeaseLost):
            await tasks[0]


async def test_a_write_whose_answer_was_lost_is_recognised_as_ours(api: MemoryApi) -> None:
    replica = Replica(api, "one")
    lost = 0

    async def lose(request: Request) -> Answer | None:
        nonlocal lost
        if request.verb in ("create", "update") and lost < 3:
            lost += 1
            api.answer(request)
            raise ApiUnavailable("the answer never came")
        return None

    replica.answer = lose
    async with started(replica):
        await until(lambda: lost == 3 and replica.leads())
        await until(lambda: replica.terms == [1])
        assert spec(api)["leaseTransitions"] == 1


async def test_a_renewal_cut_off_by_the_end_does_not_keep_the_lease(api: MemoryApi) -> None:
    replica = Replica(api, "one")
    held = asyncio.Event()

    async def hang(request: Request) -> Answer | None:
        if request.verb == "update" and not held.is_set():
            api.answer(request)  # it arrived, and the answer hangs
            held.set()
            await asyncio.Event().wait()
        return None

    async with started(replica) as tasks:
        await until(replica.leads)
        replica.answer = hang
        await held.wait()
        tasks[0].cancel()
        await asyncio.wait(tasks)
    assert "holderIdentity" not in spec(api)


async def test_a_lease_that_cannot_be_released_is_left_to_run_out(api: MemoryApi) -> None:
    replica = Replica(api, "one")
    with structlog.testing.capture_logs() as logs:
        async with started(replica) as tasks:
            await until(replica.leads)
            replica.cut = True
            tasks[0].cancel()
            await asyncio.wait(tasks)
    assert logs[-1]["event"] == "lease could not be released and will run out"


async def test_the_namespace_is_made_if_missing() -> None:
    api = MemoryApi(namespaces=())
    replica = Replica(api, "one")
    async with started(replica):
        await until(replica.leads)
    assert "/api/v1/namespaces/pawl-system" in api.objects


async def test_a_namespace_that_was_deleted_is_not_made_again_by_those_who_knew_it(api: MemoryApi) -> None:
    leader, waiting = Replica(api, "one"), Replica(api, "two")
    async with started(leader, waiting) as (leading, other):
        await until(leader.leads)
        await until(lambda: waiting.elector.state.holder == "one")
        api.objects.clear()
        await until(leading.done)
        assert isinstance(leading.exception(), LeaseLost)
        assert "was deleted" in str(leading.exception())
        assert not other.done()
    assert "/api/v1/namespaces/pawl-system" not in api.objects


async def test_a_namespace_that_goes_ends_a_leader_and_nobody_who_waits(api: MemoryApi) -> None:
    leader, waiting = Replica(api, "one"), Replica(api, "two")
    said = 'leases "pawl" is forbidden: unable to create new content in namespace because it is being terminated'

    async def refuse(request: Request) -> Answer | None:
        return status(403, "Forbidden", said) if request.verb == "create" else None

    async with started(leader, waiting) as (leading, other):
        await until(leader.leads)
        await until(lambda: waiting.elector.state.holder == "one")
        leader.answer = waiting.answer = refuse
        del api.objects[PATH]
        await until(leading.done)
        assert isinstance(leading.exception(), LeaseLost)
        await asyncio.sleep(FAST.retry * 4)
        assert not other.done()
    assert PATH not in api.objects


async def test_a_namespace_made_by_another_in_the_same_moment_is_fine() -> None:
    api = MemoryApi(namespaces=())
    replica = Replica(api, "one")

    async def faster(request: Request) -> Answer | None:
        if request.resource.plural == "namespaces":
            api.put("/api/v1/namespaces/pawl-system", {})
        return None

    replica.answer = faster
    async with started(replica):
        await until(replica.leads)


async def test_a_namespace_that_may_not_be_made_is_a_sentence() -> None:
    api = MemoryApi(namespaces=())
    replica = Replica(api, "one")

    async def deny(request: Request) -> Answer | None:
        if request.resource.plural != "namespaces":
            return None
        return status(403, "Forbidden", 'namespaces is forbidden: User "bob" cannot create resource "namespaces"')

    replica.answer = deny
    with pytest.raises(Forbidden) as caught:
        await replica.run()
    assert str(caught.value) == (
        "namespace pawl-system does not exist and may not create namespaces: grant bob the verb 'create' on "
        "'namespaces' in API group ''; run `kubectl create namespace pawl-system` or name another with --namespace"
    )


async def test_a_denied_lease_is_a_sentence(api: MemoryApi) -> None:
    replica = Replica(api, "one")

    async def deny(_: Request) -> Answer | None:
        return status(403, "Forbidden", 'leases "pawl" is forbidden: User "bob" cannot get resource "leases"')

    replica.answer = deny
    with pytest.raises(Forbidden, match=r"grant bob the verb 'get' on 'leases' in API group 'coordination\.k8s\.io'"):
        await replica.run()


async def test_candidates_wait_through_an_outage_and_complain_once(api: MemoryApi) -> None:
    replica = Replica(api, "one")
    tries = 0

    async def refuse(_: Request) -> Answer | None:
        nonlocal tries
        tries += 1
        return status(503, "ServiceUnavailable", "not yet") if tries < 12 else None

    replica.answer = refuse
    with structlog.testing.capture_logs() as logs:
        async with started(replica):
            await until(replica.leads)
    assert len([entry for entry in logs if entry["log_level"] == "warning"]) == 1


async def test_many_candidates_and_a_series_of_deaths_leave_one_leader_at_a_time(api: MemoryApi) -> None:
    replicas = [Replica(api, f"replica-{number}") for number in range(4)]
    async with never_two(*replicas), started(*replicas):
        for _ in range(3):
            await until(lambda: any(replica.leads() for replica in replicas))
            next(replica for replica in replicas if replica.leads()).cut = True
            await until(lambda: not any(replica.leads() for replica in replicas))
        await until(lambda: sorted(term for replica in replicas for term in replica.terms) == [1, 2, 3, 4])


def test_an_identity_names_host_and_process_and_is_never_the_same() -> None:
    one, two = new_identity(), new_identity()
    assert one != two
    assert one.rsplit("_", 1)[0] == two.rsplit("_", 1)[0]
