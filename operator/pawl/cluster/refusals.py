"""What the API server's refusals mean: an HTTP status and a `metav1.Status` become one error with one sentence. Pure.

Neighbours: `client` raises what is made here. Not here: retries.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from pawl.api.errors import ApiUnavailable, ClusterError, Conflict, Expired, Forbidden, Invalid, NotFound
from pawl.api.meta import GROUP
from pawl.cluster.calls import Answer, Request

MESSAGE_BYTES: Final = 1024
"""Conditions and events hold at most this much; what the server says is cut to it."""

_USER: Final = re.compile(r'User "([^"]{1,253})" cannot ')
_UNAVAILABLE: Final = 500


class _Cause(msgspec.Struct):
    reason: str = ""
    message: str = ""


class _Details(msgspec.Struct):
    name: str = ""
    causes: list[_Cause] | None = None
    retry_after: int | None = msgspec.field(name="retryAfterSeconds", default=None)


class _Status(msgspec.Struct):
    message: str | None = None
    details: _Details | None = None


_DECODER: Final = msgspec.json.Decoder(_Status)


def one_line(text: str, limit: int = MESSAGE_BYTES) -> str:
    """Return `text` on one line and cut to `limit` bytes of UTF-8."""
    flat = " ".join(text.split())
    raw = flat.encode()
    return flat if len(raw) <= limit else raw[: limit - 3].decode(errors="ignore") + "..."


def error_of(request: Request, answer: Answer) -> ClusterError:
    """Return the error that a refusing answer stands for. The caller raises it."""
    status = _status(answer.body)
    said = one_line(status.message or _plain(answer.body) or f"HTTP {answer.status}")
    if answer.status == 429 or answer.status >= _UNAVAILABLE:
        said = " ".join([said, *_budgets(status)])
        told = status.details.retry_after if status.details else None
        return _unavailable(request, answer, said, told)
    if answer.status in (401, 403):
        return _forbidden(request, answer.status, said)
    if answer.status == 404:
        return NotFound(_not_found(request, status), status=404)
    if answer.status == 409:
        return Conflict(f"{request.target}: {said}", status=409)
    if answer.status == 410:
        return Expired(f"{request.target}: {said}", status=410)
    named = request.name is None or request.name in said
    return Invalid(said if named else one_line(f"{request.target}: {said}"), status=answer.status)


def _budgets(status: _Status) -> list[str]:
    """What disruption budgets say of an eviction; the message itself does not name them."""
    causes = (status.details.causes if status.details else None) or ()
    return [each.message for each in causes if each.reason == "DisruptionBudget"]


def _unavailable(request: Request, answer: Answer, said: str, told: int | None) -> ApiUnavailable:
    wait = answer.retry_after if answer.retry_after is not None else told
    message = f"the API server could not {request.verb} {request.target} (HTTP {answer.status}): {said}"
    return ApiUnavailable(one_line(message), status=answer.status, retry_after=wait)


def _forbidden(request: Request, status: int, said: str) -> Forbidden:
    if status == 401:
        return Forbidden(
            f"the API server does not accept these credentials to {request.verb} {request.target}: "
            "renew the kubeconfig or the ServiceAccount's token",
            status=status,
        )
    user = _USER.search(said)
    if user is None:  # quota, a terminating namespace, an admission plugin: a right would not help
        return Forbidden(one_line(f"may not {request.verb} {request.target}: {said}"), status=status)
    return Forbidden(one_line(_missing_right(request, user.group(1))), status=status)


def _missing_right(request: Request, user: str) -> str:
    where = f" in namespace {request.namespace}" if request.namespace else " in all namespaces"
    scope = where if request.resource.namespaced else ""
    return (
        f"may not {request.verb} {request.right}{scope}: grant {user} the verb {request.verb!r} "
        f"on {request.right!r} in API group {request.resource.group!r}"
    )


def _not_found(request: Request, status: _Status) -> str:
    if status.message is None or status.message.startswith("the server could not find the requested resource"):
        way = "apply the output of `pawl crds`" if request.resource.group == GROUP else "install its definition"
        return f"{request.resource.qualified} is not served by this cluster: {way} first"
    if status.details is not None and status.details.name == request.name:
        return f"{request.target} does not exist"
    return one_line(f"{request.target}: {status.message}")  # its namespace, most often


def _status(body: bytes) -> _Status:
    try:
        return _DECODER.decode(body)
    except msgspec.DecodeError:
        return _Status()


def _plain(body: bytes) -> str:
    """What a proxy or the server itself said outside of JSON, such as `404 page not found`."""
    return body[:MESSAGE_BYTES].decode(errors="replace")
