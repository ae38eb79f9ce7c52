"""Ledgers: their names, their writes, and how long they outlive their policies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.cluster.memory_api import MemoryApi, status

from pawl.api.errors import Conflict, Invalid
from pawl.cluster.calls import Answer, Request
from pawl.cluster.ledgers import (
    MAX_BYTES,
    RETENTION,
    LedgerRow,
    LedgerStore,
    Mark,
    Remove,
    Stored,
    name_for,
    sweep,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", fullmatch=True)
SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"


def row(since: str | None = None, policy: str = "web") -> LedgerRow:
    return LedgerRow("shop", name_for(policy), policy, "u", "1", since)


@pytest.fixture
def api() -> MemoryApi:
    return MemoryApi(namespaces=("shop",))


def test_a_name_says_whose_ledger_it_is() -> None:
    assert name_for("web") == "pawl-ledger-web"


@given(NAMES)
def test_a_long_name_still_is_one(policy: str) -> None:
    name = name_for(policy)
    assert len(name) <= 253
    assert name.startswith("pawl-ledger-")
    if len(name) == 253:
        assert "." not in name
        assert name[-1].isalnum()


@given(NAMES, NAMES)
def test_two_policies_never_share_a_ledger(one: str, other: str) -> None:
    assert (name_for(one) == name_for(other)) is (one == other)


def test_a_policy_cannot_be_named_into_the_ledger_of_another() -> None:
    long = "a" * 253
    crafted = name_for(long).removeprefix("pawl-ledger-")
    assert len(crafted) == 241
    assert name_for(crafted) != name_for(long)


async def test_what_was_written_is_read(api: MemoryApi) -> None:
    store = LedgerStore(api.cluster())
    assert await store.read("shop", "web") == Stored(None, None)
    version = await store.write("shop", "web", "one", None)
    assert await store.read("shop", "web") == Stored("one", version)
    newer = await store.write("shop", "web", "two", version)
    assert await store.read("shop", "web") == Stored("two", newer)


async def test_a_stale_write_is_a_conflict(api: MemoryApi) -> None:
    store = LedgerStore(api.cluster())
    version = await store.write("shop", "web", "one", None)
    await store.write("shop", "web", "two", version)
    for stale in (version, None):
        with pytest.raises(Conflict):
            await store.write("shop", "web", "three", stale)
    assert (await store.read("shop", "web")).text == "two"


async def test_a_ledger_deleted_meanwhile_is_a_conflict(api: MemoryApi) -> None:
    store = LedgerStore(api.cluster())
    version = await store.write("shop", "web", "one", None)
    api.objects.clear()
    with pytest.raises(Conflict, match="was deleted"):
        await store.write("shop", "web", "two", version)


async def test_an_emptied_ledger_can_be_written_over(api: MemoryApi) -> None:
    store = LedgerStore(api.cluster())
    await store.write("shop", "web", "one", None)
    path = next(path for path in api.objects if path.endswith("pawl-ledger-web"))
    api.put(path, {**api.objects[path], "data": None})
    stored = await store.read("shop", "web")
    assert stored.text is None
    assert stored.resource_version is not None
    await store.write("shop", "web", "two", stored.resource_version)
    assert (await store.read("shop", "web")).text == "two"


async def test_a_ledger_too_large_is_never_sent(api: MemoryApi) -> None:
    store = LedgerStore(api.cluster())
    with pytest.raises(Invalid, match="imagepolicy shop/web has 524290 bytes and may have 524288"):
        await store.write("shop", "web", "é" * (MAX_BYTES // 2 + 1), None)
    assert not api.requests
    await store.write("shop", "web", "x" * MAX_BYTES, None)


async def test_a_write_keeps_what_others_put_there_and_takes_our_mark_away(api: MemoryApi) -> None:
    store = LedgerStore(api.cluster())
    await store.write("shop", "web", "one", None)
    path = next(path for path in api.objects if path.endswith("pawl-ledger-web"))
    metadata = api.objects[path]["metadata"]
    assert metadata["labels"] == {"pawl.dev/ledger": "imagepolicy"}
    assert metadata["annotations"] == {"pawl.dev/policy": "web"}
    assert "ownerReferences" not in metadata
    metadata["annotations"]["pawl.dev/orphaned-since"] = "2026-01-01T00:00:00Z"
    metadata["labels"]["backup"] = "yes"
    stored = await store.read("shop", "web")
    await store.write("shop", "web", "two", stored.resource_version)
    metadata = api.objects[path]["metadata"]
    assert metadata["labels"] == {"pawl.dev/ledger": "imagepolicy", "backup": "yes"}
    assert metadata["annotations"] == {"pawl.dev/policy": "web"}


LONG_AGO = (NOW - RETENTION).strftime("%Y-%m-%dT%H:%M:%SZ")
ALMOST = (NOW - RETENTION + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("since", "exists", "action"),
    [
        (None, True, None),
        ("2026-05-01T00:00:00Z", True, "clear"),
        (LONG_AGO, True, "clear"),
        (None, False, "mark"),
        ("2026-05-01T00:00:00Z", False, None),
        (ALMOST, False, None),
        (LONG_AGO, False, "remove"),
        ("2020-01-01", False, "remove"),
        ("yesterday", False, "mark"),
        ("", False, "mark"),
        ("2027-01-01T00:00:00Z", False, "mark"),
        ("2026-06-01T00:30:00Z", False, None),
    ],
)
def test_the_sweep_marks_waits_and_removes(since: str | None, action: str | None, *, exists: bool) -> None:
    existing = {("shop", "web")} if exists else {("shop", "other"), ("other", "web")}
    expected = {"mark": (Mark(row(since), NOW),), "clear": (Mark(row(since), None),), "remove": (Remove(row(since)),)}
    assert sweep([row(since)], existing, NOW) == (expected[action] if action else ())


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.text(max_size=30)))),
    st.sets(st.sampled_from("abc")),
)
def test_a_ledger_whose_policy_lives_is_never_removed(ledgers: list[tuple[str, str | None]], alive: set[str]) -> None:
    rows = [row(since, policy) for policy, since in ledgers]
    for action in sweep(rows, {("shop", name) for name in alive}, NOW):
        if isinstance(action, Remove):
            assert action.row.policy not in alive


async def test_a_sweep_carried_out_leaves_nothing_to_do(api: MemoryApi) -> None:
    store = LedgerStore(api.cluster())
    for policy in ("kept", "gone", "expired"):
        await store.write("shop", policy, "x", None)
    rows = [item async for item in store.rows(None)]
    rows = [item async for item in store.rows("shop")]
    assert sorted(item.policy for item in rows) == ["expired", "gone", "kept"]
    alive = {("shop", "kept")}
    assert await store.execute(sweep([item for item in rows if item.policy == "expired"], alive, NOW - RETENTION)) == 1
    rows = [item async for item in store.rows("shop")]
    assert await store.execute(sweep(rows, alive, NOW)) == 2
    rows = [item async for item in store.rows("shop")]
    assert {item.policy: item.orphaned_since for item in rows} == {"kept": None, "gone": "2026-06-01T00:00:00Z"}
    assert sweep(rows, alive, NOW) == ()
    assert await store.execute(sweep(rows, {("shop", "kept"), ("shop", "gone")}, NOW)) == 1
    assert all(item.orphaned_since is None for item in [item async for item in store.rows("shop")])


async def test_a_ledger_that_changed_since_it_was_listed_is_left_alone(api: MemoryApi) -> None:
    store = LedgerStore(api.cluster())
    version = await store.write("shop", "web", "x", None)
    rows = [item async for item in store.rows("shop")]
    await store.write("shop", "web", "back again", version)
    assert await store.execute([Remove(rows[0]), Mark(rows[0], NOW)]) == 0
    assert (await store.read("shop", "web")).text == "back again"


async def test_one_ledger_that_cannot_be_swept_does_not_stop_the_others(api: MemoryApi) -> None:
    store = LedgerStore(api.cluster())
    for policy in ("one", "two"):
        await store.write("shop", policy, "x", None)
    rows = [item async for item in store.rows("shop")]

    async def deny(request: Request) -> Answer | None:
        return status(403, "", "no") if request.name == "pawl-ledger-one" else None

    api.hook = deny
    with structlog.testing.capture_logs() as logs:
        assert await store.execute(sweep(rows, set(), NOW)) == 1
    assert logs[0]["ledger"] == "shop/pawl-ledger-one"
