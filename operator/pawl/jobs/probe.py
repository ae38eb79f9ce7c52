"""Proves that a registry can be reached, trusted, logged in to and pushed to, as any client in the cluster would do.

Proofs stand in the order in which a push meets them: DNS, TCP, TLS, API, Auth, Push. Each failing one says what to
change, and those after it are not tried. A server that is read-only now is no failure. The pull is proved elsewhere: a
Pod on another node pulls what was pushed here. Neighbours: `dialling` proves the connection, `canaryimage` makes the
image, `registry.servercheck` asks. Not here: conditions.
"""

from __future__ import annotations

import contextlib
import platform
import secrets
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pawl.api.errors import InputError, RegistryError
from pawl.api.reasons import Reason
from pawl.api.registrywork import Endpoint, Order, Report, Step, Task
from pawl.jobs.canaryimage import canary_image, children_of
from pawl.jobs.dialling import DNS, TCP, TLS, Dialled, connects, resolves, trusted
from pawl.jobs.progress import Tell
from pawl.registry import servercheck
from pawl.registry.credentials import ANONYMOUS, Credentials
from pawl.registry.servercheck import CANARY
from pawl.registry.servers import Server, Target
from pawl.registry.wire import Answer

API: Final = "API"
AUTH: Final = "Auth"
PUSH: Final = "Push"
NAMES: Final = (DNS, TCP, TLS, API, AUTH, PUSH)

TAG: Final = "newest"
"""Tag of the image that was pushed last, by which the next probe finds and deletes it."""

_SECONDS: Final = 20.0
_BODY: Final = 2 * 1024 * 1024
"""Bytes of one request that must pass: an Ingress that bounds bodies does so at 1 MiB, distribution at 4."""

_WAYS: Final = MappingProxyType(
    {
        401: "the user may not push: see the Secret that spec.access.users names",
        403: "something before the registry forbids it: see the Ingress or proxy in spec.access.service",
        413: "something before the registry bounds the size of a request: set its limit to none, as on an Ingress of "
        "nginx with proxy-body-size: '0'",
        504: "something before the registry gives up too soon: raise its timeouts, as on an Ingress of nginx with "
        "proxy-read-timeout and proxy-send-timeout, and turn request buffering off",
    }
)
"""What to change, by status."""


class _Failed(Exception):
    """A proof failed; its argument is the sentence."""


@dataclass(frozen=True, slots=True)
class _Proof:
    """What is proved about one server, and what came of it."""

    target: Target
    repository: str


async def probe(order: Order, tell: Tell) -> Report:
    """Try all proofs. Raises InputError where the order names no server."""
    if order.endpoint is None:
        raise InputError("the order names no server to probe")
    proof = _Proof(target_of(order.endpoint, _SECONDS), order.canary or CANARY)
    steps: list[Step] = []
    for name, prove in _proofs(proof):
        failed = bool(steps) and not steps[-1].ok
        steps.append(Step(name=name, ok=False, message="not tried") if failed else await prove())
        tell(_report(order, steps, done=False))
    return _report(order, steps, done=True)


def _proofs(proof: _Proof) -> list[tuple[str, Callable[[], Awaitable[Step]]]]:
    target, dialled = proof.target, Dialled.of(proof.target)
    return [
        (DNS, lambda: resolves(dialled, _SECONDS)),
        (TCP, lambda: connects(dialled, _SECONDS)),
        (TLS, lambda: trusted(dialled, target.ca_pem, _SECONDS)),
        (API, lambda: _asked(API, proof, _api)),
        (AUTH, lambda: _asked(AUTH, proof, _auth)),
        (PUSH, lambda: _asked(PUSH, proof, _push)),
    ]


async def _asked(name: str, proof: _Proof, question: Callable[[Server, str], Awaitable[str]]) -> Step:
    """Ask a server and turn what goes wrong into a sentence."""
    try:
        async with Server(proof.target) as server:
            return Step(name=name, ok=True, message=await question(server, proof.repository))
    except _Failed as error:
        return Step(name=name, ok=False, message=str(error))
    except RegistryError as error:
        way = _WAYS.get(error.status or 0, "see the log of the server's Pod, and what stands before it")
        return Step(name=name, ok=False, message=f"{error}: {way}")


