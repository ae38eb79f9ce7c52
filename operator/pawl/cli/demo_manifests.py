"""What the demo writes: its policy, the rollback, and the status that a stale writer would write. Pure.

Neighbours: `demo_acts` applies them. Not here: the form of an ImagePolicy (`api`).
"""

from __future__ import annotations

import json
from typing import Any, Final

from pawl.api.imagepolicy import Selection
from pawl.api.meta import API_VERSION

NAMESPACE: Final = "shop"
NAME: Final = "web"
REPOSITORY: Final = "shop/web"
NONCE: Final = "inc-42"


def namespace() -> str:
    """The namespace of the policy."""
    return json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})


def policy(registry: str, rollback: dict[str, Any] | None = None) -> str:
    """The policy on `registry` (`host:port`), as a manifest for kubectl."""
    spec: dict[str, Any] = {
        "image": f"{registry}/{REPOSITORY}",
        "interval": "10s",
        "access": {"plainHTTP": True},
        "select": {"semver": {"range": ">=1.0.0"}},
    }
    if rollback is not None:
        spec["rollback"] = rollback
    metadata = {"name": NAME, "namespace": NAMESPACE}
    return json.dumps({"apiVersion": API_VERSION, "kind": "ImagePolicy", "metadata": metadata, "spec": spec})


def rollback(source: str, target: str, digest: str) -> dict[str, Any]:
    """The way back from one tag to another, bound to a digest and to a nonce."""
    return {
        "nonce": NONCE,
        "from": {"tag": source},
        "to": {"tag": target, "digest": digest},
        "reason": "checkout fails since 14:02",
        "requestedBy": "ann",
    }


def stale_write(old: Selection, sequence: int) -> str:
    """A status patch that goes back to `old` and counts on from `sequence`, as a writer of an older time would."""
    return json.dumps({"status": {"selection": old.wire() | {"sequence": sequence + 1}}})
