"""One AdmissionReview: from bytes to bytes, without waiting for anything. The webhook's judgement.

Only the fields that a table asks for are decoded. Neighbours: `admission.webhook` is the network, `decide.tables` says
what becomes of an image, `admission.scope` what is never touched. Not here: where tables come from.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from pawl.admission.grammar import MAX_TEXT
from pawl.admission.scope import MAX_CHARACTERS, MAX_IMAGES, MAX_SEGMENTS, MIRROR
from pawl.decide.objects import IGNORE, SYSTEM_NAMESPACES, Group, ImageAt, Owner, PodSpec
from pawl.decide.tables import CompiledTable, Layer, Rewritten, Subject, kind_of, rewrite_pod, subject_of

Lookup = Callable[[str], CompiledTable | None]
"""The table that holds in a namespace."""

Labels = dict[str, str]


class _Wire(msgspec.Struct, rename="camel", gc=False):
    pass


class _Owner(_Wire):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class _Meta(_Wire):
    name: str = ""
    labels: Labels | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[_Owner] | None = None


class _Container(_Wire):
    name: str = ""
    image: str | None = None


class _Source(_Wire):
    reference: str | None = None


class _Volume(_Wire):
    name: str = ""
    image: _Source | None = None


class _Named(_Wire):
    name: str = ""


class _Spec(_Wire):
    """A Pod spec, and of specs above one only what leads to it."""

    containers: list[_Container] | None = None
    init_containers: list[_Container] | None = None
    ephemeral_containers: list[_Container] | None = None
    volumes: list[_Volume] | None = None
    image_pull_secrets: list[_Named] | None = None
    template: _Object | None = None
    job_template: _Object | None = None


class _Object(_Wire):
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    spec: _Spec = msgspec.field(default_factory=_Spec)


class _Kind(_Wire):
    group: str = ""
    version: str = ""
    kind: str = ""


class _Request(_Wire):
    uid: str
    kind: _Kind
    namespace: str = ""
    sub_resource: str = ""
    object: _Object | None = None
    old_object: _Object | None = None


class _Review(_Wire):
    request: _Request


class _Found(msgspec.Struct):
    """A Pod or a template in what is admitted, with the JSON pointer of its spec."""

    layer: Layer
    pointer: str
    meta: _Meta
    spec: _Spec


class Verdict(msgspec.Struct, frozen=True):
    """The answer, and how many images it changes."""

    body: bytes
    changed: int


Operation = Mapping[str, object]

_DECODER: Final = msgspec.json.Decoder(_Review)
_ENCODER: Final = msgspec.json.Encoder()
_TEMPLATED: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job"})


def review(raw: bytes, lookup: Lookup, own_namespace: str) -> Verdict:
    """Answer one AdmissionReview v1. Raises msgspec.MsgspecError for what is none."""
    request = _DECODER.decode(raw).request
    patch = _patch(request, lookup, own_namespace)
    answer: dict[str, object] = {"uid": request.uid, "allowed": True}
    if patch:
        encoded = base64.b64encode(_ENCODER.encode(patch)).decode()
        answer |= {"patchType": "JSONPatch", "patch": encoded}
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}
    return Verdict(_ENCODER.encode(body), sum(each["op"] == "replace" for each in patch))


def _patch(request: _Request, lookup: Lookup, own_namespace: str) -> list[Operation]:
    if request.object is None or request.namespace in SYSTEM_NAMESPACES or request.namespace == own_namespace:
        return []
    found, table = _find(request, request.object), lookup(request.namespace)
    if found is None or table is None or _untouched(request.object.metadata) or _too_many(found.spec):
        return []
    skipped = _known(request) if request.sub_resource else None
    places = list(_places(found, skipped))
    if _too_much(places):
        return []
    spec = PodSpec(
        images=tuple(place for _, place in places),
        pull_secrets=tuple(each.name for each in found.spec.image_pull_secrets or ()),
        ignored=(found.meta.labels or {}).get(IGNORE) == "true",
    )
    made = rewrite_pod(table, _subject(request, found, request.object.metadata), spec, layer=found.layer)
    changes = _images([pointer for pointer, _ in places], spec, made)
    return [*changes, *(() if request.sub_resource else _secrets(spec, made))]


def _find(request: _Request, admitted: _Object) -> _Found | None:
    """Return the Pod or the template; None for kinds that hold none."""
    kind = request.kind.kind
    if kind == "Pod":
        return _Found("pods", "/spec", admitted.metadata, admitted.spec)
    if kind in _TEMPLATED and admitted.spec.template is not None:
        template = admitted.spec.template
        return _Found("templates", "/spec/template/spec", template.metadata, template.spec)
    below = admitted.spec.job_template if kind == "CronJob" else None
    if below is None or below.spec.template is None:
        return None
    template = below.spec.template
    return _Found("templates", "/spec/jobTemplate/spec/template/spec", template.metadata, template.spec)


def _untouched(meta: _Meta) -> bool:
    return MIRROR in (meta.annotations or {}) or (meta.labels or {}).get(IGNORE) == "true"


def _too_many(spec: _Spec) -> bool:
    groups = (spec.containers, spec.init_containers, spec.ephemeral_containers, spec.volumes)
    return sum(len(group or ()) for group in groups) > MAX_IMAGES


def _too_much(places: list[tuple[str, ImageAt]]) -> bool:
    """Tell whether the policy, whose budget is bounded, would leave this Pod alone."""
    short = [place.image for _, place in places if len(place.image) <= MAX_TEXT]
    segments = sum(text.count("/") + 1 for text in short)
    return sum(map(len, short)) > MAX_CHARACTERS or segments > MAX_SEGMENTS


def _known(request: _Request) -> frozenset[str]:
    """Names of ephemeral containers that are there already; only others may be set."""
    before = request.old_object.spec.ephemeral_containers if request.old_object is not None else None
    return frozenset(each.name for each in before or ())


def _places(found: _Found, known: frozenset[str] | None) -> Iterator[tuple[str, ImageAt]]:
    """Yield images with their JSON pointers: of a Pod that is debugged only the new ephemeral containers."""
    spec, root = found.spec, found.pointer
    if known is not None:
        places = _containers(spec.ephemeral_containers, root, "ephemeralContainers")
        yield from (place for place in places if place[1].name not in known)
        return
    yield from _containers(spec.containers, root, "containers")
    yield from _containers(spec.init_containers, root, "initContainers")
    for index, volume in enumerate(spec.volumes or ()):
        if volume.image is not None and volume.image.reference:
            pointer = f"{root}/volumes/{index}/image/reference"
            yield pointer, ImageAt("volumes", volume.name, volume.image.reference)


def _containers(listed: list[_Container] | None, root: str, group: Group) -> Iterator[tuple[str, ImageAt]]:
    for index, each in enumerate(listed or ()):
        if each.image:
            yield f"{root}/{group}/{index}/image", ImageAt(group, each.name, each.image)


def _subject(request: _Request, found: _Found, meta: _Meta) -> Subject:
    owners = [
        Owner(each.api_version, each.kind, each.name, each.uid, bool(each.controller))
        for each in meta.owner_references or ()
    ]
    labels = found.meta.labels or {}
    if found.layer == "pods":
        return subject_of(owners, labels)
    kind = kind_of(f"{request.kind.group}/{request.kind.version}", request.kind.kind, meta.name)
    return Subject(kind, labels, frozenset(owner.uid for owner in owners))


def _images(pointers: list[str], spec: PodSpec, made: Rewritten) -> Iterator[Operation]:
    for pointer, before, after in zip(pointers, spec.images, made.images, strict=True):
        if before.image != after.image:
            yield {"op": "replace", "path": pointer, "value": after.image}


def _secrets(spec: PodSpec, made: Rewritten) -> Iterator[Operation]:
    added = [{"name": name} for name in made.added_secrets]
    if not added:
        return
    if not spec.pull_secrets:
        yield {"op": "add", "path": "/spec/imagePullSecrets", "value": added}
        return
    for each in added:
        yield {"op": "add", "path": "/spec/imagePullSecrets/-", "value": each}