async def _api(server: Server, repository: str) -> str:
    del repository
    try:
        await servercheck.api_answers(server, anonymous=True)
    except RegistryError as error:
        raise _Failed(
            f"{error}: something else answers at {server.target.url}; correct spec.access.host and what the Service or "
            "Ingress of that name leads to"
        ) from None
    return f"{server.target.url}/v2/ answers"


async def _auth(server: Server, repository: str) -> str:
    del repository
    answer = await servercheck.api_answers(server, anonymous=False)
    if answer.status == 200:
        return "no users are asked for" if server.target.credentials.anonymous else "the credentials are accepted"
    if server.target.credentials.anonymous:
        raise _Failed("the server asks for a user and Pawl has none: set spec.access.users, or see who answers there")
    raise _Failed(
        f"the server refuses user {server.target.credentials.username}: its htpasswd and the Secret with the users do "
        "not agree; see the Secret that spec.access.users names, and wait a minute after a change"
    )


async def _push(server: Server, repository: str) -> str:
    passed = await servercheck.push_nothing(server, repository, _BODY)
    if passed.status == 405:
        return "read-only now: pushes are refused with 405, pulls go on"
    if passed.status != 400:
        raise _Failed(_not_pushed(passed))
    image = canary_image(secrets.token_hex(8), platform.machine())
    before, digest = await servercheck.manifest_digest(server, repository, TAG), image.index.digest
    for blob in image.blobs:
        await servercheck.push_blob(server, repository, blob)
    for manifest in image.manifests:
        await servercheck.push_manifest(server, repository, manifest, manifest.digest)
    await servercheck.push_manifest(server, repository, image.index, TAG)
    await servercheck.pull_manifest(server, repository, digest)
    if before and before != digest:
        await _forget(server, repository, before)
    return f"pushed and read back {server.target.endpoint.origin.authority}/{repository}@{digest}"


async def _forget(server: Server, repository: str, digest: str) -> None:
    """Delete an image that was pushed before. What cannot be deleted is left to a collection."""
    with contextlib.suppress(RegistryError):
        children = children_of(await servercheck.pull_manifest(server, repository, digest))
        for each in (digest, *children):
            await servercheck.delete_manifest(server, repository, each)


def _not_pushed(answer: Answer) -> str:
    way = _WAYS.get(answer.status, "see the log of the server's Pod, and what stands before it")
    return f"a push is answered with {answer.status}: {way}"


def _report(order: Order, steps: Sequence[Step], *, done: bool) -> Report:
    bad = next((step for step in steps if not step.ok), None)
    ok = done and bad is None
    reason = Reason.PROVED if ok else Reason.NOT_PROVED if bad else Reason.PROVING
    return Report(
        task=Task.PROBE,
        id=order.id,
        done=done,
        ok=ok,
        reason=reason,
        message=f"{bad.name}: {bad.message}" if bad else "",
        steps=list(steps),
        reference=_reference(steps),
    )


def _reference(steps: Sequence[Step]) -> str:
    """The image that was pushed, as the last word of its sentence."""
    pushed = next((step.message for step in steps if step.name == PUSH and step.ok), "")
    return pushed.rpartition(" ")[2] if "@sha256:" in pushed else ""


def target_of(endpoint: Endpoint, seconds: float) -> Target:
    """Read CA and credentials of a server from their files. Raises InputError where they are named and not there."""
    target = Target(
        endpoint.url,
        endpoint.address,
        _text(endpoint.ca_file) if endpoint.ca_file else "",
        _credentials(endpoint.credentials) if endpoint.credentials else ANONYMOUS,
        seconds,
    )
    try:
        Dialled.of(target)
        if target.ca_pem:
            ssl.create_default_context(cadata=target.ca_pem)
    except ValueError:
        raise InputError(f"{endpoint.url} with address {endpoint.address!r} is no server") from None
    except ssl.SSLError:
        raise InputError(f"{endpoint.ca_file} holds no PEM certificate") from None
    return target


def _credentials(directory: str) -> Credentials:
    return Credentials(_text(f"{directory}/username").strip(), _text(f"{directory}/password").strip())


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no text"
        raise InputError(f"cannot read {path}: {why}") from error
