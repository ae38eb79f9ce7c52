"""`pawl ready`: answers of a real server, waiting by a clock of ours, addresses that are none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pawl.api.errors import InputError
from pawl.cli.main import invoke
from pawl.cli.ready import Place, ask, place_of, wait


@contextmanager
def serving(code: int, words: str) -> Iterator[Place]:
    """An operator that gives one answer to /readyz."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code if self.path == "/readyz" else 500)
            self.end_headers()
            self.wfile.write(words.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Place("127.0.0.1", server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_good_answer_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(200, "ok") as place:
        url = f"http://127.0.0.1:{place.port}"
        assert invoke(["ready", url]) == 0
    assert capsys.readouterr().out == f"{url} is ready\n"


def test_what_the_operator_says_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(503, "policies: not all\nread yet") as place:
        assert invoke(["ready", f"http://127.0.0.1:{place.port}"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "503 policies: not all read yet; look at the operator's log" in error


def test_nobody_there_is_no_answer() -> None:
    with serving(200, "") as place:
        pass
    assert "no answer" in str(ask(place))


def test_it_is_asked_again_until_it_is_well_or_the_time_is_over() -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    answers = iter(["a", "b", None])
    assert wait(lambda: next(answers), 5, lambda: now[0], sleep) is None
    assert now[0] == 2
    assert wait(lambda: "c", 3, lambda: now[0], sleep) == "c"
    assert now[0] == 5
    assert wait(lambda: "d", 0, lambda: now[0], sleep) == "d"


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "https://a", "http://", "http://a:x", "http://a/readyz"])
def test_what_is_no_address_is_bad_input(url: str) -> None:
    with pytest.raises(InputError, match=r"write it like http://127\.0\.0\.1:8080"):
        place_of(url)


def test_an_address_without_a_port_is_that_of_http() -> None:
    assert place_of("http://pawl-metrics.pawl-system.svc") == Place("pawl-metrics.pawl-system.svc", 80)
    assert place_of("http://[::1]:8080/") == Place("::1", 8080)
