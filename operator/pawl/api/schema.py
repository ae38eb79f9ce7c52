"""One plain schema per model: pydantic's JSON Schema with references inlined and the traces of `Optional` removed.

What comes out is the common ground of `api.crd` (structural schema) and `api.editor` (JSON Schema for editors); each
adds its own. Not here: rules over several fields (`api.rules`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from pydantic import BaseModel

from pawl.api.rules import Schema

ORDER: Final = (
    "description",
    "type",
    "format",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
    "default",
    "required",
    "propertyNames",
    "additionalProperties",
    "items",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
    "properties",
)
"""Every keyword that a field of ours may use, in the order in which it is read best."""

_DROPPED: Final = frozenset({"title", "$defs"})


def plain_schema(model: type[BaseModel]) -> Schema:
    """Return the schema of `model` with camelCase names, without `$ref`, `anyOf`, `const` and `title`.

    Raises ValueError if the model uses what has no plain form, such as a union of two types.
    """
    raw = model.model_json_schema(by_alias=True, mode="validation")
    return _plain(raw, raw.get("$defs", {}))


def _plain(node: Schema, definitions: Schema) -> Schema:
    flat = _flatten(node, definitions)
    unknown = flat.keys() - set(ORDER)
    if unknown:
        message = f"no plain form for {', '.join(sorted(unknown))} in the schema of {flat.get('description', flat)!r}"
        raise ValueError(message)
    below = mapped(flat, lambda child: _plain(child, definitions))
    return {key: below[key] for key in ORDER if key in below}


def _flatten(node: Schema, definitions: Schema) -> Schema:
    """Replace what only points elsewhere by what it points at; the keywords beside a pointer win."""
    flat = {key: value for key, value in node.items() if key not in _DROPPED and (key, value) != ("default", None)}
    if "$ref" in flat:
        target = definitions[flat.pop("$ref").removeprefix("#/$defs/")]
        flat = _flatten({**target, **flat}, definitions)
    if "anyOf" in flat:
        flat = _flatten({**_only_option(flat.pop("anyOf")), **flat}, definitions)
    if "const" in flat:
        flat["enum"] = [flat.pop("const")]
    if "patternProperties" in flat:
        flat |= _map(flat.pop("patternProperties"), flat.get("propertyNames", {}))
    if "description" in flat:
        flat["description"] = " ".join(flat["description"].split())
    return flat


def _map(patterns: Schema, names: Schema) -> Schema:
    """Say of a map with one grammar of keys what the keys are and what the values are."""
    if len(patterns) != 1:
        message = f"a map has one grammar of keys, this one has {len(patterns)}: {sorted(patterns)}"
        raise ValueError(message)
    [(pattern, value)] = patterns.items()
    return {"propertyNames": {**names, "pattern": pattern}, "additionalProperties": value}


def _only_option(options: list[Schema]) -> Schema:
    """Kubernetes drops a null field before it validates, so `X | None` is an optional X."""
    kept = [option for option in options if option != {"type": "null"}]
    if len(kept) != 1:
        message = f"a field has one type, this one has {len(kept)}: {kept}"
        raise ValueError(message)
    return kept[0]


def mapped(node: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """Return `node` with `change` applied to each schema directly below it."""
    copy = dict(node)
    if "properties" in node:
        copy["properties"] = {name: change(child) for name, child in node["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            copy[key] = change(node[key])
    return copy


def walk(node: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield each schema with its path, parents first: `spec`, `spec.tags.exclude`, `spec.tags.exclude[]`."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}" if path else name)
    if "items" in node:
        yield from walk(node["items"], f"{path}[]")
    if isinstance(node.get("additionalProperties"), dict):
        yield from walk(node["additionalProperties"], f"{path}{{}}")
