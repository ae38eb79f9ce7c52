"""Proofs of a registry: a failure is told, unless the server was made anew meanwhile; then it is tried again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.unit.controllers.registry_doubles import NOW, Hands, owned, registry

from pawl.api.registrywork import Report, Step, Task
from pawl.controllers.queue import Key
from pawl.controllers.registryproofs import Proofs
from pawl.controllers.registrystore import KIND
from pawl.decide.storagefacts import Server, ServerPod

Json = dict[str, Any]
KEY = Key(KIND, "shop", "main")
JOBS = "/apis/batch/v1/namespaces/shop/jobs"
PODS = "/api/v1/namespaces/shop/pods"
BEFORE, LATER = NOW - timedelta(minutes=5), NOW + timedelta(minutes=1)
POD = ServerPod("main-0", "10.0.0.1", "a", ready=True, ending=False, store="s1", read_only=False, config="")
SERVING = Server(exists=True, rolled=True, scale=1, pods=(POD,))


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def server(hands: Hands, made: datetime) -> None:
    pod = owned("Pod", "main-0")
    pod["metadata"]["creationTimestamp"] = text(made)
    hands.api.put(f"{PODS}/main-0", pod)


def ended(hands: Hands, path: str) -> None:
    """The probe of this path failed at TLS, a moment ago."""
    job = hands.api.objects[path]
    job["metadata"] |= {"uid": "probe-1", "creationTimestamp": text(NOW)}
    hands.api.put(path, job | {"status": {"conditions": [{"type": "Failed", "status": "True"}]}})
    said = Report(task=Task.PROBE, done=True, steps=[Step(name="TLS", ok=False, message="reset by peer")])
    state = {"terminated": {"exitCode": 1, "message": said.model_dump_json(by_alias=True)}}
    pod = owned(
        "Pod", "probe-1-a", "work", "probe-1", status={"containerStatuses": [{"name": "probe", "state": state}]}
    )
    hands.api.put(f"{PODS}/probe-1-a", pod)


async def look(hands: Hands, proofs: Proofs, serving: Server) -> dict[str, str]:
    await proofs.look(KEY, await hands.gathered(registry(), server=serving), hands.done)
    return {each.type: each.status for each in proofs.conditions(KEY, [])}


def probes(hands: Hands) -> list[str]:
    return [path for path in hands.api.objects if path.startswith(f"{JOBS}/main-registry-probe-")]


@pytest.mark.parametrize(
    ("made", "serving", "told", "again"),
    [
        (BEFORE, SERVING, {"Trusted": "False"}, False),
        (LATER, SERVING, {}, True),
        (BEFORE, Server(exists=True, rolled=False, scale=1), {}, False),
    ],
    ids=["as it was", "made anew", "on its way"],
)
async def test_a_failure_counts_for_the_server_that_was_asked(
    made: datetime, serving: Server, told: dict[str, str], *, again: bool
) -> None:
    hands = Hands()
    proofs = Proofs(hands.cluster, hands.applier, hands.guard, "pawl:1")
    server(hands, BEFORE)
    assert await look(hands, proofs, SERVING) == {}
    (first,) = probes(hands)
    ended(hands, first)
    server(hands, made)
    assert await look(hands, proofs, serving) == told
    assert (probes(hands) != [first]) is again
