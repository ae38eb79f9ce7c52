"""What `pawl status` shows of registries: tables, details, documents, bars, and a watch that goes on."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from rich.console import Console, RenderableType
from tests.unit.cli import registry_samples as registries
from tests.unit.cli.registry_samples import GIB, SINCE, condition, migration

from pawl.api.errors import ApiUnavailable
from pawl.cli.status_watch import bars, watch
from pawl.cli.table_registry import (
    SeenRegistry,
    UnreadableRegistry,
    moving,
    read_registry,
    ready_registry,
    registry_document,
    registry_table,
)
from pawl.cli.table_registry_detail import registry_detail
from pawl.cli.units import percent, rate, size, span

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def seen(**status: object) -> SeenRegistry:
    return read_registry(registries.document(**status))


def shown(content: RenderableType) -> str:
    console = Console(width=240, file=io.StringIO())
    with console.capture() as captured:
        console.print(content)
    return captured.get()


def test_a_row_says_how_full_it_is_and_where() -> None:
    head, row = shown(registry_table([seen()])).splitlines()
    assert head.split()[:4] == ["NAMESPACE", "REGISTRY", "READY", "PHASE"]
    assert row.split()[:5] == ["shop", "main", "True", "Serving", "Serving"]
    for said in ("claim main-registry-c1", "12.0 GiB of 100.0 GiB (13 %)", "250", "main-registry.shop:5000"):
        assert said in row
    assert row.rstrip().endswith("-"), "nothing moves"


def test_a_move_is_shown_with_its_end() -> None:
    row = shown(registry_table([seen(migration=migration())])).splitlines()[1]
    assert "Bulk 35 %, 14.0 GiB of 40.0 GiB, 200.0 MiB/s, 2m10s left" in row


@pytest.mark.parametrize("phase", ["Open", "Hold", "Done", "Cancelled", "Failed"])
def test_a_move_that_is_over_moves_nothing(phase: str) -> None:
    found = seen(migration=migration(phase))
    assert moving(found) is None
    assert bars([found]) == []


def test_before_the_first_look_nothing_is_known() -> None:
    bare = registries.document() | {"status": {}}
    row = shown(registry_table([read_registry(bare)])).splitlines()[1]
    assert row.split() == ["shop", "main", "Unknown", *"-------"]


def test_one_of_a_newer_version_does_not_hide_the_others() -> None:
    newer = registries.document("new") | {"spec": {"storage": {"tape": {}}}}
    found = read_registry(newer)
    assert isinstance(found, UnreadableRegistry)
    assert ready_registry(found) == "Unknown"
    text = shown(registry_table([found, seen()]))
    assert "cannot be read: spec.storage.tape" in text
    assert len(text.splitlines()) == 3
    assert registry_document(found)["unreadable"].startswith("spec.storage.tape")


def test_stalled_is_the_reason_that_is_shown() -> None:
    conditions = [condition("Ready", "False", "Starting"), condition("Stalled", "True", "ClaimMissing")]
    row = shown(registry_table([seen(conditions=conditions)])).splitlines()[1]
    assert "ClaimMissing" in row


def test_one_in_full() -> None:
    collection = {"id": "g", "phase": "Done", "cause": "Schedule", "startedAt": SINCE, "finishedAt": SINCE}
    counts = {"tags": 9, "deleteTags": 3, "deleteBytes": GIB, "freedBytes": GIB, "reasons": {"Expired": 3}}
    freeze = {"reason": "Migration", "since": SINCE, "thawBy": "2026-11-21T13:00:00Z"}
    text = shown(
        registry_detail(
            seen(
                migration=migration(quarantine=["sha256:ab has other bytes"]),
                collection={**collection, **counts},
                held=registries.BUCKET,
                freeze=freeze,
            ),
            NOW,
        )
    )
    for said in (
        "RegistryStorage shop/main",
        "bucket images at http://minio:9000: the store before",
        "for Migration, at the latest until 13:00:00Z",
        "sha256:ab has other bytes",
        "3 of 9 tags go, 1.0 GiB",
        "3 Expired",
        "8.0 GiB",
        "Ready Serving",
    ):
        assert said in text


def test_a_document_has_what_scripts_need() -> None:
    made = registry_document(seen(migration=migration()))
    assert (made["kind"], made["ready"], made["phase"], made["held"]) == ("RegistryStorage", "True", "Serving", None)
    assert made["migration"]["bytesDone"] == 14 * GIB
    assert made["usage"]["percent"] == 13


def test_a_bar_for_each_that_moves() -> None:
    text = shown(bars([seen(), seen(migration=migration())])[1])
    assert "shop/main" in text
    assert "━" in text
    assert "bucket images at http://minio:9000 -> claim main-registry-c1" in text


@dataclass
class Seen:
    registries: Sequence[SeenRegistry] = field(default_factory=list)


class Over(Exception):
    """Ends a watch, as Ctrl-C does."""


async def watched(looks: list[Seen | ApiUnavailable]) -> tuple[str, str]:
    """What a watch tells into a pipe of these looks."""
    left = iter(looks)

    async def look() -> Seen:
        found = next(left, None)
        if found is None:
            raise Over
        if isinstance(found, ApiUnavailable):
            raise found
        return found

    async def pause(_seconds: float) -> None:
        return

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(Over):
        await watch(look, lambda _seen: [], pause=pause)
    return out.getvalue(), err.getvalue()


async def test_a_watch_into_a_pipe_tells_what_changed_and_outlives_the_api_server() -> None:
    first, second = seen(migration=migration()), seen(migration=migration(bytesDone=20 * GIB))
    looks = [Seen([first]), Seen([first]), ApiUnavailable("away"), Seen([second]), Seen([seen()])]
    out, err = await watched(list(looks))
    assert [line.partition(",")[0] for line in out.splitlines()] == [
        "shop/main: migrating: Bulk 35 %",
        "shop/main: migrating: Bulk 50 %",
        "shop/main: Serving",
    ]
    assert err == "pawl: away\n"


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (5 << 40, "5.0 TiB"),
    ],
)
def test_sizes(count: int, said: str) -> None:
    assert size(count) == said
    assert rate(count) == f"{said}/s"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0s"), (59, "59s"), (60, "1m"), (130, "2m10s"), (3600, "1h"), (90061, "1d1h"), (-5, "0s")]
)
def test_spans(seconds: int, said: str) -> None:
    assert span(seconds) == said


def test_all_is_done_only_when_it_is() -> None:
    assert [percent(999, 1000), percent(1000, 1000), percent(0, 0), percent(5, 1)] == [99, 100, 100, 100]
