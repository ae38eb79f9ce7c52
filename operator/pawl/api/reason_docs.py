"""One line for each condition type and each reason of ImagePolicy: what it says, and what to do about it.

The reference page lists these lines. Neighbours: `api.reasons` declares the words, `api.reason_docs_override` has those
of overrides; a word without a line in either fails the unit tests. Not here: the messages of a single occurrence, they
are made where the fact is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pawl.api.reasons import ConditionType, Reason

POLICY_CONDITIONS: Final[Mapping[ConditionType, str]] = MappingProxyType(
    {
        ConditionType.READY: "A valid selection is held; True also while scans fail, never without a selection.",
        ConditionType.RECONCILING: "The newest spec is not yet acted on. Stands only while True.",
        ConditionType.STALLED: "You must act: spec, Secret or right. Stands only while True.",
        ConditionType.SCAN_COMPLETE: "The last scan read the whole tag list.",
        ConditionType.SCAN_SUSPECT: "The tag list shrank or is odd otherwise; what is absent is not acted on.",
        ConditionType.RATE_LIMITED: "The registry asked to slow down.",
        ConditionType.BELOW_HIGH_WATER: "The best candidate is below the selection, as by a lowered range; it stays.",
        ConditionType.ORDERING_CHANGED: "The spec compares in another way; accept it with `spec.acceptOrdering`.",
        ConditionType.SELECTED_TAG_MISSING: "The selected tag is gone from the list; its digest is still served.",
        ConditionType.SELECTED_IMAGE_GONE: "The selected digest is gone from the registry; roll back or push it again.",
        ConditionType.TAG_MUTATED: "The selected tag has another digest now; the old digest is kept.",
        ConditionType.SELECTED_BLOCKED: "The selection is blocked; it stays until a greater tag comes, or a rollback.",
        ConditionType.PENDING: "A candidate waits for its gates, see `status.pending`.",
        ConditionType.ROLLBACK_ACTIVE: "A rollback holds the selection, see `status.rollback`.",
        ConditionType.ROLLBACK_REJECTED: "The rollback in the spec was not applied.",
        ConditionType.BOOTSTRAPPED: "The first selection was made without any memory of an earlier one.",
    }
)

_SPEC: Final = {
    Reason.INVALID_IMAGE: "`spec.image` is no repository.",
    Reason.INVALID_RANGE: "`spec.select.semver.range` cannot be read.",
    Reason.INVALID_PATTERN: "A pattern under `spec.tags` is not RE2.",
    Reason.INVALID_EXTRACT: "`spec.tags.extract` names a group that include does not have.",
    Reason.INVALID_FLOOR: "`spec.floor` cannot be compared under this strategy.",
    Reason.INVALID_SPEC: "The spec contradicts itself; the message says where.",
}

_ACCESS: Final = {
    Reason.SECRET_NOT_FOUND: "A Secret that the spec names does not exist in this namespace.",
    Reason.SECRET_INVALID: "A Secret that the spec names has not the right type or keys.",
    Reason.SERVICE_ACCOUNT_NOT_FOUND: "The ServiceAccount that the spec names does not exist in this namespace.",
    Reason.UNAUTHORIZED: "The registry does not accept the credentials, or wants some.",
    Reason.DENIED: "The registry knows the credentials and refuses this repository.",
    Reason.FOREIGN_REALM: "The token server is on another host; if it is right, list it in `spec.access.tokenRealms`.",
    Reason.FORBIDDEN_TARGET: "The address is never dialled, or plain HTTP is not allowed for this host.",
    Reason.UNTRUSTED: "TLS failed; give the authority by `spec.access.caSecretRef`.",
    Reason.MISSING_RIGHT: "Pawl lacks a right in the cluster; the message names verb and resource.",
}

_REGISTRY: Final = {
    Reason.REPOSITORY_NOT_FOUND: "The registry has no such repository, or hides it from these credentials.",
    Reason.UNREACHABLE: "No address, no connection, a timeout or a 5xx; it is tried again.",
    Reason.RATE_LIMITED: "429, or 503 with Retry-After; the host is asked again after that.",
    Reason.BAD_ANSWER: "The answer breaks the protocol; it is not used.",
    Reason.TOO_LARGE: "The answer is beyond its bound; it is not used.",
    Reason.SCANNED: "The whole tag list was read.",
    Reason.SHRUNK: "The tag list lost many tags at once; what is absent is not acted on.",
}

_SELECTION: Final = {
    Reason.NO_TAGS: "The repository lists no tag.",
    Reason.NO_CANDIDATE: "No tag passes patterns, strategy, floor and blocked.",
    Reason.NO_LIVE_IMAGE: "`bootstrap: Live`, and no Pod of the namespace runs a comparable tag.",
    Reason.PLATFORM_MISSING: "The candidate does not offer all of `spec.platforms`.",
    Reason.BELOW_HIGH_WATER: "The best candidate is below the selection; raise the range, or roll back.",
    Reason.ORDERING_CHANGED: "Image, strategy, order, extract or prerelease rule changed; accept the fingerprint.",
    Reason.TAG_MISSING: "The selected tag is gone from the list.",
    Reason.IMAGE_GONE: "The selected digest is gone from the registry.",
    Reason.DIGEST_CHANGED: "The selected tag has another digest, and `tagMutability` is Immutable.",
    Reason.DIGEST_REPEATED: "The tag went back to a digest that it had before; that is no advance.",
    Reason.BLOCKED: "The selected tag is blocked.",
    Reason.MINIMUM_AGE: "The candidate is younger than `gates.minimumAge`, counted from Pawl's first sight.",
    Reason.APPROVAL_REQUIRED: "The candidate does not stand in `spec.approved` with this digest.",
}

_ROLLBACK: Final = {
    Reason.ROLLED_BACK: "The rollback was applied.",
    Reason.STALE_FROM: "`rollback.from` is not the current selection; nothing was done.",
    Reason.NONCE_USED: "This nonce was used before; take a new one for a new rollback.",
    Reason.TARGET_MISSING: "The digest of `rollback.to` does not exist in the registry.",
    Reason.TARGET_REFUSED: "`rollback.to` is below `spec.floor` or blocked; change that first.",
    Reason.TARGET_NOT_COMPARABLE: "The tag of `rollback.to` has no place in this ordering.",
}

_STATE: Final = {
    Reason.SELECTED: "A selection was made and is held.",
    Reason.SUSPENDED: "`spec.suspend` is set; the selection is kept and served.",
    Reason.PROGRESSING: "Pawl is at work on the newest spec.",
    Reason.RECOVERED: "The selection was found again in ledger, Pods or floor.",
    Reason.RESTORED_STATE_OLDER: "The restored status was older than the ledger; the newer one was taken.",
    Reason.LEDGER_INVALID: "The ledger ConfigMap cannot be read; mend it, nothing moves until then.",
    Reason.FIRST_SELECTION: "Nothing was known about this policy before.",
}

POLICY_REASONS: Final[Mapping[str, Mapping[Reason, str]]] = MappingProxyType(
    {
        "State": _STATE,
        "The spec cannot be carried out": _SPEC,
        "Access": _ACCESS,
        "The registry's answer": _REGISTRY,
        "Why a selection stays": _SELECTION,
        "Rollback": _ROLLBACK,
    }
)
"""Every reason of ImagePolicy once, under the headings of the reference page."""
