"""Bad weather: a registry that pushes, deletes, cuts, flips, breaks and fails, and users that ask, all the time.

Neighbours: `tests.support.registry` does what it is told here. Not here: what must hold meanwhile.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from tests.cluster.operators import Shop
from tests.support.registry import FakeRegistry

STORMS = (
    {"fail": 500},
    {"fail": 404},
    {"fail": 401},
    {"truncate": 30},
    {"truncate": 0},
    {"empty": True, "only": "tags/list"},
    {"flip": True, "only": "manifests"},
    {"html": True},
    {"half": True, "only": "tags/list"},
)


@dataclass
class Weather:
    """`names` are repositories under shop/ and policies of the same name. `pushes` counts."""

    registry: FakeRegistry
    shop: Shop
    names: Sequence[str]
    chance: random.Random
    pause: float = 0.08
    pushes: int = 0

    def blow(self) -> None:
        """One gust."""
        name = self.chance.choice(self.names)
        tags = self.registry.repositories[f"shop/{name}"].tags
        match self.chance.randrange(10):
            case 0 | 1 | 2:
                self.pushes += 1
                self.registry.push(f"shop/{name}", f"v1.{self.pushes}.0")
            case 3 if tags:
                self.registry.delete_tag(f"shop/{name}", self.chance.choice(sorted(tags)))
            case 4 if tags:
                self.registry.push(f"shop/{name}", self.chance.choice(sorted(tags)), content=f"again {self.pushes}")
            case 5 | 6:
                self.registry.behave(**self.chance.choice(STORMS))
            case _:
                self.registry.behave()
        self.shop.annotate(self.chance.choice(self.names))

    async def run(self) -> None:
        while True:
            self.blow()
            await asyncio.sleep(self.pause * self.chance.random())


@asynccontextmanager
async def weather(registry: FakeRegistry, shop: Shop, names: Sequence[str], seed: int) -> AsyncIterator[Weather]:
    """Weather for the time of a block; afterwards the registry behaves well."""
    made = Weather(registry, shop, names, random.Random(seed))
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        registry.behave()
