"""What a failed look at a registry is called, and how a person is told.

The registry's client speaks to owners of an ImagePolicy; here its sentences are turned to owners of an override, who
have other fields to write into. No sentence holds a number that ticks.
Neighbours: `sightings` and `explain` use the words. Not here: conditions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from pawl.api import errors
from pawl.api.errors import RegistryError
from pawl.controllers.sightings_ask import Way

MESSAGE_BYTES: Final = 512
"""A finding in a status holds no more."""


class Seen(StrEnum):
    """Reasons of a sighting. Users see them in conditions and findings; words are added, never changed."""

    SEEN = "Seen"
    INVALID_IMAGE = "InvalidImage"
    IMAGE_MISSING = "ImageMissing"
    PLATFORM_MISMATCH = "PlatformMismatch"
    UNAUTHORIZED = "Unauthorized"
    DENIED = "Denied"
    FOREIGN_REALM = "ForeignRealm"
    FORBIDDEN_TARGET = "ForbiddenTarget"
    UNTRUSTED = "Untrusted"
    UNREACHABLE = "Unreachable"
    RATE_LIMITED = "RateLimited"
    BAD_ANSWER = "BadAnswer"
    TOO_LARGE = "TooLarge"


_REASONS: Final = MappingProxyType(
    {
        errors.Missing: Seen.IMAGE_MISSING,
        errors.Unauthorized: Seen.UNAUTHORIZED,
        errors.Denied: Seen.DENIED,
        errors.ForeignRealm: Seen.FOREIGN_REALM,
        errors.ForbiddenTarget: Seen.FORBIDDEN_TARGET,
        errors.Untrusted: Seen.UNTRUSTED,
        errors.RateLimited: Seen.RATE_LIMITED,
        errors.BadAnswer: Seen.BAD_ANSWER,
        errors.TooLarge: Seen.TOO_LARGE,
    }
)
_SKIP = "or set spec.rollout.preflight to Skip"
_ELSEWHERE: Final = (
    (re.compile(r"name a Secret in spec\.access\.pullSecretRef"), "name a Secret in spec.pullSecrets"),
    (re.compile(r"spec\.access\.pullSecretRef"), "the Pod's pull Secrets"),
    (re.compile(r"spec\.access\.caSecretRef"), "spec.caSecretRef"),
    (re.compile(r"set spec\.access\.plainHTTP"), "start the operator with --plain-http-hosts {host}"),
    (re.compile(r": if you trust it with these credentials, .*"), f": Pawl shows it no credentials; {_SKIP}"),
    (re.compile(r" \(spec\.timeout\)"), ""),
    (re.compile(r"spec\.image\b"), "the rule's target"),
)
_KEYS_MATTER: Final = frozenset({Seen.IMAGE_MISSING, Seen.UNAUTHORIZED, Seen.DENIED})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no sighting; the same for all who came with the same keys. `at_least` seconds nobody asks again."""

    reason: Seen
    text: str
    at_least: float = 0.0


def failure_of(error: RegistryError, host: str) -> Failure:
    """Return what a registry's error means to an override."""
    reason = _REASONS.get(type(error), Seen.UNREACHABLE)
    if isinstance(error, errors.RateLimited):
        return Failure(reason, "the registry asks to slow down; it is asked again later", error.retry_after)
    text = str(error)
    for pattern, instead in _ELSEWHERE:
        text = pattern.sub(instead.format(host=host), text)
    if reason is Seen.IMAGE_MISSING:
        text = f"{text}; push or mirror it, or correct the rule's target"
    return Failure(reason, text)


def mismatch(wanted: list[str], offered: tuple[str, ...]) -> Failure:
    """Return the failure of an image that does not run on all nodes."""
    has = f"is for {', '.join(offered[:8])}" if offered else "names no platform: it is no image that a node runs"
    way_out = "push it for them too, or keep the Pods off such nodes"
    return Failure(Seen.PLATFORM_MISMATCH, f"nodes have {', '.join(wanted)}, the image {has}; {way_out}")


def keys_note(failure: Failure, way: Way, absent: tuple[str, ...], namespace: str) -> str:
    """Return what a refused Pod should know of its own keys: which were shown, and which do not exist."""
    if failure.reason not in _KEYS_MATTER:
        return ""
    names = ", ".join(key.secret for key in way.keys)
    shown = f"shown: Secret {names}" if names else f"no pull Secret of the Pod fits {way.repository.host}"
    gone = f"; not in namespace {namespace}: {', '.join(absent)}" if absent else ""
    return f" ({shown}{gone})"
