"""Compiled tables against the text in `api.imagerules`, read once more by the letter and without any cache."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pawl.api.imageoverride_spec import Operator, Requirement, WorkloadKind
from pawl.api.imagerules import Conditions, Entry, Table
from pawl.decide.objects import Group, ImageAt, PodSpec
from pawl.decide.reference import UnparsableReference, parse
from pawl.decide.tables import CompiledTable, Layer, Subject, rewrite_pod

ORDER: tuple[Group, ...] = ("containers", "initContainers", "ephemeralContainers", "volumes")


def ladder(host: str, path: str) -> list[str]:
    """Step 2."""
    parts = [host, *path.split("/")]
    names = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
    labels = [] if host.startswith("[") else re.sub(":[0-9]+$", "", host).split(".")
    return names + ["*." + ".".join(labels[index:]) for index in range(1, len(labels))]


def met(one: Requirement, labels: dict[str, str]) -> bool:
    there, listed = one.key in labels, labels.get(one.key) in one.values
    match one.operator:
        case Operator.IN:
            return there and listed
        case Operator.NOT_IN:
            return not (there and listed)
        case Operator.EXISTS:
            return there
    return not there


def holds(conditions: Conditions, subject: Subject, place: ImageAt) -> bool:
    pattern = conditions.containers
    if pattern is not None and (place.group == "volumes" or not re.fullmatch(pattern, place.name)):
        return False
    if conditions.kinds is not None:
        also_job = subject.kind is WorkloadKind.CRON_JOB and WorkloadKind.JOB in conditions.kinds
        if subject.kind not in conditions.kinds and not also_job:
            return False
    return all(met(one, dict(subject.labels)) for one in conditions.labels or [])


def decide(table: Table, subject: Subject, place: ImageAt) -> tuple[str, Entry] | None:
    """Step 3."""
    reference = parse(place.image)
    for tier in (table.mandatory, table.rules):
        for key in ladder(reference.host, reference.path):
            for entry in tier.get(key, []):
                if holds(entry, subject, place):
                    return key, entry
    return None


def final(table: Table, subject: Subject, place: ImageAt, layer: Layer) -> str:
    """Steps 1, 4, 5 and 7: the image as it is written afterwards."""
    try:
        reference = parse(place.image)
    except UnparsableReference:
        return place.image
    decided = decide(table, subject, place)
    if decided is None:
        return place.image
    key, entry = decided
    behind = "/" + reference.path if key.startswith("*.") else str(reference.repository).removeprefix(key)
    name = entry.to + behind
    if re.fullmatch("docker.io/[^/]+", name):
        name = name.replace("docker.io/", "docker.io/library/")
    tag, digest = (entry.tag, entry.digest) if entry.tag or entry.digest else (reference.tag, reference.digest)
    result = name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    off = not (entry.pods if layer == "pods" else entry.templates)
    exempt = any(uid in table.exempt for uid in subject.owner_uids)
    left = len(name) > 255 or result in table.held or result == str(reference) or exempt or off
    return place.image if left else result


def secrets(table: Table, subject: Subject, images: list[ImageAt], present: list[str]) -> list[str]:
    """Step 6: the whole list of the Pod afterwards."""
    names = list(present)
    for place in sorted(images, key=lambda place: ORDER.index(place.group)):
        try:
            reference = parse(place.image)
        except UnparsableReference:
            continue
        for key in ladder(reference.host, reference.path):
            for given_names in [one.names for one in table.secrets.get(key, []) if holds(one, subject, place)]:
                names += [name for index, name in enumerate(given_names) if name not in names + given_names[:index]]
    return names


KEYS = ["docker.io", "docker.io/library", "docker.io/a", "q.x", "q.x/a", "q.x:5000", "*.x", "*.q.x", "[::1]:5000"]
IMAGES = ["nginx", "a/b:1", "q.x/a/b", "q.x:5000/a", "b.q.x/a:2", "[::1]:5000/a", "no ref", "Q.X/a", "x.x/" + "a" * 248]
DIGEST = "sha256:" + "a" * 64

conditions = st.fixed_dictionaries(
    {},
    optional={
        "containers": st.sampled_from(["app", "^(?:a|b.*)$", ".*"]),
        "kinds": st.lists(st.sampled_from(["Job", "CronJob", "Pod"]), min_size=1, max_size=2, unique=True),
        "labels": st.lists(
            st.fixed_dictionaries(
                {"key": st.just("t"), "operator": st.sampled_from(list(Operator)), "values": st.just(["1"])}
            ),
            min_size=1,
            max_size=1,
        ),
    },
)
flags = st.fixed_dictionaries(
    {"to": st.sampled_from(["q.x", "docker.io", "docker.io/n", "z.x:5000/m"])},
    optional={
        "tag": st.just("v1"),
        "digest": st.just(DIGEST),
        "pods": st.booleans(),
        "templates": st.booleans(),
    },
)
entries = st.builds(lambda one, two: {**one, **two, "override": "o", "rule": 0}, conditions, flags)
given_secrets = st.builds(
    lambda one, names: {**one, "names": names}, conditions, st.lists(st.sampled_from("abc"), min_size=1, max_size=2)
)


def tier(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(KEYS), st.lists(values, min_size=1, max_size=3), max_size=5)


written = st.fixed_dictionaries(
    {"rules": tier(entries)},
    optional={
        "mandatory": tier(entries),
        "secrets": tier(given_secrets),
        "held": st.just({"q.x/library/nginx": "gone", "q.x/library/nginx:v1": "gone"}),
        "exempt": st.just({"u": "o@1"}),
    },
)
subjects = st.builds(
    Subject,
    st.sampled_from([WorkloadKind.JOB, WorkloadKind.CRON_JOB, WorkloadKind.POD]),
    st.sampled_from([{}, {"t": "1"}, {"t": "2"}]),
    st.sampled_from([frozenset[str](), frozenset("u")]),
)
places = st.builds(ImageAt, st.sampled_from(ORDER), st.sampled_from(["app", "b1", "c"]), st.sampled_from(IMAGES))


@settings(max_examples=500, deadline=None)
@given(written, subjects, st.lists(places, max_size=6), st.sampled_from([[], ["a"], ["z", "c"]]))
def test_a_pod_comes_out_as_the_text_says(
    spec: dict[str, Any], subject: Subject, images: list[ImageAt], present: list[str]
) -> None:
    table = Table.model_validate(spec)
    pod = PodSpec(tuple(images), tuple(present))
    for layer in ("pods", "templates"):
        result = rewrite_pod(CompiledTable.of(table), subject, pod, layer=layer)
        expected = [ImageAt(at.group, at.name, final(table, subject, at, layer)) for at in images]
        assert list(result.images) == expected
        wanted = secrets(table, subject, expected, present) if layer == "pods" else present
        assert [*present, *result.added_secrets] == wanted
