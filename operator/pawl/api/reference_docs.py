"""The reference page of a kind: every field with type, default, limits and meaning, every rule, condition and reason.

Pure: models in, Markdown out. Neighbours: `api.catalog` has what is told, `cli.generate` writes it to `docs/reference`.
Not here: guides, those are written by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final

from pawl.api.catalog import Kind
from pawl.api.crd import structural_schema
from pawl.api.meta import API_VERSION, CATEGORY, DIGEST, DURATION, TAG
from pawl.api.reasons import Reason
from pawl.api.rules import Rule, Schema
from pawl.api.schema import walk

_LIMITS: Final[Mapping[str, str]] = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "maxProperties": "at most {} entries",
    "pattern": "matches `{}`",
}

_KNOWN: Final[Mapping[str, str]] = {DURATION: "duration, such as 90s or 1h30m", TAG: "tag", DIGEST: "digest"}
"""Patterns that have a name; it says more than the pattern and its lengths."""

_REFUSALS: Final[Mapping[str, bool]] = {
    "Beside the types and limits above. The sentence is what the API server answers.": False,
    "Compared with the stored object, for every writer and every way of writing:": True,
}
"""What stands above a table of rules, and whether its rules compare with what was there before."""


def reference_page(kind: Kind, comment: str) -> str:
    """Return the Markdown page of one kind. `comment` says where the file comes from and is its first line."""
    schema = structural_schema(kind)
    spec = schema["properties"]["spec"]
    parts = [f"<!-- {comment} -->", f"# {kind.name}", schema["description"], _facts(kind)]
    parts += ["## Spec", _fields(spec, "spec"), *_status(schema), *_refusals(kind)]
    parts += ["## Columns", _table(("Column", "Shown", "Meaning"), _column_rows(kind)), *_words(kind)]
    return "\n\n".join(parts) + "\n"


def _status(schema: Schema) -> list[str]:
    if "status" not in schema["properties"]:
        return []
    told = "Written by Pawl through the status subresource; read it, do not write it."
    return ["## Status", told, _fields(schema["properties"]["status"], "status")]


def _refusals(kind: Kind) -> list[str]:
    parts: list[str] = []
    for told, transition in _REFUSALS.items():
        rules = [rule for rule in kind.rules if rule.transition is transition]
        if rules:
            parts += [told, _table(("Where", "Sentence"), map(_rule_row, rules))]
    return ["## What the API server refuses", *parts] if parts else []


def _words(kind: Kind) -> list[str]:
    if not kind.conditions:
        return []
    conditions = ((f"`{name}`", told) for name, told in kind.conditions.items())
    reasons = (_reason_table(title, group) for title, group in kind.reasons.items())
    told = "Stable words for alerts; a word is added, never changed."
    return ["## Conditions", _table(("Type", "Meaning"), conditions), "## Reasons", told, *reasons]


def _facts(kind: Kind) -> str:
    return (
        f"`apiVersion: {API_VERSION}`, `kind: {kind.name}`. Scope: {kind.scope.value}. Short name: `{kind.short}`. "
        f"Category: `{CATEGORY}` (`kubectl get {CATEGORY}`)."
    )


def _fields(schema: Schema, root: str) -> str:
    required = _required(schema, root)
    rows = (
        _field_row(path, node, required=path in required) for path, node in walk(schema, root) if _is_field(path, root)
    )
    return _table(("Field", "Type", "Default", "Limits", "Meaning"), rows)


def _is_field(path: str, root: str) -> bool:
    return path != root and not path.endswith(("[]", "{}"))


def _required(schema: Schema, root: str) -> set[str]:
    return {f"{path}.{name}" for path, node in walk(schema, root) for name in node.get("required", ())}


def _field_row(path: str, node: Schema, *, required: bool) -> tuple[str, ...]:
    default = f"`{json.dumps(node['default'])}`" if "default" in node else "required" if required else ""
    return (f"`{path}`", _type(node), default, "; ".join(_limits(node)), node["description"])


def _type(node: Schema) -> str:
    if "enum" in node:
        return " | ".join(f"`{value}`" for value in node["enum"] if isinstance(value, str))
    if "x-kubernetes-int-or-string" in node:
        return "number or string"
    if node["type"] == "array":
        return f"list of {_type(node['items'])}"
    if "additionalProperties" in node:
        return f"map to {_type(node['additionalProperties'])}"
    if "pattern" in node:
        return _KNOWN.get(node["pattern"], "string")
    return "time" if node.get("format") == "date-time" else str(node["type"])


def _limits(node: Schema) -> list[str]:
    if node.get("pattern") in _KNOWN:
        return []
    told = [text.format(node[key]) for key, text in _LIMITS.items() if key in node]
    below = node.get("items") or node.get("additionalProperties")
    told += [f"each {limit}" for limit in _limits(below)] if below else []
    if node.get("x-kubernetes-list-type") == "set":
        told.append("no duplicates")
    return told


def _rule_row(rule: Rule) -> tuple[str, str]:
    return f"`{rule.path}`" if rule.path else "the object", rule.message


def _column_rows(kind: Kind) -> Iterable[tuple[str, str, str]]:
    return ((each.name, "`-o wide`" if each.wide else "always", each.description) for each in kind.columns)


def _reason_table(title: str, reasons: Mapping[Reason, str]) -> str:
    return f"### {title}\n\n" + _table(("Reason", "Meaning"), ((f"`{word}`", told) for word, told in reasons.items()))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(tuple(_cell(cell) for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """A bar would end the cell, in code too; a bare `<` would begin a tag."""
    return text.replace("|", "\\|").replace("<", "&lt;" if "`" not in text else "<")
