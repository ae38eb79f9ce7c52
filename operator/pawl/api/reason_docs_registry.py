"""One line for each condition type and each reason of RegistryStorage.

The reference page lists these lines. Neighbours: `api.reasons` declares the words, `api.reason_docs` has those of
ImagePolicy. Not here: the messages of a single occurrence, they are made where the fact is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pawl.api.reasons import ConditionType, Reason

REGISTRY_CONDITIONS: Final[Mapping[ConditionType, str]] = MappingProxyType(
    {
        ConditionType.READY: "The registry serves as the spec asks; the reason says what is still missing.",
        ConditionType.RECONCILING: "The newest spec is not yet carried out. Stands only while True.",
        ConditionType.STALLED: "You must act: spec, Secret, claim or right. Stands only while True.",
        ConditionType.SERVING: "The server answers pulls.",
        ConditionType.WRITABLE: "The server takes pushes; False says why not, and until when.",
        ConditionType.PRESSURE: "The store fills up: what is done about it, and what you can do.",
        ConditionType.NAME_RESOLVED: "The name of the registry has an address.",
        ConditionType.REACHABLE: "A connection to the address can be made.",
        ConditionType.TRUSTED: "The certificate is valid for the name, by the authority that is handed out.",
        ConditionType.API_ANSWERS: "`/v2/` answers as a registry does.",
        ConditionType.AUTHENTICATED: "The credentials that are handed out are accepted.",
        ConditionType.PUSH_PROVED: "A small image was pushed.",
        ConditionType.PULL_PROVED: "A Pod on another node than the server's pulled that image.",
        ConditionType.CREDENTIALS_SPREAD: "The pull Secrets are in the namespaces that `access.pullSecrets` chooses.",
        ConditionType.MIGRATED: "The bytes are in the store that the spec names; False says how far they are.",
        ConditionType.COLLECTED: "The last collection did what it was to do; False says why not.",
        ConditionType.SOURCE_CORRUPT: "Objects whose bytes are not what their name says, see `migration.quarantine`.",
    }
)

_STATE: Final = {
    Reason.SERVING: "The server answers, and all that the spec asks for is done.",
    Reason.STARTING: "The server's Pod is not ready yet.",
    Reason.PROGRESSING: "Pawl is at work on the newest spec.",
    Reason.SUSPENDED: "`spec.suspend` is set: what runs goes on, nothing new is begun.",
    Reason.INVALID_SPEC: "The spec contradicts itself; the message says where.",
    Reason.CLAIM_PENDING: "The claim is not bound; the message has the provisioner's word for it.",
    Reason.CLAIM_MISSING: "The claim with the data is gone; Pawl makes no new empty one in its place.",
    Reason.POD_FAILING: "The server's Pod does not become ready; the message has the kubelet's word for it.",
    Reason.CONTENDED: "Somebody else writes an object of the registry again and again; the message names both.",
    Reason.LEDGER_INVALID: "The copy of Pawl's memory cannot be read, or is gone; the message says how to mend it.",
    Reason.REFUSED: "The API server refuses an object of the registry, as by a quota; the message has its words.",
}

_WRITING: Final = {
    Reason.WRITABLE: "The server takes pushes.",
    Reason.READ_ONLY: "Pushes are refused for now; the message says for what, and until when.",
    Reason.STORE_FULL: "Pushes are refused until the store is below `pressure.collectAt`; pulls go on.",
    Reason.NOT_FROZEN: "A server still takes pushes although it must not; nothing is copied or deleted until it stops.",
    Reason.THAWED: "The server takes pushes again: `collection.thawAfter` has passed.",
}

_FULL: Final = {
    Reason.ROOMY: "The store is below `pressure.expandAt`.",
    Reason.EXPANDING: "The claim is being made larger.",
    Reason.CANNOT_EXPAND: "The claim cannot grow: its class does not allow it, or `expansion.maxSize` is reached.",
    Reason.COLLECT_AT_REACHED: "Above `pressure.collectAt`: stale uploads are purged, garbage is collected.",
    Reason.READ_ONLY_AT_REACHED: "The store is above `pressure.readOnlyAt`; pushes are refused so that pulls live on.",
    Reason.USAGE_UNKNOWN: "How full the store is cannot be said now; the message says why.",
}

_ACCESS: Final = {
    Reason.SECRET_NOT_FOUND: "A Secret that the spec names does not exist.",
    Reason.SECRET_INVALID: "A Secret that the spec names has not the right keys, or a certificate that cannot be used.",
    Reason.SPREAD: "Every chosen namespace has the pull Secret.",
    Reason.NAMESPACE_NOT_FOUND: "A chosen namespace is gone or going.",
    Reason.OWNED_BY_OTHER: "A Secret of the name that Pawl would write belongs to somebody else; it is left alone.",
    Reason.MISSING_RIGHT: "Pawl lacks a right in the cluster; the message names verb and resource.",
}

_PROOFS: Final = {
    Reason.PROVED: "It was tried, and it works.",
    Reason.PROVING: "It is being tried.",
    Reason.NOT_PROVED: "It was tried and does not work; the message says at which step, and what to change.",
    Reason.SINGLE_NODE: "There is no other node from which a pull could be tried.",
    Reason.UNREACHABLE: "No address, no connection, a timeout or a 5xx; it is tried again.",
    Reason.UNTRUSTED: "TLS failed: another name, an unknown authority or a certificate out of its time.",
    Reason.UNAUTHORIZED: "The server does not accept the credentials that are handed out.",
    Reason.BAD_ANSWER: "The answer is not that of a registry, as from a proxy in between.",
}

_MIGRATION: Final = {
    Reason.MIGRATING: "Bytes are on their way to the store that the spec names; see `status.migration`.",
    Reason.HOLDING: "The new store is served, and the old one is kept until `migration.holdUntil`.",
    Reason.MIGRATED: "The new store is served and the time for going back is over.",
    Reason.CANCELLED: "The spec names the old store again; it was served all the time, and nothing was lost.",
    Reason.NO_SPACE: "The target has not the room; make it larger, or collect first.",
    Reason.TARGET_NOT_EMPTY: "The target holds another registry; name an empty one, so that nothing is mixed.",
    Reason.SCHEMA_1_FOUND: "Manifests of schema 1 are in the store; a server of today cannot serve them, see the list.",
    Reason.SOURCE_CORRUPT: "Objects of the source are not what their name says; push them again or delete their tags.",
    Reason.GRAPH_BROKEN: "A tag or a manifest refers to what is not in the store; the message names it.",
    Reason.COPY_FAILED: "The Job that copies failed again and again; the message has its last words.",
    Reason.SMOKE_FAILED: "The new server did not answer as its store says; the old one is served again.",
    Reason.BUSY: "Something else is at work on the store; this begins when it has ended.",
}

_COLLECTION: Final = {
    Reason.COLLECTING: "Garbage is being collected.",
    Reason.COLLECTED: "What nothing needs is gone, and all that is kept was found to be whole.",
    Reason.DRY_RUN: "`collection.dryRun` is set: the plan stands in the status, nothing was deleted.",
    Reason.CAP_EXCEEDED: "The plan would delete more than `collection.maxDeletePercent`; nothing was deleted.",
    Reason.PARTIAL_VIEW: "Pawl sees some namespaces only, and images in use elsewhere might go; nothing was deleted.",
    Reason.NOTHING_TO_COLLECT: "Every tag is kept, and every blob is needed.",
    Reason.COLLECTION_FAILED: "The Job failed; the server takes pushes again, and what is kept is whole or named.",
    Reason.INTERRUPTED: "A worker was told to end before it was done, as where its node goes; it is begun again.",
}

REGISTRY_REASONS: Final[Mapping[str, Mapping[Reason, str]]] = MappingProxyType(
    {
        "State": _STATE,
        "Pushes": _WRITING,
        "How full it is": _FULL,
        "Access": _ACCESS,
        "Proofs": _PROOFS,
        "Migration": _MIGRATION,
        "Collection": _COLLECTION,
    }
)
"""Every reason of registries once, under the headings of the reference page."""
