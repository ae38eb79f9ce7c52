"""Namespaces that cannot be read are left out, and a change of that ends the process in order."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.cluster.memory_api import MemoryApi, status
from tests.unit.cluster.waiting import until

from pawl.api.errors import ClusterError
from pawl.cli.run_places import live, until_other, usable
from pawl.cluster.calls import Answer, Request
from pawl.cluster.client import Cluster, Options
from pawl.controllers.settings import Settings

WANTED = ("shop", "gone", "blog")


class Grants:
    """An API server that refuses some namespaces; `refused` are those look by look, the last ones for ever."""

    def __init__(self, *refused: set[str]) -> None:
        self.refused = list(refused)
        self.down = False
        self.looks = 0
        self.cluster = Cluster(MemoryApi(WANTED).view(self._hook), Options(tries=1))

    async def _hook(self, request: Request) -> Answer | None:
        if request.namespace == WANTED[0]:
            self.looks += 1
        refused = self.refused[min(self.looks, len(self.refused)) - 1]
        if self.down:
            return Answer(503, b"{}")
        return status(403, "Forbidden", "no Role here") if request.namespace in refused else None


async def kept(grants: Grants) -> tuple[str, ...]:
    return (await usable(grants.cluster, Settings(watch_namespaces=WANTED))).watch_namespaces


async def test_a_namespace_without_a_role_is_left_out_and_the_others_stay() -> None:
    assert await kept(Grants({"gone"})) == ("shop", "blog")
    assert await kept(Grants(set())) == WANTED


async def test_where_none_may_be_read_all_stay_so_that_the_reason_is_told() -> None:
    assert await kept(Grants(set(WANTED))) == WANTED


async def test_an_api_server_that_is_away_leaves_nothing_out() -> None:
    grants = Grants({"gone"})
    grants.down = True
    assert await kept(grants) == WANTED


@pytest.mark.parametrize(
    ("looks", "changed"),
    [
        ([{"gone"}, set(), set()], "gone"),
        ([{"gone"}, {"gone", "blog"}, {"gone", "blog"}], "blog"),
        ([set(), {"gone"}, set(), set()], "gone"),
    ],
)
async def test_a_change_that_lasts_two_looks_is_told(looks: list[set[str]], changed: str) -> None:
    grants = Grants(*looks)
    assert await asyncio.wait_for(until_other(grants.cluster, WANTED, ("shop", "blog"), 0.0), 5) == changed
    assert grants.looks == len(looks)


async def test_rights_that_are_all_gone_for_a_while_are_no_change() -> None:
    grants = Grants({"gone"}, set(WANTED))
    waiting = asyncio.create_task(until_other(grants.cluster, WANTED, ("shop", "blog"), 0.0))
    await until(lambda: grants.looks >= 10)
    assert not waiting.done()
    waiting.cancel()


async def test_what_works_ends_in_order_before_the_process_does() -> None:
    stop, ended = asyncio.Event(), asyncio.Event()

    async def works() -> None:
        await stop.wait()
        ended.set()

    async def changes() -> str:
        return "blog"

    with pytest.raises(ClusterError, match="namespaces blog"):
        await asyncio.wait_for(live(works(), stop, changes()), 5)
    assert ended.is_set()


async def test_an_end_by_itself_ends_the_looking() -> None:
    async def works() -> None:
        return

    never = asyncio.get_running_loop().create_future()
    await asyncio.wait_for(live(works(), asyncio.Event(), never), 5)
    assert never.cancelled()
