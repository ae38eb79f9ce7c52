"""The demo without a sandbox: its screen, its checks, its manifests, and the proxy that answers half."""

from __future__ import annotations

import io
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from tests.unit.cli.policies import selection

from pawl.api.errors import ApiUnavailable
from pawl.api.imagepolicy import ImagePolicy, Selection
from pawl.cli import demo_manifests as manifests
from pawl.cli.demo_checks import Check, CheckFailedError, expect, until
from pawl.cli.demo_program import ACTS, OPENING
from pawl.cli.demo_proxy import application, first_half
from pawl.cli.demo_screen import Screen
from pawl.cli.demo_story import Act, Teller


@dataclass(frozen=True)
class Row:
    number: int = 1
    title: str = "An act"
    proof: str = "a proof"
    seconds: float = 1.25


def played(screen: Screen) -> None:
    screen.title("Title")
    screen.act(1, "An act", "What happens.")
    with screen.working("doing"):
        pass
    screen.observed("seen [bold]raw[/bold]\nmore of it", 0.3)
    screen.failed("not seen", 2)
    with screen.step("build"):
        pass
    screen.summary([Row()])
    screen.closing(["bye"])


def test_plain_lines_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    played(Screen.on(stream))
    lines = stream.getvalue().splitlines()
    assert "1  An act" in lines
    assert "   What happens." in lines
    assert any(line.endswith("seen [bold]raw[/bold] (0.3 s)") for line in lines)
    assert "     more of it" in lines
    assert any("not seen (2.0 s)" in line for line in lines)
    assert "   build ..." in lines
    assert any(line.split() == ["1", "An", "act", "a", "proof", "1.2", "s"] for line in lines)
    assert "\x1b" not in stream.getvalue()


def test_on_a_terminal_times_stand_on_the_right() -> None:
    stream = io.StringIO()
    played(Screen(stream, live=True, width=80))
    line = next(line for line in stream.getvalue().splitlines() if "seen" in line and "0.3 s" in line)
    assert len(line) == 80
    assert line.endswith("0.3 s")


class Failing(Exception):
    """A step's end."""


def test_an_act_counts_when_all_of_its_steps_ended_well() -> None:
    stream = io.StringIO()
    teller, act = Teller(Screen.on(stream)), Act("An act", "What happens.", "a proof", ())
    teller.begin(act)
    with teller.step("first") as said:
        said.append("seen")
    teller.end(act)
    teller.begin(act)
    with pytest.raises(Failing), teller.step("second"):
        raise Failing
    assert [(proved.number, proved.title, proved.proof) for proved in teller.proved] == [(1, "An act", "a proof")]
    assert "FAILED second" in stream.getvalue() or "✗ second" in stream.getvalue()


def answers(*values: object) -> Callable[[], Awaitable[object]]:
    """A question that is answered with these in turn, the last one for ever; errors are raised."""
    left = list(values)

    async def ask() -> object:
        value = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(value, Exception):
            raise value
        return value

    return ask


async def test_a_check_waits_for_its_answer() -> None:
    check = Check[object]("three", 5, lambda value: value == 3)
    assert await until(check, answers(1, ApiUnavailable("not yet"), 3)) == 3


@pytest.mark.parametrize(("answer", "seen"), [(1, "saw <1>"), (ApiUnavailable("it is away"), "saw it is away")])
async def test_a_check_that_fails_says_what_was_expected_and_seen(answer: object, seen: str) -> None:
    check = Check[object]("three", 0.2, lambda value: value == 3, lambda value: f"<{value}>")
    with pytest.raises(CheckFailedError, match=f"expected three within 0.2 s; {seen}"):
        await until(check, answers(answer))


def test_an_expectation() -> None:
    expect(good=True, what="it", seen="it")
    with pytest.raises(CheckFailedError, match="expected it; saw that"):
        expect(good=False, what="it", seen="that")


def test_the_manifests_are_right() -> None:
    way_back = manifests.rollback("v2", "v1", "sha256:" + "a" * 64)
    for text in (manifests.policy("127.0.0.1:5000"), manifests.policy("127.0.0.1:5000", way_back)):
        policy = ImagePolicy.model_validate_json(text)
        assert policy.spec.image == "127.0.0.1:5000/shop/web"


def test_the_stale_write_is_the_old_selection_with_a_greater_sequence() -> None:
    old = Selection.model_validate(selection(sequence=1))
    written = json.loads(manifests.stale_write(old, 7))["status"]["selection"]
    assert written == old.wire() | {"sequence": 8}


def test_every_act_has_steps_and_a_proof() -> None:
    for act in (OPENING, *ACTS):
        assert act.steps
        assert act.proof
        assert act.sentence.endswith(".")


@pytest.mark.parametrize(
    ("tags", "half"), [([], []), (["a"], []), (["c", "a", "b"], ["a"]), (["d", "c", "b", "a"], ["a", "b"]), (None, [])]
)
def test_half_a_list(tags: list[str] | None, half: list[str]) -> None:
    assert json.loads(first_half(json.dumps({"name": "web", "tags": tags}).encode())) == {"name": "web", "tags": half}


async def registry(request: web.Request) -> web.Response:
    """Answers a list, a manifest with its headers, and what it was asked with."""
    if request.path.endswith("/tags/list"):
        return web.json_response({"name": "web", "tags": ["a", "b"], "query": request.query_string})
    headers = {"Docker-Content-Digest": "sha256:1", "X-Internal": "no", "Content-Type": "application/x"}
    return web.Response(status=201, body=b"0123456789", headers=headers)


async def test_the_proxy_passes_on_and_lies_when_told() -> None:
    app = web.Application()
    app.router.add_get("/v2/{path:.*}", registry)
    async with (
        TestServer(app) as behind,
        TestServer(await application(f"127.0.0.1:{behind.port}")) as front,
        ClientSession(front.make_url("/")) as session,
    ):
        await _whole(session)
        await _lying(session)


async def _whole(session: ClientSession) -> None:
    async with session.get("/v2/web/tags/list?n=5") as reply:
        assert await reply.json() == {"name": "web", "tags": ["a", "b"], "query": "n=5"}
    async with session.get("/v2/web/manifests/a") as reply:
        assert (reply.status, await reply.read()) == (201, b"0123456789")
        assert reply.headers["Docker-Content-Digest"] == "sha256:1"
        assert "X-Internal" not in reply.headers
    async with session.head("/v2/web/manifests/a") as reply:
        assert reply.headers["Content-Length"] == "10"


async def _lying(session: ClientSession) -> None:
    async with session.put("/demo/half") as reply:
        assert await reply.json() == {"mode": "half", "cut": 0}
    async with session.get("/v2/web/tags/list") as reply:
        assert (await reply.json())["tags"] == ["a"]
    async with session.get("/v2/web/manifests/a") as reply:
        assert await reply.read() == b"0123456789"
    async with session.get("/demo") as reply:
        assert await reply.json() == {"mode": "half", "cut": 1}
    async with session.put("/demo/whole"), session.get("/v2/web/tags/list") as reply:
        assert (await reply.json())["tags"] == ["a", "b"]
    async with session.put("/demo/upside-down") as reply:
        assert reply.status == 400
