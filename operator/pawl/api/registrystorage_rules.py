"""What the API server refuses in a RegistryStorage, with the sentence that names the way out.

A part of the spec that is absent has its defaults, which the API server does not fill in: rules over several parts read
an absent one as what it stands for. Neighbours: `api.registrystorage_rules_access` has those of `spec.access`,
`api.registrystorage_spec` the bounds of single fields. Not here: what only the cluster can tell, such as whether a
class of claims can grow.
"""

from __future__ import annotations

from typing import Final

from pawl.api.cel import IPV6, LABEL, RE2, chosen, duration_rule, matches, schedule_rule, when
from pawl.api.registrystorage_rules_access import ACCESS_RULES
from pawl.api.registrystorage_spec import FilesystemStore
from pawl.api.rules import Refusal, Rule

_FORBIDDEN: Final = Refusal.FORBIDDEN

NAME: Final = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
NAME_LENGTH: Final = 32
"""Jobs are named after it, their task and a hash, and Kubernetes makes a label of that: 63 characters."""

ENDPOINT: Final = f"^(https?://({LABEL}(\\.{LABEL})*|{IPV6})(:[0-9]{{1,5}})?)?$"
_PREFIX: Final = "^([A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?$"
_REFERENCE: Final = "^[A-Za-z0-9\\[][A-Za-z0-9._:/@\\[\\]-]*$"
_MIGRATION: Final = "^[A-Za-z0-9]*$"


NAME_RULES: Final = (
    Rule(
        "",
        f"self.metadata.name.size() <= {NAME_LENGTH} && {matches(NAME, 'self.metadata.name')}",
        f"metadata.name begins with a letter and has at most {NAME_LENGTH} letters, digits and '-': "
        "Services and Jobs are named after it",
        editor={"properties": {"metadata": {"properties": {"name": {"pattern": NAME, "maxLength": NAME_LENGTH}}}}},
    ),
)

_SHARED_STORE: Final = (
    "(has(self.storage) && (has(self.storage.s3) || "
    "(has(self.storage.filesystem) && self.storage.filesystem.accessMode == 'ReadWriteMany')))"
)

SERVER_RULES: Final = (
    Rule(
        "spec",
        f"!has(self.server) || self.server.replicas == 1 || {_SHARED_STORE}",
        "several replicas write one store: set server.replicas to 1, storage.filesystem.accessMode to ReadWriteMany, "
        "or use storage.s3",
        field=".server.replicas",
        editor=when(
            {
                "required": ["server"],
                "properties": {"server": {"required": ["replicas"], "properties": {"replicas": {"minimum": 2}}}},
            },
            {
                "required": ["storage"],
                "properties": {
                    "storage": {
                        "anyOf": [
                            {"required": ["s3"]},
                            {
                                "required": ["filesystem"],
                                "properties": {"filesystem": chosen("accessMode", "ReadWriteMany")},
                            },
                        ]
                    }
                },
            },
        ),
    ),
    Rule(
        "spec.server.image",
        matches(_REFERENCE),
        "server.image is an image such as registry:3.1.1 or registry.corp:5000/library/registry:3.1.1",
        editor={"pattern": _REFERENCE},
    ),
    Rule(
        "spec.server.resources",
        "!has(self.requests) || !has(self.limits) || self.requests.all(name, !(name in self.limits)"
        " || !isQuantity(self.requests[name]) || !isQuantity(self.limits[name])"
        " || !quantity(self.requests[name]).isGreaterThan(quantity(self.limits[name])))",
        "server.resources: no Pod may request more than its limit; lower the request or raise the limit of that name",
        field=".requests",
    ),
    duration_rule("spec.server.drainTimeout", "1s", "1h"),
)

_DEFAULT: Final = FilesystemStore()


def _filesystem(spec: str) -> str:
    """CEL for: the spec means a filesystem."""
    return f"!(has({spec}.storage) && has({spec}.storage.s3))"


def _given(spec: str) -> str:
    return f"has({spec}.storage) && has({spec}.storage.filesystem)"


def _size(spec: str) -> str:
    return f"({_given(spec)} ? {spec}.storage.filesystem.size : '{_DEFAULT.size}')"


def _existing(spec: str) -> str:
    return f"({_given(spec)} && has({spec}.storage.filesystem.existingClaim))"


def _class(spec: str) -> str:
    store = f"{spec}.storage.filesystem"
    return f"({_given(spec)} && has({store}.storageClassName) ? {store}.storageClassName : '')"


def _series(spec: str) -> str:
    return f"({_given(spec)} ? {spec}.storage.filesystem.series : {_DEFAULT.series})"


def _mode(spec: str) -> str:
    return f"({_given(spec)} ? {spec}.storage.filesystem.accessMode : '{_DEFAULT.access_mode.value}')"


_ANOTHER_CLAIM: Final = " || ".join(f"{part('self')} != {part('oldSelf')}" for part in (_class, _series, _mode))
_SIZES: Final = f"isQuantity({_size('self')}) && isQuantity({_size('oldSelf')})"

