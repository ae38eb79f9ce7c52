"""JSON Schemas (draft 2020-12) for editors and offline checks: unknown fields are refused where they are typed.

Neighbours: `api.crd` is the same models for the API server. Not here: transition rules, a file has no past.
"""

from __future__ import annotations

from typing import Any, Final

from pawl.api.catalog import Kind
from pawl.api.meta import API_VERSION
from pawl.api.rules import Schema, hang_editor_rules
from pawl.api.schema import mapped, plain_schema

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


def editor_schema(kind: Kind, comment: str) -> Schema:
    """Return the JSON Schema of one kind. `comment` says where the file comes from and stands first in it."""
    plain = plain_schema(kind.model)
    schema: Schema = {
        "$comment": comment,
        "$schema": DRAFT,
        "title": f"{kind.name} {API_VERSION}",
        "description": plain["description"],
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": kind.name},
            "metadata": _metadata(),
            "spec": _closed(plain["properties"]["spec"]),
            **({"status": _status(plain["properties"]["status"])} if kind.has_status else {}),
        },
    }
    hang_editor_rules(schema, kind.rules)
    return schema


def _status(plain: Schema) -> Schema:
    return {**_closed(plain), "readOnly": True}


def _metadata() -> dict[str, Any]:
    """Only the name is looked at: the rest is Kubernetes' own and known to every editor."""
    names = {
        name: {"type": "string", "minLength": 1, "maxLength": 253} for name in ("name", "generateName", "namespace")
    }
    either = [{"required": ["name"]}, {"required": ["generateName"]}]
    return {"type": "object", "properties": names, "anyOf": either}


def _closed(node: Schema) -> Schema:
    copy = mapped(node, _closed)
    if "properties" in copy:
        copy["additionalProperties"] = False
    if copy.pop("x-kubernetes-list-type", None) == "set":
        copy["uniqueItems"] = True
    if copy.pop("x-kubernetes-int-or-string", False):
        copy["type"] = ["integer", "string"]
    copy.pop("x-kubernetes-list-map-keys", None)
    copy.pop("x-kubernetes-preserve-unknown-fields", None)
    return copy
