"""What every Pod gets that Pawl makes, whatever it is for: one place, so that no role is forgotten.

Neighbours: `controllers.prepulls` makes Jobs. Not here: Pods and Jobs of users, which stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pawl.api.errors import Forbidden, NotFound
from pawl.cluster.client import Cluster
from pawl.cluster.resources import SERVICE_ACCOUNTS

Json = dict[str, Any]


class _Named(msgspec.Struct):
    name: str = ""


class _Account(msgspec.Struct):
    secrets: list[_Named] | None = msgspec.field(name="imagePullSecrets", default=None)


_ACCOUNT = msgspec.json.Decoder(_Account)


def with_pull_secrets(pod_spec: Mapping[str, Any], names: Iterable[str]) -> Json:
    """Return a Pod spec that has these pull Secrets too: behind its own, none twice, and no list for none."""
    own = [str(each["name"]) for each in pod_spec.get("imagePullSecrets") or ()]
    found = list(dict.fromkeys([*own, *names]))
    return {**pod_spec, "imagePullSecrets": [{"name": name} for name in found]} if found else dict(pod_spec)


async def account_secrets(cluster: Cluster, namespace: str, account: str) -> tuple[str, ...]:
    """Return the pull Secrets of a ServiceAccount; none where it may not be read or is not there.

    A Pod with a list of its own is not given those of its account any more. Raises ApiUnavailable.
    """
    try:
        raw = await cluster.get(SERVICE_ACCOUNTS, namespace, account)
    except (NotFound, Forbidden):
        return ()
    return tuple(each.name for each in _ACCOUNT.decode(raw).secrets or () if each.name)
