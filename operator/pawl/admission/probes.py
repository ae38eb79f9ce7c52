"""A Pod that a table rewrites, made of the table itself: proof that the gate reads the table that is stored.

Neighbours: `admission.install` asks the API server for it, `decide.tables` says what must come back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pawl.admission.scope import Json
from pawl.api.imagerules import Entry, Table
from pawl.decide.places import Manifest, pod_spec
from pawl.decide.sources import WILDCARD
from pawl.decide.tables import CompiledTable, Rewritten, rewrite_pod, subject_of

NAME: Final = "pawl-probe"
MAX_IMAGES: Final = 16
"""Images that a probe carries: entries that hold for a plain Pod, the first of each source."""
MAX_TRIED: Final = 2000


@dataclass(frozen=True, slots=True)
class Probe:
    """A Pod and the images that it must come back with."""

    manifest: Json
    expected: tuple[str, ...]
    secrets: tuple[str, ...]


def probe_pod(table: Table, compiled: CompiledTable) -> Probe | None:
    """Make a Pod of images that the table rewrites; None if it rewrites none that stands alone without labels."""
    images = [image for image in _images(table) if _rewritten(compiled, [image]).changed][:MAX_IMAGES]
    if not images:
        return None
    made = _rewritten(compiled, images)
    return Probe(_manifest(images), tuple(place.image for place in made.images), made.added_secrets)


def said(probe: Probe, answer: Manifest) -> str | None:
    """Compare what came back; None if it is as it must be, else a sentence with the first difference."""
    found = pod_spec(answer)
    sent = pod_spec(probe.manifest).images
    for before, wanted, place in zip(sent, probe.expected, found.images, strict=False):
        if place.image != wanted:
            return f"image {before.image} of a trial Pod became {place.image}, the table says {wanted}"
    missing = [name for name in probe.secrets if name not in found.pull_secrets]
    return f"a trial Pod was not given the pull Secret {missing[0]}" if missing else None


def _images(table: Table) -> Iterator[str]:
    """Yield references that stand under the sources of the table."""
    tried = 0
    for layer in (table.mandatory, table.rules):
        for source, entries in layer.items():
            for image in _below(source) if any(_plain(entry) for entry in entries) else ():
                tried += 1
                if tried > MAX_TRIED:
                    return
                yield image


def _below(source: str) -> tuple[str, ...]:
    if source.startswith(WILDCARD):
        return (f"probe.{source.removeprefix(WILDCARD)}/pawl/probe:1",)
    return (f"{source}:1", f"{source}/pawl/probe:1") if "/" in source else (f"{source}/pawl/probe:1",)


def _plain(entry: Entry) -> bool:
    return entry.containers is None and entry.pods


def _rewritten(compiled: CompiledTable, images: list[str]) -> Rewritten:
    manifest = _manifest(images)
    return rewrite_pod(compiled, subject_of((), {}), pod_spec(manifest), layer="pods")


def _manifest(images: list[str]) -> Json:
    containers = [{"name": f"c{index}", "image": image} for index, image in enumerate(images)]
    # The namespace may bound resources or forbid root; a dry run that is refused would prove nothing.
    limits = {"limits": {"cpu": "1m", "memory": "1Mi"}, "requests": {"cpu": "1m", "memory": "1Mi"}}
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    full = [{**container, "resources": limits, "securityContext": security} for container in containers]
    spec = {"containers": full, "restartPolicy": "Never", "automountServiceAccountToken": False}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": f"{NAME}-"}, "spec": spec}
