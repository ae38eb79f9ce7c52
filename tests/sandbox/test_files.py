from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tests.sandbox.support import eventually

from pawl.sandbox.files import PRIVATE, locked, write_whole


def test_a_file_is_replaced_with_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file"
    write_whole(target, "old")
    write_whole(target, b"new", PRIVATE)
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(target.parent.iterdir()) == [target]


def test_a_failed_write_leaves_the_old_content_and_no_scrap(tmp_path: Path) -> None:
    target = tmp_path / "busy"
    target.mkdir()
    (target / "content").touch()
    with pytest.raises(OSError, match="busy"):
        write_whole(target, "new")
    assert list(tmp_path.iterdir()) == [target]


def test_a_lock_keeps_a_second_holder_out(tmp_path: Path) -> None:
    order: list[str] = []
    inside = threading.Event()

    def second() -> None:
        inside.wait()
        with locked(tmp_path / "lock", lambda: order.append("waiting")):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with locked(tmp_path / "lock"):
        inside.set()
        eventually(lambda: order)
        order.append("first")
    thread.join()
    assert order == ["waiting", "first", "second"]
