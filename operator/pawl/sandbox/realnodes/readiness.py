"""Whether a real node's kubelet has said since a given moment that it is Ready.

The API server's word alone is not enough: for half a minute after its plug was pulled a Node still counts as Ready.
"""

from __future__ import annotations

from typing import Any

from pawl.sandbox.rest import Api

OK = 200


def heartbeat(api: Api, name: str) -> str:
    """When the kubelet of Node `name` last wrote its status; empty when it never did."""
    return str(_ready(api, name).get("lastHeartbeatTime", ""))


def is_ready(api: Api, name: str, since: str = "") -> bool:
    """Whether Node `name` is Ready and its status is another than at the heartbeat `since`."""
    ready = _ready(api, name)
    return ready.get("status") == "True" and ready.get("lastHeartbeatTime") != since


def _ready(api: Api, name: str) -> dict[str, Any]:
    answer = api.get(f"/api/v1/nodes/{name}")
    conditions = answer.body.get("status", {}).get("conditions", []) if answer.status == OK else []
    return next((each for each in conditions if each["type"] == "Ready"), {})
