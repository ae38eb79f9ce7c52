"""Every error that Pawl raises on purpose.

    PawlError                       base: catch this one
    ├── Outcome                     what a reconcile loop understands, and nothing else reaches it
    │   ├── Stalled                 the user must act; nothing is tried again until something changes
    │   ├── Retry                   transient; tried again with exponential backoff and jitter
    │   └── WaitUntil               nothing is wrong; come back at a time
    ├── InputError                  a file, flag or manifest given to the command line is wrong (exit 2)
    ├── RegistryError               a registry could not be asked, or its answer cannot be used
    │   ├── Unauthorized            401, or no token for these credentials
    │   ├── Denied                  403
    │   ├── Missing                 404: no such repository, tag or manifest
    │   ├── RateLimited             429 or 503 with Retry-After; carries the wait in seconds
    │   ├── Unreachable             no address, no connection, timeout, 5xx
    │   ├── Untrusted               TLS: unknown authority, wrong name, expired certificate
    │   ├── BadAnswer               the answer breaks the protocol: not JSON, looping pages, wrong digest
    │   ├── TooLarge                an answer beyond its bound
    │   ├── ForbiddenTarget         an address that is never dialled, or plain HTTP that was not allowed
    │   └── ForeignRealm            the token realm is on a host that may not see these credentials
    ├── ClusterError                the API server refused or could not be asked
    │   ├── NotFound                404
    │   ├── Conflict                409: read again, decide again
    │   ├── Forbidden               403: names verb and resource
    │   ├── Invalid                 422 or 400: schema or CEL said no; carries the server's message
    │   ├── Expired                 410: the watch's resourceVersion is too old, list again
    │   └── ApiUnavailable          timeouts, 429, 5xx, no connection
    ├── LeaseLost                   this process is no longer the leader and must exit
    └── SandboxError                the local control plane could not be built, started or stopped

Messages name the object, the cause and the way out, in one line, and never hold a secret.
"""

from __future__ import annotations

from datetime import datetime


class PawlError(Exception):
    """Base of all errors that Pawl raises on purpose."""


class Outcome(PawlError):
    """One of the three ends of a reconcile that is not plain success. `reason` is a CamelCase word of `api.reasons`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Stalled(Outcome):
    """The user must act: the spec, a Secret or a right is wrong. Nothing is tried until something changes."""


class Retry(Outcome):
    """A transient failure. `after` is a least wait in seconds asked for by the other side (Retry-After), or None."""

    def __init__(self, reason: str, message: str, *, after: float | None = None) -> None:
        super().__init__(reason, message)
        self.after = after


class WaitUntil(Outcome):
    """Nothing is wrong; the object is to be looked at again at `at` (timezone-aware)."""

    def __init__(self, reason: str, message: str, *, at: datetime) -> None:
        super().__init__(reason, message)
        self.at = at


class InputError(PawlError):
    """A file, flag or manifest given to the command line is wrong. Exit code 2."""


class RegistryError(PawlError):
    """A registry could not be asked, or its answer cannot be used. `status` is the HTTP status where there was one."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Unauthorized(RegistryError):
    """401, or the token server gives no token for these credentials."""


class Denied(RegistryError):
    """403: the registry knows the caller and refuses."""


class Missing(RegistryError):
    """404: no such repository, tag or manifest."""


class RateLimited(RegistryError):
    """429, or 503 with Retry-After. `retry_after` is the wait in seconds; `told` says that the server named it."""

    def __init__(self, message: str, *, retry_after: float, told: bool, status: int | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after
        self.told = told


class Unreachable(RegistryError):
    """No address, no connection, a timeout, or a 5xx answer."""


class Untrusted(RegistryError):
    """TLS failed: unknown authority, wrong name, expired certificate."""


class BadAnswer(RegistryError):
    """The answer breaks the protocol: not JSON, wrong content type, looping pages, bytes that do not match a digest."""


class TooLarge(RegistryError):
    """An answer beyond its bound in bytes, tags or pages."""


class ForbiddenTarget(RegistryError):
    """An address that is never dialled (link-local, metadata, loopback in a Pod), or plain HTTP not allowed."""


class ForeignRealm(RegistryError):
    """The token realm is on a host that may not see these credentials; list it in `spec.access.tokenRealms`."""


class ClusterError(PawlError):
    """The API server refused or could not be asked. `status` is the HTTP status where there was one."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class NotFound(ClusterError):
    """404: the object, or the kind, is not there."""


class Conflict(ClusterError):
    """409: somebody else wrote first. Read again, decide again."""


class Forbidden(ClusterError):
    """403: the message names verb and resource."""


class Invalid(ClusterError):
    """400 or 422: the schema or a CEL rule said no. The message is the server's."""


class Expired(ClusterError):
    """410: the watch's resourceVersion is too old; list again."""


class ApiUnavailable(ClusterError):
    """A timeout, a 429, a 5xx or no connection. `retry_after` in seconds where the server named it."""

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class LeaseLost(PawlError):
    """This process is no longer the leader. It must exit: what it believes may be stale."""


class SandboxError(PawlError):
    """The local control plane could not be built, started or stopped. The message names the log to read."""
