"""What a failed look at a registry is called, and how a person is told.

The registry's client speaks to owners of an ImagePolicy; here its sentences are turned to owners of an override, who
have other fields to write into. No sentence holds a number that ticks.
Neighbours: `sightings` and `explain` use the words. Not here: conditions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pawl.api import errors
from pawl.api.errors import RegistryError
from pawl.api.reasons import Reason
from pawl.controllers.sightings_ask import Way

MESSAGE_BYTES: Final = 512
"""A finding in a status holds no more."""
_REASONS: Final = MappingProxyType(
    {
        errors.Missing: Reason.IMAGE_MISSING,
        errors.Unauthorized: Reason.UNAUTHORIZED,
        errors.Denied: Reason.DENIED,
        errors.ForeignRealm: Reason.FOREIGN_REALM,
        errors.ForbiddenTarget: Reason.FORBIDDEN_TARGET,
        errors.Untrusted: Reason.UNTRUSTED,
        errors.RateLimited: Reason.RATE_LIMITED,
        errors.BadAnswer: Reason.BAD_ANSWER,
        errors.TooLarge: Reason.TOO_LARGE,
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
_KEYS_MATTER: Final = frozenset({Reason.IMAGE_MISSING, Reason.UNAUTHORIZED, Reason.DENIED})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no sighting; the same for all who came with the same keys. `at_least` seconds nobody asks again."""

    reason: Reason
    text: str
    at_least: float = 0.0


def failure_of(error: RegistryError, host: str) -> Failure:
    """Return what a registry's error means to an override."""
    reason = _REASONS.get(type(error), Reason.UNREACHABLE)
    if isinstance(error, errors.RateLimited):
        return Failure(reason, "the registry asks to slow down; it is asked again later", error.retry_after)
    text = str(error)
    for pattern, instead in _ELSEWHERE:
        text = pattern.sub(instead.format(host=host), text)
    if reason is Reason.IMAGE_MISSING:
        text = f"{text}; push or mirror it, or correct the rule's target"
    return Failure(reason, text)


def mismatch(wanted: list[str], offered: tuple[str, ...]) -> Failure:
    """Return the failure of an image that does not run on all nodes."""
    has = f"is for {', '.join(offered[:8])}" if offered else "names no platform: it is no image that a node runs"
    way_out = "push it for them too, or keep the Pods off such nodes"
    return Failure(Reason.PLATFORM_MISMATCH, f"nodes have {', '.join(wanted)}, the image {has}; {way_out}")


def keys_note(failure: Failure, way: Way, absent: tuple[str, ...], namespace: str) -> str:
    """Return what a refused Pod should know of its own keys: which were shown, and which do not exist."""
    if failure.reason not in _KEYS_MATTER:
        return ""
    names = ", ".join(key.secret for key in way.keys)
    shown = f"shown: Secret {names}" if names else f"no pull Secret of the Pod fits {way.repository.host}"
    gone = f"; not in namespace {namespace}: {', '.join(absent)}" if absent else ""
    return f" ({shown}{gone})"
