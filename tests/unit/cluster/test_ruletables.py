"""Stored tables: written only where they differ, guarded, and never mixed up by events that come late."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.cluster.memory_api import MemoryApi, status

from pawl.api.errors import Conflict, Forbidden
from pawl.api.imagerules import ClusterTable, Entry, SecretEntry, Table
from pawl.cluster.client import Cluster, Options
from pawl.cluster.resources import IMAGE_RULES
from pawl.cluster.ruletables import CLUSTER, RuleTables, decode_table
from pawl.cluster.watch import Scope

PATH = "/apis/pawl.dev/v1alpha1/namespaces/shop/imagerules/pawl"


def table(to: str = "r.corp/rook", **more: Any) -> Table:
    return Table(rules={"docker.io/rook": [Entry(to=to, override="shop/one", rule=0)]}, **more)


class Stored:
    """Tables on an API server in a dictionary, and events as a watch brings them."""

    def __init__(self) -> None:
        self.api, self.told = MemoryApi(("shop", "other")), list[str]()
        self.it = RuleTables(Cluster(self.api.view(), Options(tries=1)), on_change=self.told.append)

    def event(self, kind: str = "MODIFIED", path: str = PATH, **meta: Any) -> None:
        found = json.loads(json.dumps(self.api.objects.get(path, {"metadata": {"name": "pawl", "namespace": "shop"}})))
        found["metadata"] |= meta
        self.it._take(decode_table(json.dumps(found).encode()), gone=kind == "DELETED")

    @property
    def writes(self) -> int:
        return sum(self.api.verbs[verb] for verb in ("create", "update", "patch", "delete"))


@pytest.fixture
def stored() -> Stored:
    return Stored()


async def test_a_table_is_created_replaced_and_deleted_and_nothing_is_written_twice(stored: Stored) -> None:
    for wanted, writes in [(table(), 1), (table(), 1), (table("r.corp/new"), 2), (None, 3), (None, 3)]:
        found = await stored.it.write("shop", wanted)
        assert (found.table if found is not None else None) == wanted
        assert stored.writes == writes
    assert stored.it.tables == {}


async def test_the_cluster_s_table_has_no_namespace(stored: Stored) -> None:
    await stored.it.write(CLUSTER, ClusterTable(own={"shop": True}))
    (path,) = [path for path in stored.api.objects if "rules" in path]
    assert path == "/apis/pawl.dev/v1alpha1/clusterimagerules/pawl"
    assert "namespace" not in stored.api.objects[path]["metadata"]
    assert stored.it.tables[CLUSTER].table == ClusterTable(own={"shop": True})


async def test_every_write_is_guarded(stored: Stored) -> None:
    await stored.it.write("shop", table())
    await stored.it.write("shop", table("r.corp/new"))
    await stored.it.write("shop", None)
    update, delete = (json.loads(request.body or b"{}") for request in stored.api.requests[1:])
    assert {"uid", "resourceVersion"} <= set(update["metadata"])
    assert set(delete["preconditions"]) == {"uid"}


async def test_a_table_that_somebody_wrote_meanwhile_is_a_conflict_and_the_watch_mends_it(stored: Stored) -> None:
    await stored.it.write("shop", table())
    stored.api.bump(stored.api.objects[PATH])
    with pytest.raises(Conflict):
        await stored.it.write("shop", table("r.corp/new"))
    stored.event()
    await stored.it.write("shop", table("r.corp/new"))


@pytest.mark.parametrize("wanted", [table("r.corp/new"), table()])
async def test_a_table_that_somebody_deleted_or_made_is_a_conflict(stored: Stored, wanted: Table) -> None:
    await stored.it.write("shop", table())
    if wanted == table():
        stored.it._tables.clear()
    else:
        del stored.api.objects[PATH]
    with pytest.raises(Conflict):
        await stored.it.write("shop", wanted)


async def test_deleting_what_is_gone_is_no_error_and_what_was_made_anew_stays(stored: Stored) -> None:
    await stored.it.write("shop", table())
    stored.api.objects[PATH]["metadata"]["uid"] = "another"
    with pytest.raises(Conflict):
        await stored.it.write("shop", None)
    del stored.api.objects[PATH]
    assert await stored.it.write("shop", None) is None


async def test_a_refused_write_leaves_what_is_known(stored: Stored) -> None:
    await stored.it.write("shop", table())

    async def refuse(_request: object) -> Any:
        return status(403, "Forbidden", "no")

    stored.api.hook = refuse
    for wanted in (table("r.corp/new"), None):
        with pytest.raises(Forbidden):
            await stored.it.write("shop", wanted)
    found = stored.it.tables["shop"]
    assert found.table == table()


async def test_events_from_before_a_write_change_nothing(stored: Stored) -> None:
    await stored.it.write("shop", table())
    old = stored.api.objects[PATH]["metadata"]["resourceVersion"]
    await stored.it.write("shop", table("r.corp/new"))
    stored.event(resourceVersion=old)
    stored.event()
    assert stored.told == []
    found = stored.it.tables["shop"].table
    assert found == table("r.corp/new")


async def test_the_deletion_of_an_old_table_does_not_hide_its_successor(stored: Stored) -> None:
    await stored.it.write("shop", table())
    uid = stored.it.tables["shop"].uid
    await stored.it.write("shop", None)
    await stored.it.write("shop", table("r.corp/new"))
    stored.event("DELETED", uid=uid)
    assert stored.it.tables["shop"].table == table("r.corp/new")
    stored.event("DELETED")
    assert (stored.it.tables, stored.told) == ({}, ["shop"])


async def test_what_a_listing_no_longer_names_is_forgotten_in_its_scope_only(stored: Stored) -> None:
    for namespace in ("shop", "other"):
        await stored.it.write(namespace, table())
    await stored.it.write(CLUSTER, ClusterTable())
    stored.it._forget_all_but(Scope(IMAGE_RULES), {"other"})
    assert set(stored.it.tables) == {"other", CLUSTER}
    stored.it._forget_all_but(Scope(IMAGE_RULES, "shop"), set())
    assert set(stored.it.tables) == {"other", CLUSTER}


def test_a_table_of_a_newer_version_is_known_to_be_there_and_not_read() -> None:
    meta = {"name": "pawl", "namespace": "shop", "uid": "u", "resourceVersion": "7"}
    times = [{"time": "2026-01-01T00:00:00Z"}, {"time": "2026-01-02T00:00:00Z"}, {}]
    found = decode_table(json.dumps({"metadata": meta | {"managedFields": times}, "spec": {"newer": 1}}).encode())
    assert (found.table, found.version, found.written) == (None, "7", 1767312000.0)


NAMES = st.from_regex(r"[a-z]{1,6}(\.[a-z]{2,4})?/[a-z]{1,5}", fullmatch=True)
ENTRIES = st.builds(
    Entry,
    to=NAMES,
    override=st.sampled_from(["shop/one", "wide"]),
    rule=st.integers(0, 999),
    tag=st.none() | st.just("v1"),
    digest=st.none() | st.just("sha256:" + "a" * 64),
    containers=st.none() | st.just("a.*"),
    pods=st.booleans(),
    templates=st.booleans(),
)
LISTS = st.dictionaries(NAMES, st.lists(ENTRIES, min_size=1, max_size=3), max_size=3)
TABLES = st.builds(
    Table,
    mandatory=LISTS,
    rules=LISTS,
    secrets=st.dictionaries(NAMES, st.just([SecretEntry(names=["regcred"])]), max_size=2),
    held=st.dictionaries(NAMES, st.text(max_size=20), max_size=2),
    exempt=st.dictionaries(NAMES, st.text(max_size=20), max_size=2),
)


@settings(max_examples=25, deadline=None)
@given(TABLES)
async def test_whatever_is_stored_is_equal_to_what_was_written(wanted: Table) -> None:
    stored = Stored()
    await stored.it.write("shop", wanted)
    assert decode_table(json.dumps(stored.api.objects[PATH]).encode()).table == wanted
    await stored.it.write("shop", wanted.model_copy(deep=True))
    assert stored.writes == 1
