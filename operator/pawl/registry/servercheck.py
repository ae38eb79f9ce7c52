"""Questions to a registry server of our own: does it answer, take pushes, and serve what its store holds?

Every answer is bounded in size and time, and asking leaves nothing in the store. Neighbours: `servers` dials;
`jobs.probe` and `jobs.smoke` ask from a Pod, the operator asks each Pod of a server itself. Not here: what is done
about an answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec

from pawl.api.errors import BadAnswer, Missing, RegistryError
from pawl.registry.links import next_link
from pawl.registry.manifests import ACCEPT
from pawl.registry.servers import Question, Server, Target, refused
from pawl.registry.targets import reference_target, repository_target
from pawl.registry.wire import Answer

CANARY: Final = "pawl-canary"
"""Repository in which uploads are begun to ask whether pushes are taken."""

PAGE: Final = 1000
"""Entries of a list that are asked for at once; distribution caps there."""
_MOST_PAGES: Final = 10_000
_LENGTH_ZERO: Final = ((b"Content-Length", b"0"),)
_BYTES: Final = (b"Content-Type", b"application/octet-stream")
_MANIFEST: Final = (b"Content-Type", b"application/vnd.oci.image.manifest.v1+json")
_API: Final = "docker-distribution-api-version"


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes under their digest."""

    media_type: str
    body: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        """sha256 as registries write it."""
        return f"sha256:{hashlib.sha256(self.body).hexdigest()}"


async def takes_pushes(target: Target, repository: str = CANARY) -> bool | None:
    """Whether a server takes pushes: False for a clear 405 to manifest and upload, None where it does not say.

    Never raises RegistryError: a server that cannot be asked does not say.
    """
    try:
        async with Server(target) as server:
            asked = await push_nothing(server, repository)
            if asked.status == 400:
                return True
            return await _refuses_uploads(server, repository) if asked.status == 405 else None
    except RegistryError:
        return None


async def push_nothing(server: Server, repository: str, size: int = 1) -> Answer:
    """Push a manifest of `size` bytes that is none: 400 where pushes are taken, 405 where the server is read-only.

    It leaves nothing behind. An upload that is begun and ended does: distribution forgets the bytes and keeps the state
    of their hash until its purge, and a question that is asked every minute would fill a disk with such files.
    """
    target = reference_target(repository, "manifests", "none")
    return await server.ask(Question("PUT", target, (_MANIFEST,), b" " * size))


async def _refuses_uploads(server: Server, repository: str) -> bool | None:
    answer = await begin_upload(server, repository)
    if answer.status == 202:
        await end_upload(server, answer)
    return {202: True, 405: False}.get(answer.status)


async def api_answers(server: Server, *, anonymous: bool) -> Answer:
    """Ask `/v2/`. Raises BadAnswer where what answers is no registry."""
    answer = await server.ask(Question("GET", "/v2/", anonymous=anonymous))
    if answer.status in {200, 401} and (answer.header(_API) or answer.body.strip() in {b"", b"{}"}):
        return answer
    raise BadAnswer(f"{answer.url}: HTTP {answer.status}, which is not what a registry says", status=answer.status)


async def begin_upload(server: Server, repository: str) -> Answer:
    """Begin an upload and return the answer: 202 where pushes are taken, 405 where the server is read-only."""
    target = repository_target(repository, "blobs/uploads/")
    return await server.ask(Question("POST", target, _LENGTH_ZERO))


async def end_upload(server: Server, begun: Answer) -> None:
    """End an upload that was begun, and forget its bytes. What the server says to it changes nothing."""
    await server.ask(Question("DELETE", upload_target(begun)))


def upload_target(begun: Answer) -> str:
    """Return path and query of an upload that was begun. Raises BadAnswer where it is sent to another host."""
    location = begun.header("location")
    try:
        url = begun.url.resolve(location)
    except ValueError:
        raise BadAnswer(f"{begun.url}: uploads are sent to something that is no URL", status=begun.status) from None
    if not location or url.origin != begun.url.origin:
        raise BadAnswer(
            f"{begun.url}: uploads are sent to {url.origin.scheme}://{url.origin.authority}, which is another server; "
            "let what stands before the registry pass on Host and X-Forwarded-Proto",
            status=begun.status,
        )
    return url.target


