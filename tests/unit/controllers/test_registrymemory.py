"""The memory of a registry in two copies: the greater one counts, and nobody overwrites what he did not read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.unit.controllers.registry_doubles import ApplyingApi, registry

from pawl.api.errors import Conflict, Stalled
from pawl.api.registrystorage_status import Freeze, StoreRef
from pawl.cluster.registryledger import RegistryLedger
from pawl.controllers.queue import Key
from pawl.controllers.registrymemory import MemoryBook, memory_of, onto, text_of
from pawl.decide.storagefacts import Memory

KEY = Key("RegistryStorage", "shop", "main")
PATH = "/api/v1/namespaces/shop/configmaps/main-registry-ledger"
STORE = StoreRef(id="s1", kind="Filesystem", claim="c1")
SINCE = datetime(2026, 3, 4, tzinfo=UTC)


def memory(revision: int) -> Memory:
    return Memory(revision=revision, store=STORE, freeze=Freeze(reason="Migration", since=SINCE, thaw_by=SINCE))


def book(api: ApplyingApi) -> MemoryBook:
    return MemoryBook(RegistryLedger(api.cluster()))


async def test_what_was_written_is_read_by_the_next_leader() -> None:
    api = ApplyingApi()
    first = book(api)
    assert await first.read(KEY, registry()) == Memory()
    await first.write(KEY, memory(3))
    assert await book(api).read(KEY, registry()) == memory(3)
    assert "ownerReferences" not in api.objects[PATH]["metadata"]


async def test_the_greater_copy_counts_whichever_it_is() -> None:
    api = ApplyingApi()
    await book(api).write(KEY, memory(3))
    for revision, wanted in ((2, 3), (4, 4)):
        status = onto(registry().status, memory(revision)).wire()
        assert (await book(api).read(KEY, registry(status))).revision == wanted


async def test_an_equal_memory_is_not_written_again() -> None:
    api = ApplyingApi()
    mine = book(api)
    await mine.write(KEY, memory(1))
    api.requests.clear()
    await mine.read(KEY, registry())
    await mine.write(KEY, memory(1))
    assert api.requests == []


async def test_who_did_not_read_what_another_wrote_overwrites_nothing() -> None:
    api = ApplyingApi()
    mine, other = book(api), book(api)
    await mine.read(KEY, registry())
    await other.write(KEY, memory(7))
    with pytest.raises(Conflict):
        await mine.write(KEY, memory(1))
    assert (await mine.read(KEY, registry())).revision == 7


async def test_a_ledger_that_was_deleted_meanwhile_is_made_again_after_another_look() -> None:
    api = ApplyingApi()
    mine = book(api)
    await mine.write(KEY, memory(1))
    del api.objects[PATH]
    with pytest.raises(Conflict):
        await mine.write(KEY, memory(2))
    await mine.read(KEY, registry())
    await mine.write(KEY, memory(2))
    assert PATH in api.objects


@pytest.mark.parametrize("text", ["not json", '{"revision":-1}', '{"store":{"kind":"Tape","id":"x"}}'])
async def test_a_ledger_that_nobody_can_read_stops_everything_with_the_way_out(text: str) -> None:
    api = ApplyingApi()
    mine = book(api)
    await mine.write(KEY, memory(1))
    api.objects[PATH]["data"]["memory"] = text
    with pytest.raises(Stalled) as told:
        await book(api).read(KEY, registry())
    assert told.value.reason == "LedgerInvalid"
    assert "main-registry-ledger" in told.value.message


def test_a_memory_goes_through_text_and_status_unchanged() -> None:
    found = memory(5)
    assert memory_of(onto(registry().status, found)) == found
    assert text_of(found) == text_of(memory_of(type(registry().status).model_validate_json(text_of(found))))


@pytest.mark.parametrize("edit", ["deleted", "without its label"])
async def test_a_ledger_that_somebody_took_away_is_written_again(edit: str) -> None:
    api = ApplyingApi()
    mine = book(api)
    await mine.read(KEY, registry())
    await mine.write(KEY, memory(1))
    if edit == "deleted":
        del api.objects[PATH]
    else:
        api.objects[PATH]["metadata"]["labels"] = {}
    await mine.check(KEY, there=False)
    status = onto(registry().status, memory(1)).wire()
    assert await mine.read(KEY, registry(status)) == memory(1)
    await mine.write(KEY, memory(1))
    assert api.objects[PATH]["metadata"]["labels"]["pawl.dev/registry"] == "main"
    assert await book(api).read(KEY, registry()) == memory(1)


async def test_a_ledger_that_is_there_is_not_read_at_each_look() -> None:
    api = ApplyingApi()
    mine = book(api)
    await mine.read(KEY, registry())
    await mine.check(KEY, there=False)
    await mine.write(KEY, memory(1))
    api.requests.clear()
    await mine.check(KEY, there=True)
    assert api.requests == []
