"""What runs: the images of a namespace's Pods, read only where a policy starts without memory.

The live floor of ratchet.md §4: a policy that lost status and ledger starts no lower than what its Pods run. Pods count
by image repository. Neighbours: `gather` asks. Not here: watching Pods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from pawl.api.errors import ClusterError
from pawl.cluster.client import Cluster
from pawl.cluster.resources import PODS
from pawl.controllers.answers import Answers
from pawl.controllers.outcomes import from_cluster
from pawl.decide.facts import LiveImage
from pawl.decide.reference import Repository, UnparsableReference, parse

Images = Mapping[Repository, tuple[LiveImage, ...]]


class _Container(msgspec.Struct):
    name: str
    image: str = ""


class _Spec(msgspec.Struct):
    containers: list[_Container] = []
    initContainers: list[_Container] = []  # noqa: N815 - the name in the API


class _ContainerStatus(msgspec.Struct):
    name: str
    imageID: str = ""  # noqa: N815


class _Status(msgspec.Struct):
    containerStatuses: list[_ContainerStatus] = []  # noqa: N815
    initContainerStatuses: list[_ContainerStatus] = []  # noqa: N815


class _Pod(msgspec.Struct):
    spec: _Spec
    status: _Status = msgspec.field(default_factory=_Status)


class _Pods(msgspec.Struct):
    items: list[_Pod] | None


_PODS: Final = msgspec.json.Decoder(_Pods)


class LiveImages:
    """Reads the Pods of a namespace once for all policies that start there at the same time."""

    def __init__(self, cluster: Cluster, answers: Answers[Images]) -> None:
        self._cluster = cluster
        self._answers = answers

    async def read(self, namespace: str, repository: Repository, not_before: float) -> Sequence[LiveImage]:
        """Return the tagged images of a repository that Pods run. Raises Stalled or Retry."""
        try:
            found = await self._answers.get(namespace, not_before, lambda: self._list(namespace))
        except ClusterError as error:
            raise from_cluster(error, f"Pods of namespace {namespace}") from error
        return found.get(repository, ())

    async def _list(self, namespace: str) -> Images:
        images: dict[Repository, dict[LiveImage, None]] = {}
        async for page in self._cluster.list_pages(PODS, namespace):
            for pod in _PODS.decode(page).items or ():
                for repository, image in running(pod):
                    images.setdefault(repository, {})[image] = None
        return {repository: tuple(found) for repository, found in images.items()}


def running(pod: _Pod) -> list[tuple[Repository, LiveImage]]:
    """Return the tagged images of a Pod, with the digest that its reference or its node names."""
    ids = {s.name: s.imageID for s in (*pod.status.containerStatuses, *pod.status.initContainerStatuses)}
    found = []
    for container in (*pod.spec.containers, *pod.spec.initContainers):
        try:
            reference = parse(container.image)
        except UnparsableReference:
            continue
        if reference.tag is not None:
            digest = reference.digest or _digest(ids.get(container.name, ""))
            found.append((reference.repository, LiveImage(reference.tag, digest)))
    return found


def _digest(image_id: str) -> str | None:
    """Take the digest out of `repository@sha256:...`; anything else names no manifest."""
    digest = image_id.rpartition("@")[2]
    return digest if "@" in image_id and digest.startswith("sha256:") else None
