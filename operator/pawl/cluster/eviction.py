"""Eviction of one Pod, so that disruption budgets are kept.

Neighbours: `writers` rolls templates. Not here: which Pod.
"""

from __future__ import annotations

from typing import Final

from pawl.api.errors import ApiUnavailable
from pawl.cluster.client import Cluster
from pawl.cluster.resources import PODS
from pawl.decide.objects import PodRow

TOO_MANY: Final = 429


async def evict(cluster: Cluster, pod: PodRow) -> None:
    """Evict a Pod of this uid (policy/v1 Eviction). Returns before the Pod is gone.

    Raises ApiUnavailable with status 429 and the budget's words where a PodDisruptionBudget says no: try again later.
    Raises NotFound where the Pod is gone, Conflict where another one has its name.
    """
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": pod.namespace},
        "deleteOptions": {"preconditions": {"uid": pod.uid}},
    }
    try:
        await cluster.create(PODS, pod.namespace, body, "eviction")
    except ApiUnavailable as error:
        if error.status != TOO_MANY:
            raise
        message = f"Pod {pod.namespace}/{pod.name} may not be evicted now: {error}"
        raise ApiUnavailable(message, status=TOO_MANY, retry_after=error.retry_after) from None
