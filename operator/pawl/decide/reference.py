"""Image references: the distribution grammar, normalised so that equal images compare equal.

The rules are those of the grammar in `distribution/reference` (written anew from its description): Docker Hub is the
default host, `library/` its default path, the first segment is a host if it is `localhost`, holds a dot or a colon,
or is not lower-case. Two rules of ours: hosts compare without case, and a digest must be whole.
Neighbours: `decide.ordering` puts the repository into the ordering's fingerprint; overrides match by segments.
Not here: whether the image exists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pawl.api.errors import Stalled
from pawl.api.reasons import Reason

DEFAULT_HOST: Final = "docker.io"
LEGACY_HOST: Final = "index.docker.io"
OFFICIAL: Final = "library/"
MAX_NAME: Final = 255
"""Greatest length of host and path together, in characters (distribution: NameTotalLengthMax)."""

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST: Final = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?")
_ATOM = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_PATH: Final = re.compile(rf"{_ATOM}(?:/{_ATOM})*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-f]{32,}")
_IDENTIFIER: Final = re.compile(r"[0-9a-f]{64}")
_HEX_LENGTH: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
# A reference longer than this is refused unread: name 255, tag 128, digest up to 256, separators.
_MAX_TEXT: Final = 1024
_SHOWN: Final = 80


class UnparsableReference(ValueError):
    """The text is no image reference. The message is one line and says what is wrong with it."""


@dataclass(frozen=True, slots=True, order=True)
class Repository:
    """A place where images are stored: host (with its port; in lower case where that is still a host), and path."""

    host: str
    path: str

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"

    def familiar(self) -> str:
        """Return the short form that people write, `nginx` for `docker.io/library/nginx`, where it reads the same."""
        rest = self.path.removeprefix(OFFICIAL)
        short = self.path if "/" in rest else rest
        same = _split_host(short) == (self.host, self.path) and not _IDENTIFIER.fullmatch(short)
        return short if same else str(self)


@dataclass(frozen=True, slots=True)
class Reference:
    """An image in normalised form. Tag and digest are None where the text named none; `latest` is never filled in."""

    host: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @property
    def repository(self) -> Repository:
        """The repository without tag and digest."""
        return Repository(self.host, self.path)

    def __str__(self) -> str:
        return f"{self.repository}{self._suffix()}"

    def familiar(self) -> str:
        """Return the short form that people write; `parse` of it gives this reference again."""
        return f"{self.repository.familiar()}{self._suffix()}"

    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        digest = f"@{self.digest}" if self.digest is not None else ""
        return tag + digest


def parse(text: str) -> Reference:
    """Parse an image reference as the distribution grammar and Docker's defaults read it.

    Raises UnparsableReference, also for digests of wrong length or case and for names over 255 characters.
    """
    if not text:
        raise UnparsableReference("the image reference is empty")
    if len(text) > _MAX_TEXT:
        raise UnparsableReference(f"the image reference has {len(text)} characters, more than any reference can have")
    name, at, digest = text.partition("@")
    if at:
        _check_digest(text, digest)
    name, tag = _split_tag(name)
    if tag is not None and not _TAG.fullmatch(tag):
        raise UnparsableReference(f"{_show(text)}: {_show(tag)} is no tag")
    if _IDENTIFIER.fullmatch(text):
        raise UnparsableReference(f"{_show(text)}: 64 hexadecimal characters are an image ID, not a name")
    repository = _repository(text, name)
    return Reference(repository.host, repository.path, tag, digest if at else None)


def parse_repository(image: str) -> Repository:
    """Parse `spec.image`: a repository without scheme, tag or digest.

    Raises Stalled(InvalidImage) with a message that says what to write instead.
    """
    if "://" in image:
        rest = image.split("://", 1)[1]
        raise _invalid_image(f"image {_show(image)} has a scheme; write it without: {_show(rest)}")
    try:
        reference = parse(image)
    except UnparsableReference as error:
        raise _invalid_image(f"{error}; write a repository such as registry.example.com/shop/web") from None
    extra = "a digest" if reference.digest is not None else "a tag" if reference.tag is not None else None
    if extra:
        written = reference.repository.familiar()
        raise _invalid_image(f"image {_show(image)} has {extra}; name the repository only: {_show(written)}")
    return reference.repository


def _invalid_image(message: str) -> Stalled:
    return Stalled(Reason.INVALID_IMAGE, message)


def _repository(text: str, name: str) -> Repository:
    host, path = _split_host(name)
    if not _HOST.fullmatch(host):
        raise UnparsableReference(f"{_show(text)}: {_show(host)} is no registry host")
    if path != path.lower():
        raise UnparsableReference(f"{_show(text)}: the repository name must be lower-case")
    if not _PATH.fullmatch(path):
        raise UnparsableReference(f"{_show(text)}: {_show(path)} is no repository name")
    if len(host) + 1 + len(path) > MAX_NAME:
        raise UnparsableReference(f"{_show(text)}: the name has more than {MAX_NAME} characters")
    return Repository(host, path)


def _split_tag(name: str) -> tuple[str, str | None]:
    """Cut the tag: what follows the last colon, unless a slash follows it (then the colon belongs to a port)."""
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag or tag.endswith("]"):
        return name, None
    return head, tag


def _split_host(name: str) -> tuple[str, str]:
    """Split a name into host and path, with Docker's defaults filled in and the host in one case."""
    first, slash, rest = name.partition("/")
    if not slash or not _is_host(first):
        host, path = DEFAULT_HOST, name
    else:
        host, path = _fold(first), rest
    if host == LEGACY_HOST:
        host = DEFAULT_HOST
    if host == DEFAULT_HOST and path and "/" not in path:
        path = OFFICIAL + path
    return host, path


def _is_host(segment: str) -> bool:
    return segment == "localhost" or "." in segment or ":" in segment or segment != segment.lower()


def _fold(host: str) -> str:
    """Give a host one spelling. `Foo/bar` names a host only by its capital: in lower case it would be a path."""
    folded = host.lower()
    return folded if _is_host(folded) else host.upper()


def _check_digest(text: str, digest: str) -> None:
    algorithm, _, encoded = digest.partition(":")
    if not _DIGEST.fullmatch(digest):
        raise UnparsableReference(f"{_show(text)}: a digest is algorithm:hex in lower case, such as sha256:<64 hex>")
    wanted = _HEX_LENGTH.get(algorithm)
    if wanted is None:
        raise UnparsableReference(f"{_show(text)}: digest algorithm {_show(algorithm)} is not known, use sha256")
    if len(encoded) != wanted:
        raise UnparsableReference(f"{_show(text)}: a {algorithm} digest has {wanted} hex digits, not {len(encoded)}")


def _show(text: str) -> str:
    """Quote text for a message: one line, escaped, cut to a length that a person reads."""
    shown = text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
    return repr(shown)