async def push_blob(server: Server, repository: str, blob: Blob) -> None:
    """Push a blob in one piece, unless it is there. Raises RegistryError with the status that was answered."""
    there = await server.ask(Question("HEAD", reference_target(repository, "blobs", blob.digest)))
    if there.status == 200:
        return
    begun = await begin_upload(server, repository)
    if begun.status != 202:
        raise refused(begun.status, f"the start of an upload to {repository}")
    target = upload_target(begun)
    target += ("&" if urlsplit(target).query else "?") + f"digest={blob.digest}"
    done = await server.ask(Question("PUT", target, (_BYTES,), blob.body))
    if done.status != 201:
        raise refused(done.status, f"the end of an upload to {repository}")


async def push_manifest(server: Server, repository: str, manifest: Blob, reference: str) -> None:
    """Push a manifest under a tag or digest. Raises RegistryError."""
    kind = (b"Content-Type", manifest.media_type.encode())
    question = Question("PUT", reference_target(repository, "manifests", reference), (kind,), manifest.body)
    answer = await server.ask(question)
    if answer.status != 201:
        raise refused(answer.status, f"manifest {repository}:{reference}")


async def manifest_digest(server: Server, repository: str, reference: str) -> str:
    """Return the digest that a tag stands for, "" where it does not exist. Raises RegistryError."""
    answer = await server.ask(Question("HEAD", reference_target(repository, "manifests", reference), ACCEPT))
    if answer.status not in {200, 404}:
        raise refused(answer.status, f"manifest {repository}:{reference}")
    return answer.header("docker-content-digest") if answer.status == 200 else ""


async def pull_manifest(server: Server, repository: str, digest: str) -> bytes:
    """Return a manifest by digest, hashed here. Raises Missing, BadAnswer where its bytes are others."""
    answer = await server.ask(Question("GET", reference_target(repository, "manifests", digest), ACCEPT))
    if answer.status != 200:
        raise refused(answer.status, f"manifest {repository}@{digest}")
    if Blob("", answer.body).digest != digest:
        raise BadAnswer(f"manifest {repository}@{digest}: the server sends other bytes")
    return answer.body


async def delete_manifest(server: Server, repository: str, digest: str) -> bool:
    """Delete a manifest by digest; False where the server does not do that. Raises RegistryError."""
    answer = await server.ask(Question("DELETE", reference_target(repository, "manifests", digest)))
    return answer.status in {202, 404}


async def catalog(server: Server, size: int = PAGE) -> AsyncIterator[Sequence[str]]:
    """Yield the repositories in pages of at most `size`. Raises RegistryError."""
    async for page in _pages(server, f"/v2/_catalog?n={size}", "repositories"):
        yield page


async def tags(server: Server, repository: str, size: int = PAGE) -> list[str]:
    """Return all tags of a repository; none where it is not there. Raises RegistryError."""
    found: list[str] = []
    try:
        async for page in _pages(server, repository_target(repository, f"tags/list?n={size}"), "tags"):
            found += page
    except Missing:
        return []
    return found


async def _pages(server: Server, target: str, key: str) -> AsyncIterator[Sequence[str]]:
    """Follow the links of a list. Raises BadAnswer where it has no end, or leads elsewhere."""
    seen: set[str] = set()
    while target not in seen and len(seen) < _MOST_PAGES:
        seen.add(target)
        answer = await server.ask(Question("GET", target))
        if answer.status != 200:
            raise refused(answer.status, str(answer.url))
        yield _listed(answer, key)
        link = next_link(answer.all("link"))
        if link is None:
            return
        target = _following(answer, link)
    raise BadAnswer(f"{server.target.url}{quote(target, safe='/?&=%')}: a list without end")


def _following(answer: Answer, link: str) -> str:
    try:
        return answer.url.resolve(link).target
    except ValueError:
        raise BadAnswer(f"{answer.url}: the next page is no URL") from None


def _listed(answer: Answer, key: str) -> list[str]:
    try:
        document = msgspec.json.decode(answer.body, type=dict[str, list[str] | str | None])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadAnswer(f"{answer.url}: the answer is no list") from None
    found = document.get(key)
    return found if isinstance(found, list) else []
