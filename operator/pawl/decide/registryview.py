"""What a Deployment and its Pods say of a registry's server, as facts. Pure: objects in their JSON form come in.

Neighbours: `decide.registryworkview` reads Jobs and claims, `controllers.registryfacts` lists. Not here: judgement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pawl.decide.registrynames import CONFIG, READ_ONLY, STORE
from pawl.decide.storagefacts import Server, ServerPod

Json = Mapping[str, Any]

SHOWN: Final = 300
"""Characters of a message of somebody else that are passed on."""
_QUIET: Final = frozenset({"ContainerCreating", "PodInitializing"})


def server_of(deployment: Json | None, pods: Sequence[Json], answers: Mapping[str, bool | None]) -> Server:
    """Return the server. `answers` says by name of a Pod whether it took a push, for those that were asked."""
    living = [pod for pod in pods if not finished(pod)]
    seen = tuple(_pod(pod, answers) for pod in sorted(living, key=_name))
    if deployment is None:
        return Server(pods=seen)
    template = deployment["spec"]["template"].get("metadata") or {}
    return Server(
        exists=True,
        rolled=_rolled(deployment) and not any(pod.ending for pod in seen) and len(seen) == _replicas(deployment),
        scale=_replicas(deployment),
        config=str((template.get("annotations") or {}).get(CONFIG, "")),
        pods=seen,
        trouble=_trouble(deployment, living),
        store=str((template.get("annotations") or {}).get(STORE, "")),
    )


def askable(pods: Iterable[Json]) -> list[Json]:
    """Return the Pods that must have refused a push before the server counts as frozen."""
    return [pod for pod in pods if _notes(pod).get(READ_ONLY) == "true" and ready(pod) and address(pod)]


def address(pod: Json) -> str:
    """Return the address of a Pod, empty where it has none yet."""
    return str((pod.get("status") or {}).get("podIP") or "")


def node(pod: Json) -> str:
    """Return the node of a Pod, empty where it has none yet."""
    return str((pod.get("spec") or {}).get("nodeName") or "")


def store_of(pod: Json) -> str:
    """Return the id of the store that a Pod was started with."""
    return str(_notes(pod).get(STORE, ""))


def nodes_of(pods: Iterable[Json]) -> frozenset[str]:
    """Return the nodes on which these Pods are, those that are ending included: their volumes are still there."""
    return frozenset(node(pod) for pod in pods if node(pod) and not finished(pod))


def ready(pod: Json) -> bool:
    """Whether a Pod is ready and stays."""
    return _condition(pod, "Ready").get("status") == "True" and not ending(pod)


def ending(pod: Json) -> bool:
    """Whether an object is being deleted."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def finished(pod: Json) -> bool:
    """Whether nothing of a Pod runs any more, or ever will."""
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def pod_trouble(pod: Json) -> str:
    """Say why a Pod does not come up, in the words of the scheduler or the kubelet; empty where it may yet."""
    name, status = _name(pod), pod.get("status") or {}
    placed = _condition(pod, "PodScheduled")
    if placed.get("status") == "False":
        return f"Pod {name} has no node: {cut(placed.get('message') or placed.get('reason') or 'not scheduled')}"
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (each.get("state") or {}).get("waiting") or {}
        if waiting and waiting.get("reason", "ContainerCreating") not in _QUIET:
            return f"Pod {name}, container {each['name']}: {waiting['reason']}: {_why(each, waiting)}"
    if status.get("phase") == "Failed" and status.get("message"):
        return f"Pod {name} failed: {cut(status['message'])}"
    return ""


def cut(text: str) -> str:
    """Return a foreign text on one line and within bounds."""
    flat = " ".join(str(text).split())
    return flat if len(flat) <= SHOWN else f"{flat[: SHOWN - 3]}..."


def _why(container: Json, waiting: Json) -> str:
    ended = (container.get("lastState") or {}).get("terminated") or {}
    if ended:
        return cut(ended.get("message") or f"it ended with code {ended.get('exitCode')}; see `kubectl logs --previous`")
    return cut(waiting.get("message") or "no more is known")


def _pod(pod: Json, answers: Mapping[str, bool | None]) -> ServerPod:
    notes = _notes(pod)
    return ServerPod(
        name=_name(pod),
        address=address(pod),
        node=node(pod),
        ready=ready(pod),
        ending=ending(pod),
        store=store_of(pod),
        read_only=notes.get(READ_ONLY) == "true",
        config=str(notes.get(CONFIG, "")),
        takes_pushes=answers.get(_name(pod)),
    )


def _rolled(deployment: Json) -> bool:
    status, wanted = deployment.get("status") or {}, _replicas(deployment)
    counts = {int(status.get(field) or 0) for field in ("replicas", "updatedReplicas", "availableReplicas")}
    return int(status.get("observedGeneration") or 0) >= int(deployment["metadata"].get("generation") or 0) and (
        counts == {wanted}
    )


def _replicas(deployment: Json) -> int:
    found = deployment["spec"].get("replicas")
    return 1 if found is None else int(found)


def _trouble(deployment: Json, pods: Sequence[Json]) -> str:
    found = next((text for pod in pods if (text := pod_trouble(pod))), "")
    failure = _condition(deployment, "ReplicaFailure")
    if not found and failure.get("status") == "True":
        return f"Pods of Deployment {_name(deployment)} are refused: {cut(failure.get('message', ''))}"
    return found


def _condition(found: Json, kind: str) -> Json:
    conditions = (found.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one.get("type") == kind), {})


def _notes(pod: Json) -> Json:
    return pod["metadata"].get("annotations") or {}


def _name(found: Json) -> str:
    return str(found["metadata"]["name"])
