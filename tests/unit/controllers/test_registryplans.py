"""Plans of collections: what no Job could be told is refused before pushes stop for it."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from tests.unit.controllers.registry_doubles import registry
from tests.unit.controllers.test_registryuses import HOST, Site, pod_spec

from pawl.api.registrywork import Order, Plan
from pawl.controllers.registryplans import Made, PlanDesk
from pawl.controllers.registrystore import key_of
from pawl.controllers.registryworkers import Asked, WorkerClient
from pawl.decide.workobjects import MAX_ORDERS, text_of


class Meter:
    """Plans whatever it is told, and keeps it."""

    def __init__(self) -> None:
        self.orders: list[Order] = []

    async def plan(self, _meter: Asked, order: Order) -> Plan:
        self.orders.append(order)
        return Plan(tags=1)


async def planned(images: int) -> tuple[Made, list[Order]]:
    """Have a plan made for a cluster in which so many images are in use."""
    site, meter, woken = Site(), Meter(), asyncio.Event()
    site.put("Pod", "web", spec=pod_spec(*(f"{HOST}/team/web-{number:05}:v1" for number in range(images))))
    storage = registry()
    desk = PlanDesk(site.reader(), cast("WorkerClient", meter), lambda _: woken.set())
    desk.ask(storage, "c1", Asked("http://127.0.0.1:1", "token"))
    async with asyncio.timeout(60):
        await woken.wait()
    made = desk.made(key_of(storage), "c1")
    await desk.close()
    assert made is not None
    return made, meter.orders


async def test_what_is_used_is_told() -> None:
    made, (order,) = await planned(3)
    assert made.plan == Plan(tags=1)
    assert [use.repository for use in order.uses] == ["team/web-00000", "team/web-00001", "team/web-00002"]


@pytest.mark.parametrize("many", [16000])
async def test_more_than_a_job_can_be_told_is_refused_before_anything_is_frozen(many: int) -> None:
    made, orders = await planned(many)
    assert orders == []
    assert f"may be told {MAX_ORDERS}" in made.plan.refused
    assert "delete workloads" in made.plan.refused


async def test_what_is_just_small_enough_is_planned() -> None:
    _, (order,) = await planned(10000)
    assert MAX_ORDERS / 2 < len(text_of(order)) < MAX_ORDERS
