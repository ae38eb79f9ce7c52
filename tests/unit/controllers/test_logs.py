"""Log lines: one form for all, and no secret in any."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from pawl.controllers.logs import LogSettings, configure
from pawl.controllers.redact import HIDDEN, redact, redact_field, redact_text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_machines_get_json_with_utc_and_the_facts_apart() -> None:
    stream = io.StringIO()
    configure(LogSettings(stream=stream))
    structlog.get_logger("pawl.x").info("selected", policy="shop/web", tag="v1")
    (entry,) = lines(stream)
    assert list(entry)[:4] == ["timestamp", "level", "logger", "event"]
    assert entry["timestamp"].endswith("Z")
    assert (entry["event"], entry["policy"], entry["tag"]) == ("selected", "shop/web", "v1")
    assert (entry["level"], entry["logger"]) == ("info", "pawl.x")


def test_people_get_a_line_without_colours_if_they_ask() -> None:
    stream = Terminal()
    configure(LogSettings(stream=stream, environ={"NO_COLOR": "1"}))
    structlog.get_logger("pawl.x").info("selected", tag="v1")
    assert "selected" in stream.getvalue()
    assert "tag=v1" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_colours_are_for_terminals() -> None:
    stream = Terminal()
    configure(LogSettings(stream=stream, environ={}))
    structlog.get_logger("pawl.x").info("selected")
    assert "\x1b" in stream.getvalue()


def test_a_logger_made_before_follows_the_set_up() -> None:
    log = structlog.get_logger("early")
    log.bind(a=1)
    stream = io.StringIO()
    configure(LogSettings(stream=stream))
    log.warning("late")
    assert lines(stream)[0]["event"] == "late"


def test_levels_are_kept_and_unknown_ones_refused() -> None:
    stream = io.StringIO()
    configure(LogSettings(level="warning", stream=stream))
    structlog.get_logger("pawl.x").info("quiet")
    logging.getLogger("lib").info("quiet")
    assert not stream.getvalue()
    with pytest.raises(ValueError, match="'loud' is none of debug, info, warning, error"):
        configure(LogSettings(level="loud"))


def test_libraries_write_the_same_lines_and_chatter_is_quiet() -> None:
    stream = io.StringIO()
    configure(LogSettings(stream=stream))
    logging.getLogger("kopf.reactor").info("chatter")
    logging.getLogger("httpx").info("chatter")
    logging.getLogger("kopf.reactor").warning("watch of %s ended", "imagepolicies")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", UserWarning, stacklevel=1)
    events = [entry["event"] for entry in lines(stream)]
    assert events[0] == "watch of imagepolicies ended"
    assert "UserWarning: old" in events[1]
    assert len(events) == 2
    configure(LogSettings(level="debug", stream=stream))
    logging.getLogger("kopf.reactor").info("chatter")
    assert lines(stream)[-1]["event"] == "chatter"


def test_a_second_set_up_replaces_the_first() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure(LogSettings(stream=first))
    configure(LogSettings(stream=second))
    structlog.get_logger("x").info("once")
    assert not first.getvalue()
    assert len(lines(second)) == 1


@pytest.mark.parametrize("json_lines", [True, False])
def test_secrets_stay_out_of_every_part_of_a_line(*, json_lines: bool) -> None:
    stream = io.StringIO()
    configure(LogSettings(json=json_lines, stream=stream))
    log = structlog.get_logger("pawl.x")
    hidden = "hunter2"

    class Client:
        def __repr__(self) -> str:
            return f"<Client https://bob:{hidden}@host>"

    log.info(f"got Bearer {hidden}", password=hidden, nested={"auths": {"a": hidden}, "ok": [f"https://u:{hidden}@h"]})
    log.info("object", client=Client(), raw=hidden.encode(), query=f"https://h/?token={hidden}&a=b")
    logging.getLogger("lib").warning("header %s", f"Basic {hidden}")
    try:
        raise RuntimeError(f'{{"password": "{hidden}"}}')
    except RuntimeError:
        log.exception("failed")
        logging.getLogger("lib").exception("failed")
    text = stream.getvalue()
    assert hidden not in text
    assert "RuntimeError" in text
    assert len(text.splitlines()) >= 5


@pytest.mark.parametrize(
    "key",
    ["password", "Password", "token", "access_token", "identitytoken", "clientSecret", "authorization", "Authorization",
     "auth", "api_key", "apiKey", "x-api-key", "private_key", "credentials", "cookie", "auths", "secret"],
)  # fmt: skip
def test_fields_with_the_name_of_a_secret_are_hidden_whole(key: str) -> None:
    assert redact_field(key, {"a": ["b"]}) == HIDDEN
    assert redact_field(key, 12345) == HIDDEN


@pytest.mark.parametrize("key", ["secret_name", "author", "tokens_used", "passwords_checked", "key", "realm"])
def test_other_fields_are_not(key: str) -> None:
    assert redact_field(key, "regcred") == "regcred"


def test_a_flag_or_an_absence_is_no_secret() -> None:
    assert redact_field("token", None) is None
    assert redact_field("auth", value=True) is True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer [redacted]"),
        ("basic dTpw and more", "basic [redacted] and more"),
        ("GET https://bob:pw@host/path?x=1", "GET https://[redacted]@host/path?x=1"),
        ("https://bob:p@ss@host/", "https://[redacted]@host/"),
        ("https://token@host", "https://[redacted]@host"),
        ("/v2/?access_token=abc&n=1", "/v2/?access_token=[redacted]&n=1"),
        ('{"auth": "dTpw", "n": "1"}', '{"auth": "[redacted]", "n": "1"}'),
        (r'{"password":"a\"b"}', '{"password":"[redacted]"}'),
        ("registry.corp:5000/shop/web@sha256:abc", "registry.corp:5000/shop/web@sha256:abc"),
        ("secrets default/regcred does not exist", "secrets default/regcred does not exist"),
        ("https://host/path@sha256:abc", "https://host/path@sha256:abc"),
    ],
)
def test_texts(text: str, shown: str) -> None:
    assert redact_text(text) == shown


SECRET = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~+-", min_size=12, max_size=40).map(
    lambda text: f"s3cr3t{text}"
)
PLAIN = st.text("abcdefghij ,:;/", max_size=20)


@given(
    SECRET,
    PLAIN,
    PLAIN,
    st.sampled_from(["Bearer {}", "BASIC {}", "https://u:{}@host/x", "?token={}&x", '"auth":"{}"']),
)
def test_a_secret_never_survives_in_a_text(secret: str, before: str, after: str, form: str) -> None:
    assert secret not in redact_text(f"{before} {form.format(secret)} {after}")


TREE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=9), inner, max_size=3)),
    max_leaves=12,
)


@given(TREE)
def test_whatever_is_logged_becomes_plain_json(value: object) -> None:
    json.dumps(redact(value))


def test_endless_and_circular_values_end() -> None:
    circle: list[object] = []
    circle.append(circle)
    assert "..." in json.dumps(redact(circle))
    assert len(redact_text("x" * 10_000_000)) < 100_000
