"""A request to a registry with everything around it: authorization, one second try after a 401, redirects.

Credentials stay with the host they are for: a hop to another scheme, host or port loses the Authorization header for
good, and a 401 from there is not answered.
Neighbours: `tags`, `manifests` and `client` ask through it; `wire` sends each hop. Not here: meaning of bodies.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pawl import __version__
from pawl.api.errors import BadAnswer, ForbiddenTarget
from pawl.registry.answers import raise_for_status
from pawl.registry.budgets import Budget
from pawl.registry.challenges import parse_challenges
from pawl.registry.realms import list_may_move
from pawl.registry.targets import Access, Origin, Url
from pawl.registry.tokens import TokenBroker
from pawl.registry.wire import Answer, Header, Outgoing, Wire

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_ALWAYS: tuple[Header, ...] = ((b"User-Agent", f"pawl/{__version__}".encode()),)


class Redirects(Enum):
    """Where an answer may send us."""

    SAME_ORIGIN = "same origin"
    LIST = "same origin, or where known registries keep their lists"
    ANYWHERE = "anywhere that may be dialled: manifests and blobs come from storage"


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to a registry. `path` is the repository a token is for; `what` names the thing in messages."""

    method: str
    url: Url
    path: str
    what: str
    limit: int
    headers: tuple[Header, ...] = ()
    redirects: Redirects = Redirects.SAME_ORIGIN


class Exchange:
    """Asks registries. One for a process."""

    def __init__(self, wire: Wire, broker: TokenBroker) -> None:
        self._wire = wire
        self._broker = broker

    async def fetch(self, access: Access, ask: Ask, budget: Budget | None = None) -> Answer:
        """The answer, with status 200 or 304. It takes `endpoint.timeout` seconds at most, and no more than `budget`.

        Raises:
            RegistryError: one of its subclasses; see `pawl.api.errors`.

        """
        seconds = access.endpoint.timeout
        spend = budget.within(seconds, "spec.timeout") if budget else Budget(seconds, "spec.timeout")
        header = await self._broker.known(access, ask.path)
        answer = await self._follow(access, ask, header, spend)
        if answer.status == 401 and answer.url.origin == ask.url.origin == access.origin:
            challenges = parse_challenges(answer.all("www-authenticate"))
            better = await self._broker.after_401(access, ask.path, challenges, header)
            if better is not None:
                answer = await self._follow(access, ask, better, spend)
        raise_for_status(answer, ask.what, access)
        return answer

    async def _follow(self, access: Access, ask: Ask, header: bytes | None, budget: Budget) -> Answer:
        url, authorization = ask.url, header
        for _ in range(_MOST_REDIRECTS + 1):
            if url.origin != access.origin:
                authorization = None  # for good: coming back does not bring it back
            answer = await self._wire.send(_outgoing(access, ask, url, authorization), budget)
            if answer.status not in _REDIRECTS:
                return answer
            url = _next(ask, answer)
        raise BadAnswer(f"{ask.what}: more than {_MOST_REDIRECTS} redirects")


def _outgoing(access: Access, ask: Ask, url: Url, authorization: bytes | None) -> Outgoing:
    headers = (*_ALWAYS, *ask.headers)
    if authorization is not None:
        headers = (*headers, (b"Authorization", authorization))
    return Outgoing(ask.method, url, access.endpoint, ask.limit, headers)


def _next(ask: Ask, answer: Answer) -> Url:
    """Where a redirect leads.

    Raises:
        BadAnswer: no URL, or from TLS to plain HTTP.
        ForeignRealm: another host, where this question may not be moved.

    """
    here = answer.url.origin
    try:
        url = answer.url.resolve(answer.header("location"))
    except ValueError:
        raise BadAnswer(f"{ask.what}: {here.authority} redirects to something that is no URL") from None
    if here.scheme == "https" and url.origin.scheme == "http":
        raise ForbiddenTarget(f"{ask.what}: {here.authority} redirects from TLS to plain HTTP; this is never followed")
    if not _may_move(ask.redirects, here, url.origin):
        raise BadAnswer(
            f"{ask.what}: {here.authority} redirects to {url.origin.authority}, which is not followed here; if that is "
            "the registry, name it in spec.image"
        )
    return url


def _may_move(redirects: Redirects, here: Origin, there: Origin) -> bool:
    if redirects is Redirects.ANYWHERE:
        return True
    return here == there if redirects is Redirects.SAME_ORIGIN else list_may_move(here, there)