STORAGE_RULES: Final = (
    Rule(
        "spec.storage",
        "!(has(self.filesystem) && has(self.s3))",
        "storage has one of filesystem and s3: keep one and remove the other; the bytes move when it changes",
        editor={"not": {"required": ["filesystem", "s3"]}},
    ),
    Rule(
        "spec.storage.filesystem",
        "!has(self.existingClaim) || (!has(self.storageClassName) && self.series == 0)",
        "an existing claim has its class already: remove storage.filesystem.storageClassName and series, "
        "or existingClaim",
        field=".existingClaim",
        refusal=_FORBIDDEN,
        editor=when(
            {"required": ["existingClaim"]},
            {"properties": {"storageClassName": False, "series": {"const": 0}}},
        ),
    ),
    Rule(
        "spec.storage.filesystem.size",
        "!isQuantity(self) || !quantity(self).isLessThan(quantity('1Mi'))",
        "storage.filesystem.size is an amount of bytes such as 100Gi, at least 1Mi",
    ),
    Rule(
        "spec",
        f"!({_filesystem('self')}) || !({_filesystem('oldSelf')}) || {_existing('self')} || {_existing('oldSelf')}"
        f" || {_ANOTHER_CLAIM} || !({_SIZES})"
        f" || !quantity({_size('self')}).isLessThan(quantity({_size('oldSelf')}))",
        "a claim never shrinks: leave storage.filesystem.size as it was, "
        "or give storage.filesystem.series another number too, and the bytes move to a new claim of that size",
        field=".storage",
        refusal=_FORBIDDEN,
    ),
    Rule(
        "spec.storage.s3.endpoint",
        matches(ENDPOINT),
        "storage.s3.endpoint is http(s)://host[:port] such as http://minio:9000, without a path (see bucket and "
        "rootDirectory) and without credentials (see credentialsSecretRef); leave it out for AWS",
        editor={"pattern": ENDPOINT},
    ),
    Rule(
        "spec.storage.s3.rootDirectory",
        matches(_PREFIX),
        "storage.s3.rootDirectory is a prefix such as team/registry: no slash at its ends, no part that is empty or "
        "begins with a dot, so that one store has one name",
        editor={"pattern": _PREFIX},
    ),
    Rule(
        "spec.storage.s3.quota",
        "!isQuantity(self) || !quantity(self).isLessThan(quantity('1Mi'))",
        "storage.s3.quota is an amount of bytes such as 500Gi, at least 1Mi; for no bound leave it out",
    ),
    Rule(
        "spec",
        f"!has(self.expansion) || !has(self.expansion.maxSize) || !({_filesystem('self')}) || {_existing('self')}"
        f" || !isQuantity(self.expansion.maxSize) || !isQuantity({_size('self')})"
        f" || !quantity(self.expansion.maxSize).isLessThan(quantity({_size('self')}))",
        f"expansion.maxSize is below storage.filesystem.size (if that is not given, {_DEFAULT.size}): raise it, "
        "or remove it, and the claim never grows",
        field=".expansion.maxSize",
    ),
)

UPKEEP_RULES: Final = (
    Rule(
        "spec.pressure",
        "self.expandAt <= self.collectAt && self.collectAt < self.readOnlyAt",
        "pressure: expandAt is at most collectAt, and collectAt is below readOnlyAt, as in 80, 85, 95; "
        "what is not given has these",
    ),
    schedule_rule("spec.collection.schedule", "0 3 * * *"),
    duration_rule("spec.collection.minimumAge", "0s", "8760h"),
    duration_rule("spec.collection.thawAfter", "1m", "24h"),
    Rule(
        "spec.retention[]",
        "(has(self.keepTags) && self.keepTags.size() > 0) || has(self.keepLast) || has(self.keepYoungerThan)",
        "a rule of retention says what is kept: give keepTags, keepLast or keepYoungerThan; "
        "with keepLast: 0 only what keepInUse keeps is kept",
        editor={
            "anyOf": [
                {"required": ["keepTags"], "properties": {"keepTags": {"minItems": 1}}},
                {"required": ["keepLast"]},
                {"required": ["keepYoungerThan"]},
            ]
        },
    ),
    Rule(
        "spec.retention[].keepTags[]",
        RE2,
        "keepTags lists regular expressions in RE2 syntax, without look-around; such as '^v[0-9]'",
    ),
    duration_rule("spec.retention[].keepYoungerThan", "1s", "87600h", "; for ever is keepTags: ['.*']"),
    duration_rule("spec.migration.rollbackWindow", "0s", "8760h"),
    Rule(
        "spec.migration.deleteOldStore",
        matches(_MIGRATION),
        "migration.deleteOldStore is the id of a migration as it stands in status.migration.id",
        editor={"pattern": _MIGRATION},
    ),
)

RULES: Final = (*NAME_RULES, *SERVER_RULES, *STORAGE_RULES, *ACCESS_RULES, *UPKEEP_RULES)
