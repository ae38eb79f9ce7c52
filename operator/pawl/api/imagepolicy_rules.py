"""What the API server refuses in an ImagePolicy, with the sentence that names the way out.

`SPEC_RULES` keep what the fields of a spec must be together. `RATCHET` is the promise itself: rules over a status
write, compared with the stored one, so that no stale leader, old build or forced apply can take a selection back.
Not here: bounds of single fields (`api.imagepolicy_spec`), and what only a registry can tell (`decide`).
"""

from __future__ import annotations

from typing import Final

from pawl.api.cel import IPV6, IS_DURATION, LABEL, RE2, cel_string
from pawl.api.rules import Refusal, Rule

_HOST: Final = f"((localhost|{LABEL}(\\.{LABEL})+|{IPV6})(:[0-9]{{1,5}})?|{LABEL}:[0-9]{{1,5}})"
_PART: Final = "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*"
# A first part without dot, port or brackets is no host but a folder of the default registry, and in lower case like it.
_FOLDER: Final = "[a-z0-9]+((_|__|-+)[a-z0-9]+)*"
REPOSITORY: Final = f"^(({_HOST}|{_FOLDER})(/{_PART})+|{_PART})$"
"""Grammar of `spec.image`: the reference grammar of the OCI clients, without tag and digest."""

_LAST_PART: Final = "self.substring(self.lastIndexOf('/') + 1)"
_FORBIDDEN: Final = Refusal.FORBIDDEN


def _without(*names: str) -> dict[str, object]:
    return {"not": {"anyOf": [{"required": [name]} for name in names]}}


def _when_digest(then: dict[str, object]) -> dict[str, object]:
    return {"if": {"properties": {"select": {"required": ["digest"]}}}, "then": then}


_NO_TAG_FIELDS: Final = {**_without("include", "extract"), "properties": {"exclude": {"maxItems": 0}}}

IMAGE_RULES: Final = (
    Rule(
        "spec.image",
        "!self.contains('://')",
        "image has no scheme: write registry.example.com/shop/web without https:// "
        "(access.plainHTTP is for registries without TLS)",
        editor={"pattern": REPOSITORY},
    ),
    Rule(
        "spec.image",
        "!self.contains('@')",
        "image has no digest: remove '@' and what follows; the chosen digest stands in status.selection",
    ),
    Rule(
        "spec.image",
        f"self.contains('@') || !{_LAST_PART}.contains(':')",
        "image has no tag: remove ':' and what follows; tags are chosen by select",
    ),
    Rule(
        "spec.image",
        f"self.contains('://') || self.contains('@') || {_LAST_PART}.contains(':')"
        f" || (self.matches({cel_string(REPOSITORY)}) && !self.matches('^[0-9a-f]{{64}}$'))",
        "image is [host[:port]/]path, the path in lower case and without blanks, "
        "such as registry.example.com/shop/web, localhost:5000/web or [fd00::1]:5000/web",
    ),
)

TIME_RULES: Final = (
    Rule(
        "spec.interval",
        f"{IS_DURATION} && duration(self) >= duration('10s') && duration(self) <= duration('8760h')",
        "interval is a duration such as 5m or 1h30m, between 10s and 8760h; "
        "to scan once right now set the annotation reconcile.pawl.dev/requestedAt",
    ),
    Rule(
        "spec.timeout",
        f"{IS_DURATION} && duration(self) >= duration('1s') && duration(self) <= duration('10m')",
        "timeout is a duration such as 30s, between 1s and 10m",
    ),
    Rule(
        "spec.gates.minimumAge",
        f"{IS_DURATION} && duration(self) <= duration('8760h')",
        "gates.minimumAge is a duration such as 48h, at most 8760h (a year); to stop advancing set suspend",
    ),
)

TAG_RULES: Final = (
    Rule("spec.tags.include", RE2, "tags.include is a regular expression in RE2 syntax, without look-around"),
    Rule("spec.tags.exclude[]", RE2, "tags.exclude lists regular expressions in RE2 syntax, without look-around"),
    Rule(
        "spec.tags",
        "!has(self.extract) || has(self.include)",
        "tags.extract takes its groups from tags.include: add include, or remove extract",
        field=".extract",
        refusal=_FORBIDDEN,
        editor={"dependentRequired": {"extract": ["include"]}},
    ),
)

