"""Selections of ImagePolicies as rules use them: never older than what the tables hold already.

A policy that is gone, that has lost its status, or whose status came from a backup would move images back; the stored
table remembers what it was made of, and the greater of both counts (the join of docs/design/ratchet.md §4).
Neighbours: `store` keeps the policies, `decide.rulebook` uses what is found here. Not here: which rule names which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pawl.api.errors import Stalled
from pawl.api.imageoverride import Override
from pawl.api.imagepolicy import ImagePolicy, Selection
from pawl.api.imagerules import Entry, PolicyMark, Table
from pawl.controllers.queue import Key
from pawl.controllers.store import PolicyStore, read_policy
from pawl.decide.rulebook import Policies, Policy


@dataclass(frozen=True, slots=True)
class _Remembered:
    """The parts of a selection that rules use."""

    epoch: int
    sequence: int
    tag: str
    digest: str


@dataclass(frozen=True, slots=True)
class _Known:
    """A policy as a table remembers it."""

    mark: PolicyMark
    selection: _Remembered

    @property
    def name(self) -> tuple[str, str]:
        return self.mark.namespace, self.mark.name

    @property
    def place(self) -> tuple[int, int]:
        return self.mark.epoch, self.mark.sequence


def referenced(override: Override) -> frozenset[tuple[str, str]]:
    """Return namespace and name of the policies that an override names."""
    refs = (rule.target.policy_ref for rule in override.spec.rules)
    own = override.metadata.namespace
    return frozenset((ref.namespace or own, ref.name) for ref in refs if ref is not None)


def policies_for(overrides: Iterable[Override], store: PolicyStore, tables: Iterable[Table]) -> Policies:
    """Return every policy that an override names, with the greater of its selection and that of the tables."""
    names = frozenset(name for override in overrides for name in referenced(override))
    marks = _marks(tables) if names else {}
    found = {name: _policy(_read(store, name), marks.get(name)) for name in names}
    return {name: policy for name, policy in found.items() if policy is not None}


def _read(store: PolicyStore, name: tuple[str, str]) -> ImagePolicy | None:
    row = store.row(Key("ImagePolicy", *name))
    try:
        return read_policy(row.raw) if row is not None else None
    except Stalled:
        return None


def _policy(policy: ImagePolicy | None, known: _Known | None) -> Policy | None:
    if known is not None and _older(policy, known.mark):
        return Policy(known.mark.image, known.selection, known.mark.uid)
    return None if policy is None else Policy(_image(policy), policy.status.selection, policy.metadata.uid)


def _image(policy: ImagePolicy) -> str:
    """Return the image that was selected: an edited `spec.image` means nothing before a selection was made of it."""
    selection = policy.status.selection
    if selection is None:
        return policy.spec.image
    return selection.reference.partition("@")[0].removesuffix(f":{selection.tag}") or policy.spec.image


def _older(policy: ImagePolicy | None, mark: PolicyMark) -> bool:
    """Whether the table knows a greater selection. A policy made anew that began anew was forgotten on purpose."""
    selection = policy.status.selection if policy is not None else None
    if policy is None or selection is None:
        return True
    anew = policy.metadata.uid != mark.uid and selection.sequence < mark.sequence
    if anew and not _restored(selection, policy.metadata.creation_timestamp):
        return False
    return (selection.epoch, selection.sequence) < (mark.epoch, mark.sequence)


def _restored(selection: Selection, created: str) -> bool:
    """Whether a selection is older than the object that holds it: a backup brought it, nobody chose it anew."""
    return bool(created) and selection.selected_at < datetime.fromisoformat(created)


def _marks(tables: Iterable[Table]) -> Mapping[tuple[str, str], _Known]:
    found: dict[tuple[str, str], _Known] = {}
    for table in tables:
        for entries in (*table.mandatory.values(), *table.rules.values()):
            for fresh in (_known(entry) for entry in entries):
                known = found.get(fresh.name) if fresh is not None else None
                if fresh is not None and (known is None or known.place < fresh.place):
                    found[fresh.name] = fresh
    return found


def _known(entry: Entry) -> _Known | None:
    """Read what an entry was made of."""
    mark = entry.policy
    if mark is None or entry.tag is None:
        return None
    return _Known(mark, _Remembered(mark.epoch, mark.sequence, entry.tag, entry.digest or ""))
