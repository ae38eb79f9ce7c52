"""What an answer of a registry means: statuses to errors, bodies to values.

Messages carry the registry's error *code*, if it is a known one, never its free text: a hostile registry could write
the credentials it was shown into it, and the message ends in a status that many can read.
Not here: I/O.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from pawl.api.errors import BadAnswer, Denied, Missing, RegistryError, Unauthorized, Unreachable
from pawl.registry.targets import Access
from pawl.registry.wire import Answer

T = TypeVar("T")

_CODES = frozenset(
    {
        "BLOB_UNKNOWN",
        "DENIED",
        "MANIFEST_INVALID",
        "MANIFEST_UNKNOWN",
        "NAME_INVALID",
        "NAME_UNKNOWN",
        "PAGINATION_NUMBER_INVALID",
        "TAG_INVALID",
        "TOOMANYREQUESTS",
        "UNAUTHORIZED",
        "UNAVAILABLE",
        "UNKNOWN",
        "UNSUPPORTED",
    }
)
"""Error codes of the distribution specification and its reference server, as far as a reader can meet them."""


class _Error(msgspec.Struct):
    code: str = ""


class _Errors(msgspec.Struct):
    errors: list[_Error] | None = None


def refusal(answer: Answer, what: str, access: Access) -> RegistryError | None:
    """The error that a status stands for, or None for 200 and 304. `what` names the thing asked for.

    429, and 503 with Retry-After, were judged before (`wire`).
    """
    status, code = answer.status, _code(answer.body)
    if status in {200, 304}:
        return None
    if status == 401:
        return Unauthorized(f"{what}: not authorized{code}; {_who(access)}", status=401)
    if status == 403:
        return Denied(f"{what}: access denied{code}; {_who(access)}", status=403)
    if status == 404:
        return Missing(f"{what}: not found{code}", status=404)
    if status >= 500:
        return Unreachable(f"{what}: the registry failed with {status}{code}", status=status)
    return BadAnswer(f"{what}: the registry answered {status}{code}", status=status)


def raise_for_status(answer: Answer, what: str, access: Access) -> None:
    """Raise the error that `refusal` finds."""
    error = refusal(answer, what, access)
    if error is not None:
        raise error


def decode(answer: Answer, kind: type[T], what: str) -> T:
    """The body as JSON of a shape.

    Raises:
        BadAnswer: HTML (a login page, a portal), no JSON, or another shape.

    """
    refuse_html(answer, what)
    return decode_bytes(answer.body, kind, what)


def decode_bytes(body: bytes, kind: type[T], what: str) -> T:
    """Bytes as JSON of a shape. Raises BadAnswer."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise BadAnswer(f"{what}: the answer has an unexpected shape ({error})") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadAnswer(f"{what}: the answer is not JSON") from None


def refuse_html(answer: Answer, what: str) -> None:
    """Raise BadAnswer for a page made for people: what answers there is no registry, or a portal in front of it."""
    kind = media_type(answer)
    if kind in {"text/html", "application/xhtml+xml"}:
        raise BadAnswer(
            f"{what}: the answer is a web page ({kind}), not a registry's; check host and path of the image"
        )


def media_type(answer: Answer) -> str:
    """The content type without parameters, lower case."""
    return answer.header("content-type").partition(";")[0].strip().lower()


def _code(body: bytes) -> str:
    try:
        errors: Any = msgspec.json.decode(body, type=_Errors).errors
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    code = errors[0].code if errors else ""
    return f" ({code})" if code in _CODES else ""


def _who(access: Access) -> str:
    if access.credentials.anonymous:
        return "no credentials were used: name a Secret in spec.access.pullSecretRef"
    return "check the credentials in spec.access.pullSecretRef and their rights on this repository"
