"""Pieces of CEL and of JSON Schema that rules of several kinds are put together from.

Neighbours: `api.rules` says what a rule is, `api.<kind>_rules` declare those of a kind. Not here: rules of one kind.
"""

from __future__ import annotations

from typing import Final

from pawl.api.meta import DURATION
from pawl.api.rules import Refusal, Rule

LABEL: Final = "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
DOTTED: Final = f"{LABEL}(\\.{LABEL})+"
IPV6: Final = "\\[[0-9A-Fa-f:]+\\]"

# As a function of CEL only API servers since 1.31 know it. 317: 253 of the prefix, a slash, 63 of the name.
_PART: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
LABEL_KEY: Final = f"^({_PART}(\\.{_PART})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?$"

RE2: Final = "''.matches(self) in [true, false]"
"""Whether it is a pattern: an invalid one is an error here, and an error is a refusal."""

FIVE_FIELDS: Final = "^[0-9A-Za-z*,/?#-]+( +[0-9A-Za-z*,/?#-]+){4}$"
"""Grammar of a schedule, as far as it can be said without naming every field."""


def cel_string(text: str) -> str:
    """Return `text` as a literal of CEL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def matches(pattern: str, value: str = "self") -> str:
    """Return CEL for: the pattern is found in the value."""
    return f"{value}.matches({cel_string(pattern)})"


IS_DURATION: Final = f"self.size() > 1 && {matches(DURATION)}"
"""Asked before `duration(self)`: the user gets a sentence, not an error of the conversion."""


def duration_rule(path: str, least: str, most: str, hint: str = "", *, name: str = "") -> Rule:
    """Return the rule that a duration stands within its bounds, both included."""
    within = f"duration(self) >= duration('{least}') && duration(self) <= duration('{most}')"
    shown = name or path.removeprefix("spec.")
    told = f"{shown} is a duration such as 90s or 1h30m, between {least} and {most}{hint}"
    return Rule(path, f"{IS_DURATION} && {within}", told)


def schedule_rule(path: str, example: str) -> Rule:
    """Return the rule that a schedule has five fields."""
    return Rule(
        path,
        matches(FIVE_FIELDS),
        f"{path.removeprefix('spec.')} has five cron fields, minute hour day month weekday, such as '{example}'; "
        "words such as @daily are not read",
        editor={"pattern": FIVE_FIELDS},
    )


def selector_rules(path: str) -> tuple[Rule, ...]:
    """Return the rules of a label selector."""
    return (
        Rule(
            f"{path}.matchLabels",
            f"self.all(key, key.size() <= 317 && {matches(LABEL_KEY, 'key')})",
            "a key of matchLabels is a label such as app or storage.example.com/class",
        ),
        Rule(
            f"{path}.matchExpressions[]",
            "!(self.operator in ['In', 'NotIn']) || (has(self.values) && self.values.size() > 0)",
            "the operators In and NotIn compare with values: give some, or use Exists or DoesNotExist",
            field=".values",
            refusal=Refusal.REQUIRED,
            editor=_when_operator("In", "NotIn", {"required": ["values"], "properties": {"values": {"minItems": 1}}}),
        ),
        Rule(
            f"{path}.matchExpressions[]",
            "self.operator in ['In', 'NotIn'] || !has(self.values) || self.values.size() == 0",
            "the operators Exists and DoesNotExist look at the key alone: remove values, or use In or NotIn",
            field=".values",
            refusal=Refusal.FORBIDDEN,
            editor=_when_operator("Exists", "DoesNotExist", {"properties": {"values": {"maxItems": 0}}}),
        ),
    )


def _when_operator(one: str, other: str, then: dict[str, object]) -> dict[str, object]:
    return when({"properties": {"operator": {"enum": [one, other]}}}, then)


def when(condition: dict[str, object], then: dict[str, object]) -> dict[str, object]:
    """Return JSON Schema for: what fits the condition fits the other as well."""
    return {"if": condition, "then": then}


def chosen(name: str, value: object) -> dict[str, object]:
    """Return JSON Schema for: the field is given, and has this value."""
    return {"required": [name], "properties": {name: {"const": value}}}
