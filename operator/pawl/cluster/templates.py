"""What Pawl writes into a workload: the fields that it applies, and the note of what stood there before. Pure.

A write is server-side apply by manager `pawl`, and an apply that leaves out what an earlier one held takes it away. So
every body holds all that Pawl wants to keep: annotations, images, the note (study of server-side apply: a leaf that
only one manager owns goes when that manager lets go).
Neighbours: `writers` sends these bodies, `templates_restore` takes them back. Not here: the API server, decisions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from pawl.cluster.resources import (
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Resource,
)
from pawl.decide.objects import ORIGINAL, RESTART, ROLLOUT, ImageAt, WorkloadRow

Body = dict[str, Any]
Originals = Mapping[str, "Original"]

RESOURCES: Final[Mapping[str, Resource]] = {
    "Deployment": DEPLOYMENTS,
    "StatefulSet": STATEFUL_SETS,
    "DaemonSet": DAEMON_SETS,
    "ReplicaSet": REPLICA_SETS,
    "Job": JOBS,
    "CronJob": CRON_JOBS,
}

_NOTES: Final = (ROLLOUT, RESTART)


class Original(msgspec.Struct, frozen=True):
    """One place that Pawl wrote: what stood there, and what Pawl put there."""

    before: str = msgspec.field(name="from")
    after: str = msgspec.field(name="to")


_ORIGINALS: Final = msgspec.json.Decoder(dict[str, Original])


def template_path(kind: str) -> tuple[str, ...]:
    """Return where the template stands in an object of this kind."""
    return ("spec", "jobTemplate", "spec", "template") if kind == "CronJob" else ("spec", "template")


def place_of(image: ImageAt) -> str:
    """Return the name of a place in the note: `containers/web`."""
    return f"{image.group}/{image.name}"


def read_originals(text: str) -> dict[str, Original]:
    """Read the note. One that somebody damaged counts as empty: then nothing is restored, rather than nonsense."""
    try:
        return _ORIGINALS.decode(text) if text else {}
    except msgspec.MsgspecError:
        return {}


def write_originals(originals: Originals) -> str:
    """Write the note, in one order, or "" for an empty one."""
    return msgspec.json.encode(dict(sorted(originals.items()))).decode() if originals else ""


def noted(text: str, changes: Iterable[tuple[str, str, str]]) -> str:
    """Return the note `text` with (place, old, new) added. What stood there before Pawl's first write stays.

    If somebody else has written since, what they wrote is what stood there before.
    """
    originals = read_originals(text)
    for place, old, new in changes:
        known = originals.get(place)
        originals[place] = Original(known.before if known is not None and known.after == old else old, new)
    return write_originals(originals)


def applied(row: WorkloadRow, images: Sequence[ImageAt] = (), annotations: Mapping[str, str] | None = None) -> Body:
    """Return the whole body to apply to a workload, so that `images` and `annotations` come to what Pawl already holds.

    Images of containers and volumes that the template no longer has are left out, and zombies (`row.owned`) too.
    """
    live = {place_of(each): each for each in row.spec.images if each.name not in row.owned}
    wanted = {place_of(each): each for each in images if place_of(each) in live}
    changes = [(place, live[place].image, each.image) for place, each in wanted.items()]
    note = noted(row.original, [each for each in changes if each[1] != each[2]])
    kept = {place: live[place] for place in read_originals(note) if place in live}
    notes = {ROLLOUT: row.rollout, RESTART: row.restart, **(annotations or {})}
    values = kept | wanted
    # In the order of the template: the API server sorts its list by the order of an apply.
    return _body(row, [values[place] for place in live if place in values], notes, note)


def identity(row: WorkloadRow) -> Body:
    """Return what every write carries: with it, a gone object stays gone and an old view is refused (409)."""
    resource = RESOURCES[row.kind]
    metadata = {"name": row.name, "namespace": row.namespace, "uid": row.uid, "resourceVersion": row.version}
    return {"apiVersion": resource.api_version, "kind": row.kind, "metadata": metadata}


def _body(row: WorkloadRow, images: Iterable[ImageAt], notes: Mapping[str, str], note: str) -> Body:
    body = identity(row)
    if note:
        body["metadata"]["annotations"] = {ORIGINAL: note}
    template: Body = {}
    if kept := {key: value for key, value in notes.items() if value}:
        template["metadata"] = {"annotations": kept}
    if spec := _pod_spec(images):
        template["spec"] = spec
    return body | _nested(template_path(row.kind), template) if template else body


def _pod_spec(images: Iterable[ImageAt]) -> Body:
    spec: Body = {}
    for each in images:
        value = {"reference": each.image} if each.group == "volumes" else each.image
        spec.setdefault(each.group, []).append({"name": each.name, "image": value})
    return spec


def _nested(path: Sequence[str], value: Body) -> Body:
    for step in reversed(path):
        value = {step: value}
    return value
