"""The chart's values as a table: each value of values.yaml with its default and the comment above it.

Neighbours: `generate_chart` puts the table into pages. Not here: what a value does (`charts/pawl/templates`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Value:
    """One value that a user may set: its path, its default as JSON, what it is for."""

    path: str
    default: str
    text: str


def values(text: str) -> list[Value]:
    """Return all values of a values.yaml in its order; those inside a described map belong to its description.

    Raises ValueError for what is no map.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise ValueError("values.yaml is no map")
    return list(_below(root, "", text.splitlines()))


def table(found: Sequence[Value]) -> str:
    """Return the values as a table of Markdown."""
    head = "| Value | Default | Meaning |\n| --- | --- | --- |\n"
    return head + "".join(f"| `{value.path}` | `{value.default}` | {value.text} |\n" for value in found)


def _below(node: yaml.MappingNode, prefix: str, lines: Sequence[str]) -> Iterator[Value]:
    for key, value in node.value:
        path, text = f"{prefix}{key.value}", _comment(lines, key.start_mark.line)
        if isinstance(value, yaml.MappingNode) and not text:
            yield from _below(value, f"{path}.", lines)
        else:
            yield Value(path, _default(value), text)


def _comment(lines: Sequence[str], at: int) -> str:
    """Return the comment lines that end just above a line, as one."""
    found: list[str] = []
    while at > 0 and lines[at - 1].lstrip().startswith("#"):
        at -= 1
        found.insert(0, lines[at].lstrip("# ").rstrip())
    return " ".join(found).replace("|", "\\|")


def _default(node: yaml.Node) -> str:
    # By way of the loader, so that a default is shown as Helm reads it.
    value: Any = yaml.safe_load(yaml.serialize(node, Dumper=yaml.SafeDumper))
    return json.dumps(value, ensure_ascii=False).replace("|", "\\|")
