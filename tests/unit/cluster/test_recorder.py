"""Events: once, bounded, in the background, and never anybody's problem."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest
import structlog
from tests.unit.cluster.memory_api import MemoryApi, status
from tests.unit.cluster.waiting import until

from pawl.cluster.calls import Answer, Request
from pawl.cluster.events import ObjectRef, Recorder, RecorderSettings

WEB = ObjectRef("pawl.dev/v1alpha1", "ImagePolicy", "default", "web", "uid-1")
WALL = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def api() -> MemoryApi:
    return MemoryApi()


def sent(api: MemoryApi) -> list[dict[str, object]]:
    return [obj for path, obj in api.objects.items() if "/events/" in path]


async def test_an_event_says_who_what_and_when(api: MemoryApi) -> None:
    recorder = Recorder(api.cluster(), RecorderSettings(instance="host_1_ab", wall=lambda: WALL))
    recorder.event(WEB, "Normal", "Selected", "moved to\n v1.2.3")
    await recorder.close()
    (event,) = sent(api)
    assert event["involvedObject"] == {
        "apiVersion": "pawl.dev/v1alpha1",
        "kind": "ImagePolicy",
        "namespace": "default",
        "name": "web",
        "uid": "uid-1",
    }
    assert (event["type"], event["reason"], event["message"]) == ("Normal", "Selected", "moved to v1.2.3")
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-01-02T03:04:05Z"
    assert event["reportingInstance"] == "host_1_ab"


async def test_a_long_name_and_message_are_cut(api: MemoryApi) -> None:
    recorder = Recorder(api.cluster())
    recorder.event(ObjectRef("v1", "Pod", "default", "n" * 253), "Warning", "R", "m" * 5000)
    await recorder.close()
    (event,) = sent(api)
    assert len(json.loads(json.dumps(event))["metadata"]["name"]) <= 253
    assert len(str(event["message"])) == 1024


async def test_objects_without_a_namespace_are_told_in_default(api: MemoryApi) -> None:
    recorder = Recorder(api.cluster())
    recorder.event(ObjectRef("v1", "Node", "", "n1"), "Normal", "R", "m")
    await recorder.close()
    assert sent(api)[0]["involvedObject"] == {"apiVersion": "v1", "kind": "Node", "name": "n1"}


async def test_a_repetition_is_told_once_in_its_time(api: MemoryApi) -> None:
    recorder = Recorder(api.cluster(), RecorderSettings(quiet=0.05))
    for _ in range(5):
        recorder.event(WEB, "Normal", "Selected", "same")
    recorder.event(WEB, "Normal", "Selected", "other")
    recorder.event(WEB, "Normal", "Held", "same")
    await until(lambda: len(sent(api)) == 3)
    await asyncio.sleep(0.06)
    recorder.event(WEB, "Normal", "Selected", "same")
    await recorder.close()
    assert len(sent(api)) == 4


async def test_a_full_queue_drops_the_oldest_and_counts(api: MemoryApi) -> None:
    recorder = Recorder(api.cluster(), RecorderSettings(capacity=3))
    for number in range(10):
        recorder.event(WEB, "Normal", "Selected", str(number))
    assert recorder.dropped == 7
    await recorder.close()
    assert sorted(str(event["message"]) for event in sent(api)) == ["7", "8", "9"]


async def test_the_memory_of_repetitions_is_bounded(api: MemoryApi) -> None:
    recorder = Recorder(api.cluster(), RecorderSettings(memory=4))
    for number in range(9):
        recorder.event(WEB, "Normal", "Selected", str(number))
    assert len(recorder._told) == 4
    await recorder.close()


async def test_the_rate_is_bounded(api: MemoryApi) -> None:
    recorder = Recorder(api.cluster(), RecorderSettings(rate=50, burst=5))
    begin = asyncio.get_running_loop().time()
    for number in range(10):
        recorder.event(WEB, "Normal", "Selected", str(number))
    await until(lambda: len(sent(api)) == 10)
    assert asyncio.get_running_loop().time() - begin >= 0.09
    await recorder.close()


async def test_refusals_are_logged_once_and_never_raised(api: MemoryApi) -> None:
    async def deny(_: Request) -> Answer:
        return status(403, "Forbidden", 'events is forbidden: User "bob" cannot create resource "events"')

    api.hook = deny
    recorder = Recorder(api.cluster())
    with structlog.testing.capture_logs() as logs:
        for number in range(5):
            recorder.event(WEB, "Normal", "Selected", str(number))
        await recorder.close()
    assert len(logs) == 1
    assert "grant bob the verb 'create' on 'events'" in logs[0]["error"]
    assert recorder.dropped == 5


async def test_closing_has_a_deadline_and_ends_telling(api: MemoryApi) -> None:
    async def hang(_: Request) -> Answer | None:
        await asyncio.Event().wait()
        return None

    api.hook = hang
    recorder = Recorder(api.cluster())
    recorder.event(WEB, "Normal", "Selected", "one")
    recorder.event(WEB, "Normal", "Selected", "two")
    await asyncio.wait_for(recorder.close(0.05), 1)
    recorder.event(WEB, "Normal", "Selected", "three")
    await recorder.close(0.05)
    assert recorder.dropped == 1
