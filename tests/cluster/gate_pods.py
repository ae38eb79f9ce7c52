"""Random Pods and tables for the gate, from a seed: what real manifests hold, and what only an enemy writes."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.cluster.gate_corpus import (
    DIGESTS,
    HOSTILE,
    HOSTS,
    KINDS,
    LABELS,
    NAMES,
    OWNERS,
    PATHS,
    PATTERNS,
    SOURCES,
    TAGS,
    TARGETS,
    UIDS,
)

from pawl.api.imagerules import ClusterTable, Table
from pawl.decide.places import owners, pod_spec
from pawl.decide.rulebook_pages import hosts_of, names_in
from pawl.decide.tables import CompiledTable, rewrite_pod, subject_of

Json = dict[str, Any]


def image(random: Random) -> str:
    """A reference: mostly of valid pieces, sometimes hostile, sometimes with a changed character."""
    if random.random() < 0.1:
        return random.choice(HOSTILE)
    host = random.choice(HOSTS) + "/" if random.random() < 0.75 else ""
    text = host + random.choice(PATHS) + random.choice(TAGS) + random.choice(DIGESTS)
    if random.random() < 0.08:
        at = random.randrange(len(text))
        text = text[:at] + random.choice("/:@._-[]A0 ") + text[at + 1 :]
    return text.strip() or "x"


def pod(random: Random, number: int) -> Json:
    """A Pod that the API server takes: whatever its images are, the rest is valid."""
    spec: Json = {"containers": _containers(random, random.choice((1, 1, 2, 3)))}
    if random.random() < 0.3:
        spec["initContainers"] = _inits(random)
    if random.random() < 0.2:
        spec["volumes"] = [_volume(random, index) for index in range(random.choice((1, 2)))]
    if random.random() < 0.3:
        spec["imagePullSecrets"] = [
            {"name": name} for name in random.sample(("own", "s1", "s3"), random.choice((1, 2)))
        ]
    metadata: Json = {"name": f"p-{number}", "labels": _labels(random)}
    if random.random() < 0.8:
        metadata["ownerReferences"] = _owners(random)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _containers(random: Random, count: int) -> list[Json]:
    return [{"name": name, "image": image(random)} for name in random.sample(NAMES[:2] + NAMES[3:], count)]


def _inits(random: Random) -> list[Json]:
    sidecar = {"restartPolicy": "Always"} if random.random() < 0.5 else {}
    return [{"name": "init-1", "image": image(random), **sidecar}]


def _volume(random: Random, index: int) -> Json:
    if random.random() < 0.4:
        return {"name": f"v{index}", "emptyDir": {}}
    return {"name": f"v{index}", "image": {"reference": image(random), "pullPolicy": "IfNotPresent"}}


def _labels(random: Random) -> Json:
    return {key: random.choice(values) for key, values in LABELS.items() if random.random() < 0.5}


def _owners(random: Random) -> list[Json]:
    chosen = random.sample(OWNERS, random.choice((1, 1, 1, 2)))
    first = random.random() < 0.9
    return [
        {
            "apiVersion": version,
            "kind": kind,
            "name": name,
            "uid": random.choice(UIDS),
            **(
                {"controller": True} if first and index == 0 else {"controller": False} if random.random() < 0.5 else {}
            ),
        }
        for index, (version, kind, name) in enumerate(chosen)
    ]


def table(random: Random) -> Table:
    """A table of a few rules in each layer."""
    hub = random.random() < 0.2  # a table that maps to Docker Hub has no rule for it
    found: Json = {
        "rules": _entries(random, random.choice((0, 2, 3, 4, 5)), hub=hub),
        "mandatory": _entries(random, random.choice((0, 0, 1, 2)), hub=hub),
        "secrets": _secrets(random),
    }
    if random.random() < 0.4:
        found["exempt"] = {random.choice(UIDS): "o@1"}
    plain = Table.model_validate(found)
    if random.random() < 0.5:
        found["held"] = _held(random, plain)
    if random.random() < 0.7:  # a table of the operator's has them always
        found["hosts"] = hosts_of((*plain.mandatory, *plain.rules))
        found["gives"] = names_in(plain.secrets)
    return Table.model_validate(found)


def _entries(random: Random, count: int, *, hub: bool) -> Json:
    sources = [source for source in SOURCES if not hub or (not source.endswith("io") and "docker.io" not in source)]
    usual = () if hub else ("docker.io", "quay.io", "localhost", "docker.io/rook")
    chosen = [*random.sample(sources, count), *(random.sample(usual, 2) if usual and count else ())]
    return {
        source: [_entry(random, index, source, hub=hub) for index in range(random.choice((1, 1, 2, 3)))]
        for source in chosen
    }


def _entry(random: Random, index: int, source: str, *, hub: bool) -> Json:
    found: Json = {"override": "o", "rule": index, **_conditions(random)}
    if random.random() < 0.15 and not source.startswith("*"):
        return {**found, "to": source}  # an exception
    to = random.choice(("docker.io", "docker.io/library", "docker.io/x") if hub else TARGETS)
    found["to"] = to if "/" in to or "/" not in source else f"{to}/at"  # a host alone is no repository
    if random.random() < 0.25:
        found["tag"] = "v9"
    if random.random() < 0.25:
        found["digest"] = "sha256:" + "f" * 64
    if random.random() < 0.1:
        found["pods"] = False
    if random.random() < 0.5:
        found["templates"] = True
    return found


def _conditions(random: Random) -> Json:
    found: Json = {}
    if random.random() < 0.4:
        return found
    if random.random() < 0.3:
        found["containers"] = random.choice(PATTERNS)
    if random.random() < 0.3:
        found["kinds"] = random.sample(KINDS, random.choice((1, 2, 3)))
    if random.random() < 0.3:
        found["labels"] = [_requirement(random) for _ in range(random.choice((1, 2)))]
    return found


def _requirement(random: Random) -> Json:
    key = random.choice(tuple(LABELS))
    operator = random.choice(("In", "NotIn", "Exists", "DoesNotExist"))
    values = random.sample(LABELS[key], random.randint(1, len(LABELS[key])))
    return {"key": key, "operator": operator, "values": values if operator in ("In", "NotIn") else []}


def _secrets(random: Random) -> Json:
    keys = random.sample((*SOURCES, *TARGETS, "*.zone"), random.choice((0, 0, 1, 3)))
    names = ("s1", "s2", "s3", "s4")
    return {
        key: [
            {"names": random.sample(names, random.choice((1, 2))), **_conditions(random)}
            for _ in range(random.choice((1, 2)))
        ]
        for key in keys
    }


def _held(random: Random, plain: Table) -> dict[str, str]:
    """Results that really come up: of some images, what the table makes of them without anything held."""
    made = CompiledTable.of(plain)
    results = (expected(made, pod(random, 0)) for _ in range(20))
    return {text: "missing" for result in results for text in result[0][:1] if len(text) <= 512}


def expected(compiled: CompiledTable, manifest: Json) -> tuple[list[str], list[str]]:
    """What the pure function makes of a Pod: images in the order of the groups, and names of pull Secrets."""
    spec = pod_spec(manifest)
    subject = subject_of(owners(manifest), manifest["metadata"].get("labels", {}))
    made = rewrite_pod(compiled, subject, spec, layer="pods")
    return [place.image for place in made.images], [*spec.pull_secrets, *made.added_secrets]


def found(manifest: Json) -> tuple[list[str], list[str]]:
    """What a Pod says itself, in the same form."""
    spec = pod_spec(manifest)
    return [place.image for place in spec.images], list(spec.pull_secrets)


def cluster_table(plain: Table, own: dict[str, bool]) -> ClusterTable:
    return ClusterTable.model_validate({**plain.wire(), "own": own})
