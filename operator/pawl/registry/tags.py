"""Reading a whole tag list, page by page, within bounds.

A list is whole or it is an error: any page that fails fails the scan, because half a list looks like deleted tags.
Registries differ: some ignore `n` and send all, some cap pages, cursors may be opaque, some
answer 404 to a `last` of one's own making. So a page asks for 1,000 and the next URL is the one the registry wrote,
checked.
Neighbours: `client.list_tags` is the door, `scans` shares its results. Not here: which tags are any good.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from pawl.api.errors import BadAnswer, TooLarge
from pawl.decide.shortlist import revision as tag_revision
from pawl.registry.answers import decode
from pawl.registry.budgets import Budget
from pawl.registry.exchange import Ask, Exchange, Redirects
from pawl.registry.links import next_link
from pawl.registry.targets import Access, Url, repository_target
from pawl.registry.wire import Answer, Header

PAGE_SIZE = 1000  # ECR refuses more (google/go-containerregistry#681); distribution caps there
MAX_PAGES = 1000
MAX_BYTES = 64 * 1024 * 1024
MAX_TAGS = 1_000_000
_EMPTY_PAGES = 10  # in a row: some registries filter after they cut pages

_HEADERS: tuple[Header, ...] = ((b"Accept", b"application/json"), (b"Accept-Encoding", b"gzip"))


@dataclass(frozen=True, slots=True, weakref_slot=True)
class TagList:
    """A repository's tags, whole.

    Attributes:
        tags: distinct, in the registry's order. None only if `unchanged`.
        revision: see `decide.shortlist.revision`.
        count: how many distinct tags.
        unchanged: the registry said 304 to the ETag of the list that `known_revision` names.
        complete: always True; a list that could not be read to its end is an error.
        bytes: received from the network.
        pages: requests that brought a page.

    """

    tags: tuple[str, ...] | None = field(repr=False)
    revision: str
    count: int
    bytes: int
    pages: int
    unchanged: bool = False
    complete: bool = True
    etag: str = field(default="", repr=False)


class _Page(msgspec.Struct):
    tags: list[str] | msgspec.UnsetType | None = msgspec.UNSET


@dataclass(slots=True)
class _Walk:
    """What was read so far."""

    what: str
    tags: dict[str, None] = field(default_factory=dict)  # a set that keeps the order
    seen: set[str] = field(default_factory=set)
    bytes: int = 0
    weight: int = 0  # bytes, unpacked
    pages: int = 0
    empty: int = 0

    def take(self, answer: Answer) -> bool:
        """Add a page. False if it brought nothing new."""
        page = decode(answer, _Page, self.what).tags
        if isinstance(page, msgspec.UnsetType):
            raise BadAnswer(f"{self.what}: the answer holds no list of tags")
        before = len(self.tags)
        self.tags.update(dict.fromkeys(page or ()))
        self.bytes += answer.received
        self.weight += max(answer.received, len(answer.body))
        self.pages += 1
        self.empty = 0 if page else self.empty + 1
        if len(self.tags) > MAX_TAGS:
            raise TooLarge(f"{self.what}: more than {MAX_TAGS} tags")
        return len(self.tags) > before or not page

    def enter(self, url: Url) -> None:
        """Note a page before it is asked for.

        Raises:
            BadAnswer: it was asked for before.
            TooLarge: one page too many.

        """
        if str(url) in self.seen:
            raise BadAnswer(f"{self.what}: the pages go round in a circle")
        if self.pages >= MAX_PAGES:
            raise TooLarge(f"{self.what}: more than {MAX_PAGES} pages")
        self.seen.add(str(url))

    def result(self, etag: str) -> TagList:
        """The list, if this was all."""
        revision = tag_revision(self.tags)
        return TagList(tuple(self.tags), revision, len(self.tags), self.bytes, self.pages, etag=etag)


async def read_tags(exchange: Exchange, access: Access, path: str, *, etag: str, seconds: float) -> TagList | None:
    """The whole list, in at most `seconds` of network time; None if the registry says 304 to `etag`.

    Raises:
        RegistryError: one of its subclasses.

    """
    budget = Budget(seconds, "limit of one scan")
    walk = _Walk(f"tags of {access.endpoint.host}/{path}")
    url: Url | None = access.url(repository_target(path, f"tags/list?n={PAGE_SIZE}"))
    answer: Answer | None = None
    while url is not None:
        walk.enter(url)
        answer = await exchange.fetch(access, _ask(walk, url, path, etag), budget)
        if answer.status == 304:
            if not etag:
                raise BadAnswer(f"{walk.what}: the registry answered 304 to a question without condition")
            return None
        etag = ""
        url = _following(walk, answer, grew=walk.take(answer))
    single = answer is not None and walk.pages == 1
    return walk.result(answer.header("etag") if single and answer is not None else "")


def _ask(walk: _Walk, url: Url, path: str, etag: str) -> Ask:
    headers = (*_HEADERS, (b"If-None-Match", etag.encode())) if etag else _HEADERS
    return Ask("GET", url, path, walk.what, MAX_BYTES - walk.weight, headers, Redirects.LIST)


def _following(walk: _Walk, answer: Answer, *, grew: bool) -> Url | None:
    """The next page's URL, checked, or None at the end."""
    link = next_link(answer.all("link"))
    if link is None:
        return None
    if not grew or walk.empty > _EMPTY_PAGES:
        raise BadAnswer(f"{walk.what}: page {walk.pages} brings no new tag and links to another page")
    try:
        url = answer.url.resolve(link)
    except ValueError:
        raise BadAnswer(f"{walk.what}: the link to the next page is no URL") from None
    if url.origin != answer.url.origin:
        raise BadAnswer(
            f"{walk.what}: the next page is on {url.origin.scheme}://{url.origin.host_port}, not on this registry; if "
            "a proxy stands before it, let it pass Host and X-Forwarded-Proto"
        )
    return url
