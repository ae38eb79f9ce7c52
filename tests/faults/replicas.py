"""Replicas of one operator that are killed and started again, and what their logs and the Lease say of who wrote when.

Neighbours: `recorder` keeps what was stored. Not here: a single operator (`tests.cluster.operators`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.cluster.operators import Operator
from tests.faults.recorder import Recorder

Json = dict[str, Any]


@dataclass
class Crew:
    """The replicas: `alive` now, and all that ever ran, for their logs."""

    kubeconfig: Path
    directory: Path
    namespace: str
    arguments: tuple[str, ...] = ()
    alive: list[Operator] = field(default_factory=list)
    all: list[Operator] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def start(self) -> Operator:
        log = self.directory / f"replica-{next(self._numbers)}.log"
        made = Operator(self.kubeconfig, log, self.namespace, *self.arguments)
        self.alive.append(made)
        self.all.append(made)
        return made

    def leader(self, recorder: Recorder) -> Operator | None:
        """The living replica that holds the Lease, as the API server stored it last."""
        spec = lease_of(recorder, self.namespace)
        found = (each for each in self.alive if each.lines("listening") and each.identity == spec.get("holderIdentity"))
        return next(found, None)

    def bury(self) -> list[Operator]:
        """Take those out that ended by themselves."""
        dead = [each for each in self.alive if each.process.poll() is not None]
        self.alive = [each for each in self.alive if each not in dead]
        return dead

    def writes(self) -> list[Json]:
        """Every `status written` of every replica by its time, with the identity of the writer."""
        found = []
        for each in self.all:
            lines = each.lines("listening")
            identity = lines[0]["identity"] if lines else ""
            found += [{**line, "identity": identity} for line in each.lines("status written")]
        return sorted(found, key=lambda line: line["timestamp"])

    def close(self) -> None:
        for each in self.all:
            each.close()


@contextmanager
def crew_of(kubeconfig: Path, directory: Path, namespace: str, *arguments: str) -> Iterator[Crew]:
    crew = Crew(kubeconfig, directory, namespace, arguments)
    try:
        yield crew
    finally:
        crew.close()


def lease_of(recorder: Recorder, namespace: str) -> Json:
    """The Lease's spec as it was stored last."""
    versions = recorder.of(namespace, "pawl")
    spec: Json = versions[-1].body["spec"] if versions else {}
    return spec


def holders(recorder: Recorder, namespace: str) -> dict[int, set[str]]:
    """Who held the Lease in each term."""
    found: dict[int, set[str]] = {}
    for one in recorder.of(namespace, "pawl"):
        spec = one.body["spec"]
        if spec.get("holderIdentity"):
            found.setdefault(int(spec["leaseTransitions"]), set()).add(spec["holderIdentity"])
    return found


def two_writers(crew: Crew, recorder: Recorder) -> list[str]:
    """Every write that lies outside its writer's term: by somebody who did not hold it, or after a later term began."""
    terms, writes = holders(recorder, crew.namespace), crew.writes()
    faults = [f"term {term} was held by {held_by}" for term, held_by in terms.items() if len(held_by) != 1]
    faults += [
        f"{write['identity']} wrote in term {write['term']}, held by {terms.get(write['term'])}"
        for write in writes
        if terms.get(write["term"]) != {write["identity"]}
    ]
    return faults + [
        f"term {after['term']} wrote after term {before['term']}: {after}"
        for before, after in pairwise(writes)
        if after["term"] < before["term"]
    ]
