"""The fake registry as a process of its own, steered from outside."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiohttp
import pytest
from tests.support.registry_client import plain

from pawl.api.errors import Unreachable
from pawl.registry.client import RegistryClient

pytestmark = pytest.mark.registry

ROOT = Path(__file__).parents[2]


async def test_a_registry_in_a_process(client: RegistryClient) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.registry", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        host = (await process.stdout.readline()).decode().strip()
        async with aiohttp.ClientSession(f"http://{host}") as session:
            order = {"repo": "shop/web", "tag": "v1", "platforms": ["linux/arm64"]}
            pushed = await (await session.post("/_admin/push", json=order)).json()
            found = await client.get_manifest(plain(host), "shop/web", "v1", want_platforms=True)
            assert (found.digest, found.platforms) == (pushed["digest"], ("linux/arm64",))
            assert (await (await session.get("/_admin/tags")).json()) == {"shop/web": {"v1": pushed["digest"]}}
            await session.post("/_admin/behave", json={"fail": 503})
            with pytest.raises(Unreachable):
                await client.list_tags(plain(host), "shop/web")
            assert len(await (await session.get("/_admin/requests")).json()) == 2
            assert (await session.post("/_admin/behave", json={"nonsense": 1})).status == 400
            assert (await session.post("/_admin/nonsense", json={})).status == 404
            assert (await session.post("/_admin/delete_tag", json={"repo": "shop/web", "tag": "v1"})).status == 200
            await session.post("/_admin/behave", json={})
            assert (await client.list_tags(plain(host), "shop/web")).count == 0
    finally:
        process.terminate()
        await process.wait()
