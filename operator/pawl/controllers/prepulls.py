"""Prepulls: one Job a node and image, in the Pods' own namespace and with their final Secrets.

The container needs no shell: an image that came and whose program could not be started has been pulled as well. Jobs
carry labels by which they are found again after a crash, and go by themselves an hour after their end.
Neighbours: `decide.prepull` says which, `overrideacts` starts them. Not here: whether to wait for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from pawl.api.errors import Conflict
from pawl.cluster.client import Cluster
from pawl.cluster.podspecs import account_secrets, with_pull_secrets
from pawl.cluster.resources import JOBS
from pawl.cluster.world import World
from pawl.decide.objects import PodRow, WorkloadRow
from pawl.decide.rollout import Pulls, PullState
from pawl.decide.rollout_actions import Prepull

LABEL: Final = "pawl.dev/prepull"
TTL: Final = 3600
"""Seconds for which a finished Job stays: nodes keep an image that was used lately."""
DEADLINE: Final = 1800
"""Seconds after which a pull has failed."""


class Prepulls:
    """Starts pulls and says how far they are."""

    def __init__(self, cluster: Cluster, world: World, pull_secrets: Sequence[str] = ()) -> None:
        self._cluster = cluster
        self._world = world
        self._pull_secrets = tuple(pull_secrets)

    async def start(self, action: Prepull) -> None:
        """Start one pull; one that was started before is no error."""
        added = self._pull_secrets
        if added or action.pull_secrets:
            added = (*await account_secrets(self._cluster, action.namespace, action.account), *added)
        try:
            await self._cluster.create(JOBS, action.namespace, job_of(action, added))
        except Conflict:
            return

    def states(self, namespaces: Iterable[str]) -> Pulls:
        """Return how far the pulls in these namespaces are, by node and image."""
        found: dict[tuple[str, str], PullState] = {}
        for namespace in namespaces:
            for row in self._world.workloads(namespace):
                if is_prepull(row) and row.spec.images:
                    pods = tuple(self._world.pods_of(row.uid))
                    node = dict(row.spec.placement.selector).get("kubernetes.io/hostname", "")
                    found[(node, row.spec.images[0].image)] = state_of(row, pods)
        return Pulls(found)


def is_prepull(row: WorkloadRow) -> bool:
    """Whether a workload is a pull of ours."""
    return row.kind == "Job" and (LABEL, "true") in row.spec.labels


def state_of(row: WorkloadRow, pods: Iterable[PodRow]) -> PullState:
    """Say how far one pull is: an imageID, or an end of its program, means that the image is there."""
    known = tuple(pods)
    states = [state for pod in known for state in pod.states]
    job = row.job
    if (job is not None and job.succeeded) or any(state.image_id or state.started for state in states):
        return PullState.DONE
    if job is not None and job.finished:
        return PullState.FAILED
    return PullState.PULLING if known or job is None or job.active else PullState.PODLESS


def job_of(action: Prepull, added: Sequence[str] = ()) -> dict[str, object]:
    """Return the Job that pulls one image onto one node. It runs as nobody, with nothing, and only to end.

    `added` are pull Secrets besides those that the workload's Pods have.
    """
    container = {
        "name": "pull",
        "image": action.image,
        "command": ["/pawl-prepull-has-no-program"],
        "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"cpu": "100m", "memory": "16Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "serviceAccountName": action.account,
        "nodeSelector": {"kubernetes.io/hostname": action.node},
        "tolerations": [{"operator": "Exists"}],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    labels = {LABEL: "true", "app.kubernetes.io/managed-by": "pawl"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": _name(action), "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": DEADLINE,
            "ttlSecondsAfterFinished": TTL,
            "template": {
                "metadata": {"labels": labels},
                "spec": with_pull_secrets(spec, (*action.pull_secrets, *added)),
            },
        },
    }


def _name(action: Prepull) -> str:
    parts = "\n".join((action.node, action.image, *action.pull_secrets, action.account))
    return f"pawl-prepull-{hashlib.sha256(parts.encode()).hexdigest()[:16]}"
