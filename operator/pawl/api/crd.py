"""CustomResourceDefinitions from the models: structural schemas with rules, columns and the status subresource.

Pure: it returns documents and writes nothing. Neighbours: `api.catalog` lists the kinds, `cli.crds` prints what is
made here, `cli.generate` keeps `crds/` up to date.
"""

from __future__ import annotations

from typing import Any, Final

from pawl.api.catalog import KINDS, Column, Kind
from pawl.api.meta import CATEGORY, GROUP, VERSION
from pawl.api.rules import Schema, hang_validations
from pawl.api.schema import mapped, plain_schema

_API_VERSION: Final = (
    "Version of the schema of this object: https://kubernetes.io/docs/concepts/overview/working-with-objects/"
)
_KIND: Final = "Kind of this object, in CamelCase."


def crds() -> list[dict[str, Any]]:
    """Return the CustomResourceDefinition of every kind, in the order of the catalog."""
    return [crd(kind) for kind in KINDS]


def crd(kind: Kind) -> dict[str, Any]:
    """Return the CustomResourceDefinition of one kind, ready for `kubectl apply`."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.crd_name, "labels": {"app.kubernetes.io/name": "pawl"}},
        "spec": {
            "group": GROUP,
            "names": _names(kind),
            "scope": kind.scope.value,
            "versions": [_version(kind)],
        },
    }


def _names(kind: Kind) -> dict[str, Any]:
    return {
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "singular": kind.singular,
        "shortNames": [kind.short],
        "categories": [CATEGORY],
    }


def _version(kind: Kind) -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        **({"subresources": {"status": {}}} if kind.has_status else {}),
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
        "schema": {"openAPIV3Schema": structural_schema(kind)},
    }


def _column(column: Column) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    entry["description"] = column.description
    return entry | ({"priority": 1} if column.wide else {})


def structural_schema(kind: Kind) -> Schema:
    """Return the schema of one kind as the API server wants it, with every rule hung in."""
    plain = plain_schema(kind.model)
    schema: Schema = {
        "description": plain["description"],
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"description": _API_VERSION, "type": "string"},
            "kind": {"description": _KIND, "type": "string"},
            "metadata": {"type": "object"},
            "spec": _structural(plain["properties"]["spec"]),
            **({"status": _status(plain["properties"]["status"])} if kind.has_status else {}),
        },
    }
    hang_validations(schema, kind.rules)
    return schema


def _status(plain: Schema) -> Schema:
    """kstatus: an object that nobody has looked at yet must not seem to be reconciled."""
    return {**_without_defaults(_structural(plain)), "default": {"observedGeneration": -1}}


def _structural(node: Schema) -> Schema:
    """Unknown fields are refused by the API server itself, keys of maps have no grammar, integers are 64 bits wide."""
    copy = mapped(node, _structural)
    copy.pop("propertyNames", None)
    if "properties" in copy:
        copy.pop("additionalProperties", None)
    if copy.get("type") == "integer":
        copy["format"] = "int64"
    return copy


def _without_defaults(node: Schema) -> Schema:
    """In a status only what Pawl wrote may stand; the API server adds nothing to it."""
    copy = mapped(node, _without_defaults)
    copy.pop("default", None)
    return copy
