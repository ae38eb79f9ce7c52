"""Events that the API server accepts and `kubectl describe` would show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import structlog
from tests.cluster.identities import kubeconfig_of

from pawl.cluster.client import Cluster
from pawl.cluster.events import ObjectRef, Recorder, RecorderSettings
from pawl.cluster.resources import EVENTS
from pawl.sandbox import Cluster as Sandbox

pytestmark = pytest.mark.cluster


async def test_an_event_is_stored_with_its_object(cluster: Sandbox, namespace: str) -> None:
    async with await Cluster.connect(str(cluster.kubeconfig)) as client:
        recorder = Recorder(client, RecorderSettings(instance="host_1_ab"))
        ref = ObjectRef("pawl.dev/v1alpha1", "ImagePolicy", namespace, "w" * 253, "uid-1")
        recorder.event(ref, "Warning", "TagMutated", "v1 has another digest\nnow " + "x" * 3000)
        recorder.event(ref, "Warning", "TagMutated", "v1 has another digest\nnow " + "x" * 3000)
        await recorder.close()
        selector = "involvedObject.uid=uid-1,reason=TagMutated"
        pages = [page async for page in client.list_pages(EVENTS, namespace, field_selector=selector)]
    (event,) = json.loads(pages[0])["items"]
    assert event["message"].startswith("v1 has another digest now")
    assert event["count"] == 1
    assert event["lastTimestamp"]
    assert recorder.dropped == 0


async def test_a_missing_right_is_said_once(cluster: Sandbox, namespace: str, tmp_path: Path) -> None:
    async with await Cluster.connect(await kubeconfig_of(cluster, namespace, "mute", tmp_path)) as client:
        with structlog.testing.capture_logs() as logs:
            recorder = Recorder(client)
            for number in range(3):
                ref = ObjectRef("v1", "Pod", namespace, f"pod-{number}")
                recorder.event(ref, "Normal", "Reason", "message")
            await recorder.close()
    assert len(logs) == 1
    assert "the verb 'create' on 'events'" in logs[0]["error"]
