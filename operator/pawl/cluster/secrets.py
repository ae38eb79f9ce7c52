"""Secrets and ServiceAccounts, read when they are used and kept for seconds; never watched, so that no right to list
them is needed. A thousand policies with one Secret cost one request.

Neighbours: controllers turn what is read here into registry credentials. Not here: the meaning of the keys.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
from binascii import Error as Base64Error
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import msgspec

from pawl.api.errors import Forbidden, Invalid, NotFound
from pawl.cluster.client import Cluster
from pawl.cluster.resources import SECRETS, SERVICE_ACCOUNTS, Resource

TTL: Final = 1.0
"""Seconds for which an answer is used again: a burst of policies shares it, and who mends a Secret does not wait."""
CAPACITY: Final = 256

T = TypeVar("T")
_Place = tuple[str, str]


class SecretData(Mapping[str, bytes]):
    """The decoded values of one Secret. Shows its keys, never its values."""

    def __init__(self, type_: str, values: Mapping[str, bytes], resource_version: str = "") -> None:
        self.type = type_
        self.resource_version = resource_version
        self._values = dict(values)

    def __getitem__(self, key: str) -> bytes:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"SecretData(type={self.type!r}, keys={sorted(self._values)})"


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """What Pawl uses of a ServiceAccount: the names of its pull secrets, in order."""

    image_pull_secrets: tuple[str, ...]


class _Meta(msgspec.Struct):
    resource_version: str = msgspec.field(name="resourceVersion", default="")


class _Secret(msgspec.Struct):
    metadata: _Meta
    type: str = "Opaque"
    data: dict[str, str] | None = None


class _Ref(msgspec.Struct):
    name: str = ""


class _Account(msgspec.Struct):
    image_pull_secrets: list[_Ref] | None = msgspec.field(name="imagePullSecrets", default=None)


_SECRET: Final = msgspec.json.Decoder(_Secret)
_ACCOUNT: Final = msgspec.json.Decoder(_Account)


class SecretReader:
    """Reads Secrets and ServiceAccounts. NotFound and Forbidden pass through, and are kept as long as an answer is."""

    def __init__(self, cluster: Cluster, ttl: float = TTL, capacity: int = CAPACITY) -> None:
        self._cluster = cluster
        self._secrets: _Kept[SecretData] = _Kept(self._read_secret, ttl, capacity)
        self._accounts: _Kept[ServiceAccount] = _Kept(self._read_account, ttl, capacity)

    async def secret(self, namespace: str, name: str) -> SecretData:
        """Return a Secret's values. Raises NotFound, Forbidden, Invalid (not base64), ApiUnavailable."""
        return await self._secrets.get((namespace, name))

    async def service_account(self, namespace: str, name: str) -> ServiceAccount:
        """Return a ServiceAccount. Raises NotFound, Forbidden, ApiUnavailable."""
        return await self._accounts.get((namespace, name))

    async def _read_secret(self, place: _Place) -> SecretData:
        secret = _decode(_SECRET, await self._cluster.get(SECRETS, *place), SECRETS, place)
        try:
            values = {key: b64decode(value, validate=True) for key, value in (secret.data or {}).items()}
        except Base64Error:
            raise Invalid(f"{SECRETS.named(*place)} holds a value that is not base64") from None
        return SecretData(secret.type, values, secret.metadata.resource_version)

    async def _read_account(self, place: _Place) -> ServiceAccount:
        account = _decode(_ACCOUNT, await self._cluster.get(SERVICE_ACCOUNTS, *place), SERVICE_ACCOUNTS, place)
        return ServiceAccount(tuple(ref.name for ref in account.image_pull_secrets or () if ref.name))


def _decode(decoder: msgspec.json.Decoder[T], raw: bytes, resource: Resource, place: _Place) -> T:
    try:
        return decoder.decode(raw)
    except msgspec.DecodeError:
        # Without a cause: msgspec quotes the path, and a later version might quote the value.
        raise Invalid(f"{resource.named(*place)} cannot be read as such an object") from None


class _Kept(Generic[T]):
    """Answers of one question, each asked by one task at a time and kept `ttl` seconds; the oldest go first."""

    def __init__(self, ask: Callable[[_Place], Awaitable[T]], ttl: float, capacity: int) -> None:
        self._ask = ask
        self._ttl = ttl
        self._capacity = capacity
        self._entries: OrderedDict[_Place, tuple[float, asyncio.Task[T]]] = OrderedDict()

    async def get(self, place: _Place) -> T:
        """Return the kept answer, that of the question under way, or a new one."""
        known = self._entries.get(place)
        task = known[1] if known is not None and not self._stale(*known) else self._start(place)
        # Shielded: a caller that goes away must not take the answer from the others.
        return await asyncio.shield(task)

    def _stale(self, begun: float, task: asyncio.Task[T]) -> bool:
        if not task.done():
            return False
        if task.cancelled() or not _lasting(task.exception()):
            return True
        return asyncio.get_running_loop().time() - begun >= self._ttl

    def _start(self, place: _Place) -> asyncio.Task[T]:
        task: asyncio.Task[T] = asyncio.create_task(self._run(place))
        task.add_done_callback(_fetch)
        self._entries[place] = (asyncio.get_running_loop().time(), task)
        self._entries.move_to_end(place)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
        return task

    async def _run(self, place: _Place) -> T:
        return await self._ask(place)


def _lasting(error: BaseException | None) -> bool:
    """Tell whether this end is an answer, which a thousand askers may share, and no hiccup."""
    return error is None or isinstance(error, (NotFound, Forbidden, Invalid))


def _fetch(task: asyncio.Task[Any]) -> None:
    """Fetch the result, so that a failure nobody waits for any more is not reported as lost."""
    if not task.cancelled():
        task.exception()
