"""Condition types and their stable reasons, declared once.

Users write alerts and health checks against these words; a word is added, never changed.
Not here: messages.
"""

from __future__ import annotations

from enum import StrEnum


class ConditionType(StrEnum):
    """Condition types. Ready, Reconciling and Stalled are kstatus; the others stand only while they say something."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    SCAN_COMPLETE = "ScanComplete"
    SCAN_SUSPECT = "ScanSuspect"
    RATE_LIMITED = "RateLimited"
    BELOW_HIGH_WATER = "BelowHighWater"
    ORDERING_CHANGED = "OrderingChanged"
    SELECTED_TAG_MISSING = "SelectedTagMissing"
    SELECTED_IMAGE_GONE = "SelectedImageGone"
    TAG_MUTATED = "TagMutated"
    SELECTED_BLOCKED = "SelectedBlocked"
    PENDING = "Pending"
    ROLLBACK_ACTIVE = "RollbackActive"
    ROLLBACK_REJECTED = "RollbackRejected"
    BOOTSTRAPPED = "Bootstrapped"


class Reason(StrEnum):
    """Reasons of conditions, of outcomes and of events."""

    SELECTED = "Selected"
    SUSPENDED = "Suspended"
    PROGRESSING = "Progressing"
    # the spec cannot be carried out
    INVALID_IMAGE = "InvalidImage"
    INVALID_RANGE = "InvalidRange"
    INVALID_PATTERN = "InvalidPattern"
    INVALID_EXTRACT = "InvalidExtract"
    INVALID_FLOOR = "InvalidFloor"
    INVALID_SPEC = "InvalidSpec"
    # access
    SECRET_NOT_FOUND = "SecretNotFound"
    SECRET_INVALID = "SecretInvalid"
    SERVICE_ACCOUNT_NOT_FOUND = "ServiceAccountNotFound"
    UNAUTHORIZED = "Unauthorized"
    DENIED = "Denied"
    FOREIGN_REALM = "ForeignRealm"
    FORBIDDEN_TARGET = "ForbiddenTarget"
    UNTRUSTED = "Untrusted"
    MISSING_RIGHT = "MissingRight"
    # the registry's answer
    REPOSITORY_NOT_FOUND = "RepositoryNotFound"
    UNREACHABLE = "Unreachable"
    RATE_LIMITED = "RateLimited"
    BAD_ANSWER = "BadAnswer"
    TOO_LARGE = "TooLarge"
    SCANNED = "Scanned"
    SHRUNK = "Shrunk"
    # why a selection is what it is, or stays
    NO_TAGS = "NoTags"
    NO_CANDIDATE = "NoCandidate"
    NO_LIVE_IMAGE = "NoLiveImage"
    PLATFORM_MISSING = "PlatformMissing"
    BELOW_HIGH_WATER = "BelowHighWater"
    ORDERING_CHANGED = "OrderingChanged"
    TAG_MISSING = "TagMissing"
    IMAGE_GONE = "ImageGone"
    DIGEST_CHANGED = "DigestChanged"
    DIGEST_REPEATED = "DigestRepeated"
    BLOCKED = "Blocked"
    MINIMUM_AGE = "MinimumAge"
    APPROVAL_REQUIRED = "ApprovalRequired"
    ROLLED_BACK = "RolledBack"
    STALE_FROM = "StaleFrom"
    NONCE_USED = "NonceUsed"
    TARGET_MISSING = "TargetMissing"
    TARGET_NOT_COMPARABLE = "TargetNotComparable"
    TARGET_REFUSED = "TargetRefused"
    RECOVERED = "Recovered"
    RESTORED_STATE_OLDER = "RestoredStateOlder"
    LEDGER_INVALID = "LedgerInvalid"
    FIRST_SELECTION = "FirstSelection"
