"""The first line of `pawl status`: which gate, who answers for it, and what is said to people who may not see it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.cli.test_status_tables_overrides import override
from tests.unit.cluster.memory_api import MemoryApi, status

from pawl.admission.webhookconfig import Endpoint, empty_manifest, webhook_manifest
from pawl.cli.status_gate import gate_line
from pawl.cluster.calls import Answer, Request

GROUP = "/apis/admissionregistration.k8s.io/v1"
SLICE = "/apis/discovery.k8s.io/v1/namespaces/own/endpointslices/s"
DOCUMENTS: dict[str, dict[str, Any]] = {
    "inert": empty_manifest(),
    "service": webhook_manifest("own", Endpoint("pawl-webhook")),
    "url": webhook_manifest("own", Endpoint("https://127.0.0.1:8443")),
}


def place(address: str, *, ready: bool | None) -> dict[str, Any]:
    return {"addresses": [address], "conditions": {} if ready is None else {"ready": ready}}


def server(*, served: bool, policies: bool = False, webhook: str = "", places: Any = ()) -> MemoryApi:
    api = MemoryApi(("own",))
    kinds = [{"name": "mutatingadmissionpolicies", "kind": "MutatingAdmissionPolicy"}] if served else []
    api.put(GROUP, {"resources": kinds})
    for plural in ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings") if policies else ():
        for name in ("pawl-namespace", "pawl-cluster"):
            api.put(f"{GROUP}/{plural}/{name}", {"metadata": {"name": name}})
    if webhook:
        api.put(f"{GROUP}/mutatingwebhookconfigurations/pawl", json.loads(json.dumps(DOCUMENTS[webhook])))
    if places:
        api.put(SLICE, {"metadata": {"name": "s"}, "endpoints": list(places)})
    return api


TWO = (place("10.0.0.1", ready=True), place("10.0.0.2", ready=None), place("10.0.0.3", ready=False))


@pytest.mark.parametrize(
    ("api", "line"),
    [
        (server(served=True, policies=True, webhook="inert"), "MutatingAdmissionPolicy"),
        (
            server(served=True, policies=True, webhook="service"),
            "MutatingAdmissionPolicy (the webhook is asked too, until the policies have stood for a while)",
        ),
        (
            server(served=False, webhook="service", places=TWO),
            "Webhook (2 replicas behind Service own/pawl-webhook)",
        ),
        (
            server(served=False, webhook="service", places=TWO[:1]),
            "Webhook (1 replica behind Service own/pawl-webhook)",
        ),
        (
            server(served=False, webhook="service"),
            "Webhook (no replica answers for Service own/pawl-webhook: Pods start as they are written)",
        ),
        (server(served=False, webhook="url"), "Webhook (https://127.0.0.1:8443/mutate)"),
    ],
    ids=["policy", "both", "two", "one", "dead", "url"],
)
async def test_which_gate(api: MemoryApi, line: str) -> None:
    assert await gate_line(api.cluster(), []) == line


@pytest.mark.parametrize(
    ("api", "says"),
    [
        (server(served=True, webhook="inert"), "`pawl gate` prints it"),
        (server(served=False), "apply `pawl gate --webhook pawl-webhook`"),
        (server(served=False, webhook="inert"), "`pawl run --webhook 0.0.0.0:8443`"),
    ],
    ids=["policies missing", "no configuration", "nobody filled it"],
)
async def test_none_comes_with_the_way_out(api: MemoryApi, says: str) -> None:
    line = await gate_line(api.cluster(), [])
    assert line.startswith("none: ")
    assert says in line


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ("Webhook", "Webhook (as Pawl told its overrides)"),
        ("", "unknown: may not"),
        ("Unknown", "unknown: may not"),
    ],
)
async def test_without_rights_it_is_what_pawl_told_or_unknown(told: str, line: str) -> None:
    async def forbid(request: Request) -> Answer | None:
        said = f'User "jane" cannot get resource "{request.resource.plural}"'
        return status(403, "Forbidden", said) if request.resource.plural.startswith("mutating") else None

    api = server(served=True)
    assert (await gate_line(api.cluster(forbid), [override(gate=told)])).startswith(line)


async def test_endpoints_that_may_not_be_seen_are_left_out() -> None:
    async def forbid(request: Request) -> Answer | None:
        return status(403, "Forbidden", "no") if request.resource.plural == "endpointslices" else None

    api = server(served=False, webhook="service", places=TWO)
    assert await gate_line(api.cluster(forbid), []) == "Webhook (Service own/pawl-webhook)"
