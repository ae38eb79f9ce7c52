"""What one container of one Pod proves: Verified, Mismatch, Unverifiable or Pending, by content and never by name.

The repository in an imageID is the first of all names that the node has for that content, so it says nothing; the
digest is held against the acceptance set of the wanted image (`decide.digests`), then explained by the wanted
repository, and where that never had it by the one that the imageID names: a node that has one config under two names
shows the digest of the other name.
Neighbours: `decide.assess` asks for every decided place. Not here: what is wanted.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pawl.api.imageoverride import Verdict
from pawl.api.reasons import Reason
from pawl.decide.digests import (
    Answer,
    Ask,
    Contents,
    Explained,
    accepted,
    configs,
    content_of,
    digest_of,
    explanation_of,
    repository_of,
)
from pawl.decide.objects import ContainerState, Group, NodeRow, PodRow
from pawl.decide.reference import Reference, UnparsableReference, parse

PULL_WORDS: Final = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
    | {"ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"}
)
"""Words of the kubelet for an image that does not come."""

STUCK_WORDS: Final = PULL_WORDS | {
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
}
"""Words of the kubelet for a container that waits in vain."""


class Proof(msgspec.Struct, frozen=True, gc=False):
    """What one container proves, and the digest that the registry is to explain before more can be said."""

    verdict: Verdict
    reason: Reason
    message: str = ""
    ask: Ask | None = None


class Place(msgspec.Struct, frozen=True, gc=False):
    """One decided image of a Pod: where it stands, and the wanted reference."""

    group: Group
    name: str
    wanted: str


class Evidence(msgspec.Struct, frozen=True):
    """What verdicts are made from: what references mean, what digests were explained to be."""

    contents: Contents = {}
    explained: Explained = {}


VERIFIED: Final = Proof(Verdict.VERIFIED, Reason.VERIFIED)
VOLUME: Final = Proof(Verdict.UNVERIFIABLE, Reason.UNVERIFIABLE, "nodes do not show the digest of an image volume")
PENDING: Final = Proof(Verdict.PENDING, Reason.NOT_STARTED, "the container has not started")


def prove(place: Place, pod: PodRow, node: NodeRow | None, evidence: Evidence) -> Proof:
    """Judge one container whose image in the Pod's spec is the wanted one."""
    if place.group == "volumes":
        return VOLUME
    state = _state(pod, place.name)
    if state is None or not state.image_id:
        return _not_started(state, pod, node)
    return _by_content(place, pod, "" if node is None else node.platform, (state.image_id, evidence))


def _state(pod: PodRow, name: str) -> ContainerState | None:
    return next((state for state in pod.states if state.name == name), None)


def _not_started(state: ContainerState | None, pod: PodRow, node: NodeRow | None) -> Proof:
    if state is not None and state.waiting in STUCK_WORDS:
        text = f"the container waits in {state.waiting}; `kubectl describe pod {pod.name}` shows the kubelet's error"
        return Proof(Verdict.STUCK, Reason.POD_STUCK, text)
    if node is not None and not node.ready:
        text = f"node {node.name} is not ready; what runs there cannot be proved until it is back"
        return Proof(Verdict.UNVERIFIABLE, Reason.NODE_NOT_READY, text)
    return PENDING


def _by_content(place: Place, pod: PodRow, platform: str, seen: tuple[str, Evidence]) -> Proof:
    image_id, evidence = seen
    digest = digest_of(image_id)
    content = content_of(evidence.contents, pod.namespace, place.wanted)
    reference = _parse(place.wanted)
    if content is None:
        same = reference is not None and reference.digest == digest
        return VERIFIED if same else _unknown(f"{place.wanted} was not seen in its registry, so nothing proves it")
    if digest in accepted(content, platform):
        return VERIFIED
    if reference is None or not digest:
        return _unknown("the node shows no digest for the image")
    wanted = configs(content.configs, platform)
    for repository in dict.fromkeys((str(reference.repository), repository_of(image_id))):
        ask = Ask(repository, digest, pod.namespace, pod.spec.pull_secrets, pod.spec.account)
        proof = _explained(ask, wanted, platform, evidence.explained) if repository else None
        if proof is not None:
            return proof
    return _other_content(digest)


def _explained(ask: Ask, wanted: frozenset[str], platform: str, explained: Explained) -> Proof | None:
    """Compare configs: another index or manifest of the same config is the same content. None: not in there."""
    found = explanation_of(explained, ask)
    if found is None or found.answer is Answer.UNREACHABLE:
        why = "is not explained yet" if found is None else f"cannot be explained: {ask.repository} does not answer"
        return _unknown(f"{ask.digest} {why}", ask)
    if found.answer is Answer.MISSING:
        return None
    if wanted & configs(found.configs, platform):
        return VERIFIED
    return _other_content(ask.digest) if wanted else _unknown("the config of the wanted image is not known")


def _other_content(digest: str) -> Proof:
    text = f"the node runs {digest}, which is not the content of the wanted image; pin a digest, or roll it again"
    return Proof(Verdict.MISMATCH, Reason.MISMATCH, text)


def _unknown(message: str, ask: Ask | None = None) -> Proof:
    return Proof(Verdict.UNVERIFIABLE, Reason.DIGEST_UNKNOWN, message, ask)


def _parse(text: str) -> Reference | None:
    try:
        return parse(text)
    except UnparsableReference:
        return None