STRATEGY_RULES: Final = (
    Rule(
        "spec.select",
        "[has(self.semver), has(self.alphabetical), has(self.numerical), has(self.digest)].exists_one(one, one)",
        "select has exactly one of semver, alphabetical, numerical, digest: keep one and remove the others",
        editor={"minProperties": 1, "maxProperties": 1},
    ),
    Rule(
        "spec",
        "!has(self.select.digest) || !has(self.tags) || !(has(self.tags.include) || has(self.tags.extract)"
        " || (has(self.tags.exclude) && self.tags.exclude.size() > 0))",
        "select.digest follows one tag by name: remove tags.include, tags.extract and tags.exclude",
        field=".tags",
        refusal=_FORBIDDEN,
        editor=_when_digest({"properties": {"tags": _NO_TAG_FIELDS}}),
    ),
    Rule(
        "spec",
        "!has(self.select.digest) || !has(self.floor)",
        "select.digest follows one tag, and digests have no order: remove floor",
        field=".floor",
        refusal=_FORBIDDEN,
        editor=_when_digest(_without("floor")),
    ),
    Rule(
        "spec",
        "!has(self.floor) || !has(self.blocked) || !(self.floor.tag in self.blocked)",
        "blocked lists the floor: raise floor to the next tag that may be chosen, or take its tag out of blocked",
        field=".blocked",
    ),
    Rule(
        "spec.rollback",
        "self.from.tag != self.to.tag || (has(self.from.digest) && self.from.digest != self.to.digest)",
        "rollback goes from one image to another: name an earlier tag in to, "
        "or under the same tag give from.digest and another to.digest",
        field=".to",
    ),
)

SPEC_RULES: Final = (*IMAGE_RULES, *TIME_RULES, *TAG_RULES, *STRATEGY_RULES)

_OTHER_EPOCH: Final = "self.epoch != oldSelf.epoch"

SELECTION_RATCHET: Final = (
    Rule(
        "status.selection",
        "self.epoch >= oldSelf.epoch",
        "selection.epoch never falls: read the object again; to go back to an older image use spec.rollback",
        field=".epoch",
        refusal=_FORBIDDEN,
    ),
    Rule(
        "status.selection",
        "self.sequence >= oldSelf.sequence",
        "selection.sequence never falls: read the object again and decide again",
        field=".sequence",
        refusal=_FORBIDDEN,
    ),
    Rule(
        "status.selection",
        f"{_OTHER_EPOCH} || self.sortKey >= oldSelf.sortKey",
        "selection.sortKey never falls within an epoch: to go back to an older image use spec.rollback",
        told="'selection.sortKey never falls within an epoch, as from ' + oldSelf.tag + ' to ' + self.tag"
        " + ': to go back to an older image use spec.rollback'",
        field=".sortKey",
        refusal=_FORBIDDEN,
    ),
    Rule(
        "status.selection",
        "self.sequence > oldSelf.sequence || (self.tag == oldSelf.tag && self.digest == oldSelf.digest"
        " && self.reference == oldSelf.reference && self.ordering == oldSelf.ordering)",
        "a changed tag, digest, reference or ordering needs a greater selection.sequence: "
        "read the object again and decide again",
        field=".sequence",
        refusal=_FORBIDDEN,
    ),
    Rule(
        "status.selection",
        "self.ordering == oldSelf.ordering || self.epoch > oldSelf.epoch",
        "a changed selection.ordering needs a greater epoch: accept it with spec.acceptOrdering",
        field=".ordering",
        refusal=_FORBIDDEN,
    ),
    Rule(
        "status.selection",
        "self.epoch <= oldSelf.epoch || self.sequence > oldSelf.sequence",
        "a greater selection.epoch needs a greater sequence: read the object again and decide again",
        field=".sequence",
        refusal=_FORBIDDEN,
    ),
)

_NEVER_REMOVED: Final = "status.selection is never removed: to start over run `pawl forget`"

PRESENCE_RATCHET: Final = (
    Rule(
        "status",
        "!has(oldSelf.selection) || has(self.selection)",
        _NEVER_REMOVED,
        field=".selection",
        refusal=Refusal.REQUIRED,
    ),
    # Once more at the root: a rule below `status` is not asked when the whole status goes.
    Rule(
        "",
        "!has(oldSelf.status) || !has(oldSelf.status.selection) || (has(self.status) && has(self.status.selection))",
        _NEVER_REMOVED,
        field=".status",
        refusal=Refusal.REQUIRED,
    ),
)

RATCHET: Final = (*SELECTION_RATCHET, *PRESENCE_RATCHET)

STATUS_RULES: Final = (
    Rule(
        "status.selection",
        "self.reference.endsWith(':' + self.tag + (self.digest == '' ? '' : '@' + self.digest))",
        "selection.reference ends with :tag@digest of the same selection, so that what is guarded is what runs",
        field=".reference",
    ),
    Rule(
        "status",
        "has(self.selection) || !has(self.conditions)"
        " || !self.conditions.exists(one, one.type == 'Ready' && one.status == 'True')",
        "Ready is True only while a selection is held",
        field=".conditions",
    ),
)

RULES: Final = (*SPEC_RULES, *RATCHET, *STATUS_RULES)
