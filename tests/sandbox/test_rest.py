"""The small client and what is built on it, against a real HTTP server in this process."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pawl.api.errors import SandboxError
from pawl.sandbox.kwok import create_nodes, ready_nodes
from pawl.sandbox.ports import LOOPBACK
from pawl.sandbox.registry import answers
from pawl.sandbox.rest import Api

Reply = Callable[[str, str, Any], tuple[int, str]]


class Server(ThreadingHTTPServer):
    """Answers each request by a function of method, path and JSON body."""

    def __init__(self, reply: Reply) -> None:
        super().__init__((LOOPBACK, 0), Handler)
        self.reply = reply

    def handle_error(self, *_: object) -> None:
        """A client that gave up is part of these tests."""

    @property
    def host(self) -> str:
        return f"{LOOPBACK}:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def handle_any(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, text = self.server.reply(self.command, self.path, json.loads(raw) if raw else None)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = handle_any  # noqa: N815 - names that http.server looks up

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def serve() -> Iterator[Callable[[Reply], Server]]:
    servers: list[Server] = []

    def begin(reply: Reply) -> Server:
        servers.append(Server(reply))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,)).start()
        return servers[-1]

    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


Serve = Callable[[Reply], Server]


def test_an_answer_has_status_and_json(serve: Serve) -> None:
    api = Api(f"http://{serve(lambda method, path, body: (201, json.dumps([method, path, body]))).host}")
    answer = api.call("POST", "/x?y=1", {"a": 1})
    assert (answer.status, answer.body) == (201, ["POST", "/x?y=1", {"a": 1}])


def test_text_stays_text(serve: Serve) -> None:
    assert Api(f"http://{serve(lambda *_: (200, 'ok')).host}").get("/readyz").body == "ok"


def test_nobody_listening_is_status_zero() -> None:
    assert Api(f"http://{LOOPBACK}:1").get("/").status == 0


def test_a_silent_server_is_status_zero(serve: Serve) -> None:
    release = threading.Event()

    def hang(*_: object) -> tuple[int, str]:
        release.wait(10)
        return 200, ""

    answer = Api(f"http://{serve(hang).host}", timeout=0.1).get("/")
    release.set()
    assert answer.status == 0


def test_nodes_are_made_once_each_and_existing_ones_kept(serve: Serve) -> None:
    made: list[str] = []

    def api_server(_method: str, _path: str, body: Any) -> tuple[int, str]:
        made.append(body["metadata"]["name"])
        return (409 if len(made) == 1 else 201), "{}"

    create_nodes(Api(f"http://{serve(api_server).host}"), 3)
    assert made == ["node-0", "node-1", "node-2"]


def test_a_refused_node_is_named_with_the_reason(serve: Serve) -> None:
    server = serve(lambda *_: (403, '"no right"'))
    with pytest.raises(SandboxError, match=r"Node node-0 was refused by the API server \(403\): no right"):
        create_nodes(Api(f"http://{server.host}"), 1)


@pytest.mark.parametrize(
    ("items", "ready"),
    [
        ([], 0),
        ([{"status": {}}, {}], 0),
        ([{"status": {"conditions": [{"type": "Ready", "status": "False"}, {"type": "Disk", "status": "True"}]}}], 0),
        (
            [{"status": {"conditions": [{"type": "Disk", "status": "False"}, {"type": "Ready", "status": "True"}]}}]
            * 2,
            2,
        ),
    ],
)
def test_ready_nodes_are_counted(items: list[dict[str, Any]], ready: int, serve: Serve) -> None:
    server = serve(lambda *_: (200, json.dumps({"items": items})))
    assert ready_nodes(Api(f"http://{server.host}")) == ready


def test_no_list_means_no_ready_node(serve: Serve) -> None:
    assert ready_nodes(Api(f"http://{serve(lambda *_: (503, 'starting')).host}")) == 0


def test_a_registry_answers_when_it_says_200(serve: Serve) -> None:
    assert answers(serve(lambda *_: (200, "{}")).host)
    assert not answers(serve(lambda *_: (503, "{}")).host)
    assert not answers(f"{LOOPBACK}:1")
