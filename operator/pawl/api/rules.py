"""Rules that the API server keeps over an object, declared as data and hung onto the schema where they belong.

A rule is one CEL expression with one sentence for the user. What only a human reader or an editor needs (the same rule
as JSON Schema) stands beside it, so that both say the same. Neighbours: `api.imagepolicy_rules` declares the rules of
a kind, `api.crd` and `api.editor` hang them in. Not here: bounds of single fields, those are in the models.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Schema = dict[str, Any]
"""One node of a JSON Schema."""


class Refusal(StrEnum):
    """How the API server names what is wrong; it becomes the first word of its answer."""

    INVALID = "FieldValueInvalid"
    FORBIDDEN = "FieldValueForbidden"
    REQUIRED = "FieldValueRequired"


@dataclass(frozen=True)
class Rule:
    """One rule at `path`: dotted names from the root, `[]` for the items of a list, empty for the object itself.

    `cel` is true for what is allowed; it is a transition rule if it names `oldSelf`. `message` says what is wrong and
    the way out. `told` is a CEL string that is used instead where the sentence needs values. `field` (such as `.tag`)
    points the answer at a field below the path. `editor` is the same rule as JSON Schema, where that can say it.
    """

    path: str
    cel: str
    message: str
    told: str = ""
    field: str = ""
    refusal: Refusal = Refusal.INVALID
    editor: Mapping[str, object] | None = None

    @property
    def transition(self) -> bool:
        """Whether the rule compares with what was there before."""
        return "oldSelf" in self.cel

    def validation(self) -> Schema:
        """The rule as an entry of `x-kubernetes-validations`."""
        entry: Schema = {"rule": self.cel, "message": self.message, "reason": self.refusal.value}
        if self.told:
            entry["messageExpression"] = self.told
        if self.field:
            entry["fieldPath"] = self.field
        return entry


def at(schema: Schema, path: str) -> Schema:
    """Return the node of `schema` at a rule's path. Raises ValueError if it names no field, as after a renaming."""
    node = schema
    for step in _steps(path):
        try:
            node = node["items"] if step == "[]" else node["properties"][step]
        except KeyError:
            message = f"no field {path!r} in the schema: {step!r} is missing"
            raise ValueError(message) from None
    return node


def _steps(path: str) -> list[str]:
    return [step for step in path.replace("[]", ".[]").split(".") if step]


def hang_validations(schema: Schema, rules: Iterable[Rule]) -> None:
    """Add `rules` to `schema`, in place, as CEL that the API server evaluates."""
    for rule in rules:
        at(schema, rule.path).setdefault("x-kubernetes-validations", []).append(rule.validation())


def hang_editor_rules(schema: Schema, rules: Iterable[Rule]) -> None:
    """Add the JSON Schema form of `rules` to `schema`, in place."""
    for rule in rules:
        if rule.editor is not None:
            at(schema, rule.path).setdefault("allOf", []).append(dict(rule.editor))
