"""From what a registry or the API server answered to one of the three outcomes that a loop understands.

The messages carry no numbers that tick: a status with such a message would be written again at every try.
Neighbours: `gather` and `access` raise the outcomes, `imagepolicy` reports them.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from pawl.api import errors
from pawl.api.errors import ClusterError, Outcome, RegistryError, Retry, Stalled
from pawl.api.reasons import Reason

LASTING: Final = MappingProxyType(
    {
        errors.Unauthorized: Reason.UNAUTHORIZED,
        errors.Denied: Reason.DENIED,
        errors.Missing: Reason.REPOSITORY_NOT_FOUND,
        errors.Untrusted: Reason.UNTRUSTED,
        errors.TooLarge: Reason.TOO_LARGE,
        errors.ForbiddenTarget: Reason.FORBIDDEN_TARGET,
        errors.ForeignRealm: Reason.FOREIGN_REALM,
    }
)
"""What only the user can mend. It is looked at again at the policy's interval, since Secrets are not watched."""


def from_registry(error: RegistryError, image: str) -> Outcome:
    """Say what a registry's failure means for the loop."""
    if isinstance(error, errors.RateLimited):
        return Retry(Reason.RATE_LIMITED, f"{image}: the registry asks to slow down", after=error.retry_after)
    reason = LASTING.get(type(error))
    if reason is not None:
        way_out = "; push an image first, or correct spec.image" if isinstance(error, errors.Missing) else ""
        return Stalled(reason, f"{error}{way_out}")
    broken = isinstance(error, errors.BadAnswer)
    return Retry(Reason.BAD_ANSWER if broken else Reason.UNREACHABLE, str(error))


def from_cluster(error: ClusterError, what: str) -> Outcome:
    """Say what the API server's refusal to read `what` means for the loop."""
    if isinstance(error, errors.Forbidden):
        return Stalled(Reason.MISSING_RIGHT, f"{what}: {error}")
    after = error.retry_after if isinstance(error, errors.ApiUnavailable) else None
    return Retry(Reason.UNREACHABLE, f"{what}: {error}", after=after)
