"""`pawl ready`: asks a running operator over HTTP whether it is ready, and waits for it. It needs no rights.

The chart's `helm test` runs it against the operator's Service. Neighbours: `controllers.health` answers. Not here:
whether policies and overrides are Ready (`pawl status --check`).
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import click

from pawl.api.errors import InputError, PawlError

TIMEOUT: Final = 5.0
"""Seconds for one answer."""
PAUSE: Final = 1.0
"""Seconds between two questions."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an operator listens."""

    host: str
    port: int


@click.command()
@click.argument("url", default="http://127.0.0.1:8080")
@click.option("--within", default=0.0, show_default=True, metavar="SECONDS", help="Ask again so long.")
def ready(url: str, within: float) -> None:
    """Exit 0 if the operator at URL is ready, else 1 with what it says."""
    place = place_of(url)
    wrong = wait(lambda: ask(place), within, time.monotonic, time.sleep)
    if wrong is not None:
        raise PawlError(f"{url} is not ready: {wrong}; look at the operator's log")
    click.echo(f"{url} is ready")


def place_of(url: str) -> Place:
    """Read http://HOST[:PORT]. Raises InputError."""
    parts = urlsplit(url)
    try:
        port = parts.port or 80
    except ValueError as error:
        raise InputError(f"{url}: {error}; write it like http://127.0.0.1:8080") from error
    if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
        raise InputError(f"{url} is no address of an operator; write it like http://127.0.0.1:8080")
    return Place(parts.hostname, port)


def wait(
    question: Callable[[], str | None], within: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> str | None:
    """Ask until the answer is None or the time is over; return the last answer."""
    end = clock() + within
    while (wrong := question()) is not None and clock() < end:
        sleep(PAUSE)
    return wrong


def ask(place: Place) -> str | None:
    """Return None if the operator is ready, else one line that says what is wrong."""
    connection = http.client.HTTPConnection(place.host, place.port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        words = answer.read(4096).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({error})"
    finally:
        connection.close()
    return None if answer.status == http.client.OK else f"{answer.status} {' '.join(words.split())}"
