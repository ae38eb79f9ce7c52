"""Clients of a registry that go on whatever happens to it: they push, pull, delete, try again, and know what is left.

A `Shelf` holds what was promised: tags that the server acknowledged, with their digests. Neighbours: `registry_world`
makes clients. Not here: what happens to the registry.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
ACCEPT = {"Accept": f"{MANIFEST}, {INDEX}"}
REFUSED = 405
AWAY = (0, 502, 503)
PATIENCE = 240.0
"""Seconds for which a client tries one thing again."""
PAUSE = 0.1
T = TypeVar("T")
Name = tuple[str, str]
Pushed = tuple[Name, str]


class Away(Exception):
    """The registry did not do what it was asked: `status` is 0 where it did not answer."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(f"{what}: {status or 'no answer'}")
        self.status = status


def digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


class Client:
    """One user, for one thread. Raises Away."""

    def __init__(self, host: str, user: tuple[str, str], trust: ssl.SSLContext) -> None:
        self._http = httpx.Client(base_url=f"https://{host}", auth=user, verify=trust, trust_env=False, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def push(self, repository: str, tag: str, layers: tuple[bytes, ...] = ()) -> Pushed:
        """Push an image; what it consists of depends on the arguments alone."""
        bodies = [f'{{"architecture":"amd64","os":"linux","of":"{repository}:{tag}"}}'.encode()]
        bodies += layers or (f"{repository}:{tag}\n".encode() * 100,)
        found = [self.upload(repository, body) for body in bodies]
        found[0]["mediaType"] = "application/vnd.oci.image.config.v1+json"
        return self.manifest(repository, tag, {"mediaType": MANIFEST, "config": found[0], "layers": found[1:]})

    def index(self, repository: str, tag: str, children: list[str]) -> Pushed:
        """Push an index over manifests that are there."""
        listed = [{"mediaType": MANIFEST, "digest": each, "size": len(self.get(repository, each))} for each in children]
        return self.manifest(repository, tag, {"mediaType": INDEX, "manifests": listed})

    def upload(self, repository: str, body: bytes) -> dict[str, object]:
        """Push a blob and return how manifests refer to it."""
        begun = self._ask("POST", f"/v2/{repository}/blobs/uploads/", 202)
        digest = digest_of(body)
        place = httpx.URL(begun.headers["location"]).copy_merge_params({"digest": digest})
        self._ask("PUT", place, 201, content=body)
        kind = "application/vnd.oci.image.layer.v1.tar"
        return {"mediaType": kind, "digest": digest, "size": len(body)}

    def manifest(self, repository: str, tag: str, document: dict[str, object]) -> Pushed:
        """Push a manifest or an index under a tag."""
        raw = json.dumps({"schemaVersion": 2, **document}).encode()
        kind = {"Content-Type": str(document["mediaType"])}
        self._ask("PUT", f"/v2/{repository}/manifests/{tag}", 201, content=raw, headers=kind)
        return (repository, tag), digest_of(raw)

    def delete(self, repository: str, tag: str) -> None:
        """Take a tag away; one that is not there is no error."""
        try:
            self._ask("DELETE", f"/v2/{repository}/manifests/{tag}", 202)
        except Away as away:
            if away.status != 404:
                raise

    def get(self, repository: str, reference: str) -> bytes:
        """A manifest as it is."""
        return self._ask("GET", f"/v2/{repository}/manifests/{reference}", 200, headers=ACCEPT).content

    def pull(self, repository: str, reference: str) -> str:
        """Read an image with everything in it, and hold each byte against its name; the digest."""
        raw = self.get(repository, reference)
        document = json.loads(raw)
        for child in document.get("manifests", ()):
            assert self.pull(repository, child["digest"]) == child["digest"]
        for each in (*filter(None, [document.get("config")]), *document.get("layers", ())):
            blob = self._ask("GET", f"/v2/{repository}/blobs/{each['digest']}", 200).content
            assert digest_of(blob) == each["digest"], f"{repository}: other bytes than {each['digest']}"
        return digest_of(raw)

    def tags(self, repository: str) -> set[str]:
        """Tags; none of a repository that is not there."""
        try:
            listed = self._ask("GET", f"/v2/{repository}/tags/list?n=1000", 200).json().get("tags")
        except Away as away:
            if away.status != 404:
                raise
            listed = None
        return set(listed or ())

    def repositories(self) -> set[str]:
        return set(self._ask("GET", "/v2/_catalog?n=1000", 200).json()["repositories"])

    def _ask(self, method: str, path: str | httpx.URL, wanted: int, **more: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **more)
        except httpx.TransportError as error:
            raise Away(0, f"{method} {path}") from error
        if answer.status_code != wanted:
            raise Away(answer.status_code, f"{method} {path}")
        return answer


@dataclass
class Shelf:
    """What a registry must hold: digests by repository and tag. Used by one pusher and one puller."""

    held: dict[Name, str] = field(default_factory=dict)
    gone: set[Name] = field(default_factory=set)
    """Tags that were deleted."""

    def add(self, *pushed: Pushed) -> None:
        for name, digest in pushed:
            self.held[name] = digest
            self.gone.discard(name)

    def drop(self, name: Name) -> None:
        self.held.pop(name, None)
        self.gone.add(name)

    def compare(self, client: Client) -> None:
        """Assert that exactly this is served."""
        for repository in {name for name, _ in (*self.held, *self.gone)}:
            wanted = {tag for name, tag in self.held if name == repository}
            assert client.tags(repository) == wanted, repository
        for (repository, tag), digest in sorted(self.held.items()):
            assert client.pull(repository, tag) == digest, f"{repository}:{tag}"


@dataclass
class Busy:
    """What clients met while they went on. `longest`: seconds for which pulls failed without a break."""

    pulls: int = 0
    pushes: int = 0
    refused: int = 0
    """Pushes and deletions that met 405 and were tried again."""
    failed_pulls: int = 0
    longest: float = 0.0
    errors: list[str] = field(default_factory=list)


@contextmanager
def busy(pusher: Client, puller: Client, shelf: Shelf, repository: str, pause: float = 0.15) -> Iterator[Busy]:
    """One client pushes new tags and deletes some, another pulls what was there before, until the block ends."""
    met, over, steady = Busy(), threading.Event(), dict(shelf.held)
    threads = [
        threading.Thread(target=_guarded, args=(met, lambda: _push(pusher, shelf, repository, met, over, pause))),
        threading.Thread(target=_guarded, args=(met, lambda: _pull(puller, steady, met, over, pause))),
    ]
    for thread in threads:
        thread.start()
    try:
        yield met
    except AssertionError as error:
        raise AssertionError(f"{error}; the clients: {met}") from error
    finally:
        over.set()
        for thread in threads:
            thread.join(PATIENCE + 10)
    assert not met.errors, met.errors


def _guarded(met: Busy, work: Callable[[], None]) -> None:
    try:
        work()
    except (Away, AssertionError) as error:
        met.errors.append(str(error))


def _push(client: Client, shelf: Shelf, repository: str, met: Busy, over: threading.Event, pause: float) -> None:
    number = 0
    while not over.is_set():
        number += 1
        name = (repository, f"n{number}")
        shelf.add(persist(partial(client.push, *name), met))
        met.pushes += 1
        if number % 3 == 0:
            old = (repository, f"n{number - 1}")
            persist(partial(client.delete, *old), met)
            shelf.drop(old)
        over.wait(pause)


def _pull(client: Client, steady: dict[Name, str], met: Busy, over: threading.Event, pause: float) -> None:
    away = 0.0
    while not over.is_set():
        for (repository, tag), digest in steady.items():
            try:
                assert client.pull(repository, tag) == digest
                met.pulls, away = met.pulls + 1, 0.0
            except Away as error:
                if error.status not in AWAY:
                    raise
                met.failed_pulls += 1
                away = away or time.monotonic()
                met.longest = max(met.longest, time.monotonic() - away)
        over.wait(pause)


def persist(act: Callable[[], T], met: Busy | None = None, patience: float = PATIENCE) -> T:
    """Do something as a client does that tries again: 405 and no answer are met with another try."""
    end, counted = time.monotonic() + patience, False
    while True:
        try:
            return act()
        except Away as away:
            if away.status == REFUSED and met is not None and not counted:
                met.refused, counted = met.refused + 1, True
            if away.status not in (REFUSED, *AWAY) or time.monotonic() > end:
                raise
        time.sleep(PAUSE)
