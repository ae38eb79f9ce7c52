"""What holds now: the tables in force, what they were made of, and what was seen of their targets.

One object for a term. `imagerules` writes it, the controller of each override reads it. Not here: judgement, writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pawl.cluster.ruletables import CLUSTER, StoredTable
from pawl.decide.digests import Content
from pawl.decide.rulebook import Judged, Rulebook
from pawl.decide.tables import CompiledTable
from pawl.decide.targets import Needed, Refusal


@dataclass(frozen=True, slots=True)
class Standing:
    """One state of things; it is replaced as a whole. `stamp` grows with every new one.

    `compiled` and `stored` are the tables by namespace, `CLUSTER` for the rest. `failed`: namespaces whose table could
    not be written, with a sentence. `drafted` are the tables as they would be with the `pending` overrides, whose plans
    wait for approval. `refused`: targets that are held back, `copies`: what failed by override. `wishes`: the requests
    for a run, by override, for which copies and targets were looked at anew.
    """

    stamp: int
    rulebook: Rulebook
    compiled: Mapping[str, CompiledTable] = field(default_factory=dict)
    drafted: Mapping[str, CompiledTable] = field(default_factory=dict)
    pending: frozenset[str] = frozenset()
    stored: Mapping[str, StoredTable] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    contents: Mapping[tuple[str, str], Content] = field(default_factory=dict)
    needed: frozenset[Needed] = frozenset()
    refused: Mapping[Needed, Refusal] = field(default_factory=dict)
    copies: Mapping[str, tuple[Refusal, ...]] = field(default_factory=dict)
    generations: Mapping[str, int] = field(default_factory=dict)
    wishes: Mapping[str, str | None] = field(default_factory=dict)

    def table(self, namespace: str) -> CompiledTable | None:
        """Return the table that holds in a namespace."""
        if namespace in self.rulebook.left_alone:
            return None
        return self.compiled.get(namespace) or self.compiled.get(CLUSTER)

    def table_for(self, label: str, namespace: str) -> CompiledTable | None:
        """Return the table by which an override is judged: for one whose plan waits, the one that would hold."""
        if label not in self.pending or namespace in self.rulebook.left_alone:
            return self.table(namespace)
        return self.drafted_table(namespace)

    def drafted_table(self, namespace: str) -> CompiledTable | None:
        """Return the table that would hold in a namespace with every override."""
        return self.drafted.get(namespace) or self.drafted.get(CLUSTER)

    def stored_table(self, namespace: str) -> StoredTable | None:
        """Return the stored table that holds in a namespace."""
        return self.stored.get(namespace) or self.stored.get(CLUSTER)

    def judged(self, label: str) -> Judged | None:
        """Return what compilation said of an override."""
        return self.rulebook.judged.get(label)

    def knows(self, label: str, generation: int, wish: str | None = None) -> bool:
        """Whether this was made of that generation of an override, and for its last request for a run."""
        return self.generations.get(label) == generation and self.wishes.get(label) == wish


class Board:
    """Holds the present Standing; None until the first one."""

    def __init__(self) -> None:
        self.standing: Standing | None = None
