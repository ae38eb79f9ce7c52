"""The leader's copy of the ledgers: one read, no needless write, nothing unreadable kept."""

from __future__ import annotations

import json

import pytest
from tests.unit.cluster.memory_api import MemoryApi, status

from pawl.api.errors import Conflict, Retry, Stalled
from pawl.api.ledger import Ledger
from pawl.cluster.calls import Answer, Request
from pawl.cluster.client import Options
from pawl.cluster.ledgers import LedgerStore
from pawl.controllers.ledgerbook import LedgerBook
from pawl.controllers.queue import Key

WEB = Key("ImagePolicy", "default", "web")
PATH = "/api/v1/namespaces/default/configmaps/pawl-ledger-web"
ONE = Ledger(image="r.example.com/web", nonces=["one"])
TWO = Ledger(image="r.example.com/web", nonces=["one", "two"])


@pytest.fixture
def api() -> MemoryApi:
    return MemoryApi()


@pytest.fixture
def book(api: MemoryApi) -> LedgerBook:
    return LedgerBook(LedgerStore(api.cluster()))


def by_hand(api: MemoryApi, text: str) -> None:
    api.put(PATH, {**api.objects[PATH], "data": {"ledger": text}})


async def test_it_is_read_once(api: MemoryApi, book: LedgerBook) -> None:
    assert [await book.read(WEB), await book.read(WEB)] == [None, None]
    assert api.verbs == {"get": 1}


async def test_it_is_written_only_where_it_says_something_new(api: MemoryApi, book: LedgerBook) -> None:
    await book.read(WEB)
    assert [await book.write(WEB, ONE), await book.write(WEB, ONE), await book.write(WEB, TWO)] == [True, False, True]
    assert api.verbs == {"get": 1, "create": 1, "patch": 1}
    assert await book.read(WEB) == TWO
    assert json.loads(api.objects[PATH]["data"]["ledger"])["nonces"] == ["one", "two"]


async def test_a_ledger_of_another_writer_is_a_conflict_and_then_read_anew(api: MemoryApi, book: LedgerBook) -> None:
    await book.read(WEB)
    await book.write(WEB, ONE)
    by_hand(api, TWO.model_dump_json(by_alias=True))
    with pytest.raises(Conflict):
        await book.write(WEB, ONE.model_copy(update={"nonces": ["one", "three"]}))
    assert await book.read(WEB) == TWO


async def test_a_ledger_deleted_by_hand_is_a_conflict_and_then_made(api: MemoryApi, book: LedgerBook) -> None:
    await book.read(WEB)
    await book.write(WEB, ONE)
    del api.objects[PATH]
    with pytest.raises(Conflict):
        await book.write(WEB, TWO)
    assert await book.read(WEB) is None
    assert await book.write(WEB, TWO)


async def test_what_cannot_be_read_is_stalled_until_it_is_mended(api: MemoryApi, book: LedgerBook) -> None:
    """The words are read again at every look: nobody tells the operator that the user has mended them."""
    await book.read(WEB)
    await book.write(WEB, ONE)
    by_hand(api, "{")
    book.forget(WEB)
    for _ in range(2):
        with pytest.raises(Stalled, match=r"pawl-ledger-web holds no ledger; restore it, or delete it") as caught:
            await book.read(WEB)
        assert caught.value.reason == "LedgerInvalid"
    by_hand(api, TWO.model_dump_json(by_alias=True))
    assert await book.read(WEB) == TWO


async def test_an_emptied_ledger_is_none(api: MemoryApi, book: LedgerBook) -> None:
    await book.read(WEB)
    await book.write(WEB, ONE)
    by_hand(api, "")
    book.forget(WEB)
    assert await book.read(WEB) is None
    assert await book.write(WEB, TWO), "over the emptied one, by its version"


async def test_fields_of_a_later_version_are_passed_over(api: MemoryApi, book: LedgerBook) -> None:
    await book.write(WEB, ONE)
    by_hand(api, json.dumps({**ONE.wire(), "flavour": "new"}))
    book.forget(WEB)
    assert await book.read(WEB) == ONE


async def test_a_missing_right_and_a_failure_are_outcomes(api: MemoryApi) -> None:
    code = 403

    async def refuse(_request: Request) -> Answer:
        return status(code, "Forbidden", "no")

    book = LedgerBook(LedgerStore(api.cluster(refuse, Options(tries=1))))
    with pytest.raises(Stalled, match="ConfigMap pawl-ledger-web") as caught:
        await book.read(WEB)
    assert caught.value.reason == "MissingRight"
    code = 500
    with pytest.raises(Retry, match="ConfigMap pawl-ledger-web"):
        await book.read(WEB)


async def test_filled_it_reads_nothing_more_and_takes_what_is_not_listed_as_absent(
    api: MemoryApi, book: LedgerBook
) -> None:
    await LedgerStore(api.cluster()).write("default", "web", ONE.model_dump_json(by_alias=True), None)
    await book.fill(("default",))
    assert await book.read(WEB) == ONE
    assert await book.read(Key("ImagePolicy", "default", "other")) is None
    assert api.verbs == {"create": 1, "list": 1}


async def test_a_ledger_that_the_list_missed_is_found_by_the_write_that_would_create_it(
    api: MemoryApi, book: LedgerBook
) -> None:
    await book.fill(("default",))
    await LedgerStore(api.cluster()).write("default", "web", TWO.model_dump_json(by_alias=True), None)
    assert await book.read(WEB) is None
    with pytest.raises(Conflict):
        await book.write(WEB, ONE)
    assert await book.read(WEB) == TWO


async def test_a_forgotten_ledger_is_read_anew_also_after_a_fill(api: MemoryApi, book: LedgerBook) -> None:
    await book.fill(("default",))
    await LedgerStore(api.cluster()).write("default", "web", TWO.model_dump_json(by_alias=True), None)
    book.forget(WEB)
    assert await book.read(WEB) == TWO
