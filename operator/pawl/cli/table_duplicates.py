"""Duplicates as people and scripts read them: the names of one content, who runs them where, and the override. Pure.

Neighbours: `decide.duplicates` finds them, `duplicates` prints. Not here: the cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import yaml
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pawl.cli.status_print import head, rows, section
from pawl.cli.table_policies import short
from pawl.decide.duplicates import Duplicate, Proposal, proposal

SHOWN: Final = 3
"""Workloads and nodes that a cell names; documents have all."""


def duplicates_view(found: Sequence[Duplicate], excluded: frozenset[str]) -> RenderableType:
    """Return the view of all duplicates."""
    return Group(*(part for at, one in enumerate(found) for part in _parts(one, excluded, first=at == 0)))


def duplicate_document(one: Duplicate, excluded: frozenset[str]) -> dict[str, Any]:
    """Return what scripts read of one duplicate."""
    found = proposal(one, excluded)
    return {
        "digests": list(one.digests),
        "nodes": list(one.nodes),
        "names": [
            {
                "name": name.name,
                "nodes": list(name.nodes),
                "workloads": list(name.workloads),
                "pods": list(name.pods),
            }
            for name in one.names
        ],
        "keeps": found.keeps if found is not None else None,
        "caution": found.caution if found is not None else "",
        "override": found.manifest if found is not None else None,
    }


def _parts(one: Duplicate, excluded: frozenset[str], *, first: bool) -> list[RenderableType]:
    digests = ", ".join(short(digest) for digest in one.digests)
    plural = "nodes run" if len(one.nodes) > 1 else "node runs"
    title = Text(f"{len(one.nodes)} {plural} {digests} under {len(one.names)} names: {_some(one.nodes)}", "bold")
    space: list[RenderableType] = [] if first else [Text()]
    return [*space, title, section(_names(one)), *_proposed(proposal(one, excluded))]


def _names(one: Duplicate) -> Table:
    made = rows("NAME", "PODS", "WORKLOADS", "NODES")
    for name in one.names:
        made.add_row(*map(Text, (name.name, str(len(name.pods)), _some(name.workloads), _some(name.nodes))))
    return made


def _proposed(found: Proposal | None) -> list[RenderableType]:
    if found is None:
        return [section(Text("no rule can unify them; set one name where they are made", "yellow"))]
    parts: list[RenderableType] = [head(f"To have {found.keeps} only; try it with `pawl plan -f FILE`")]
    if found.caution:
        parts.append(section(Text(found.caution, "yellow")))
    return [*parts, section(Text(yaml.safe_dump(found.manifest, sort_keys=False).rstrip()))]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
