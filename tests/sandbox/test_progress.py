from __future__ import annotations

import io
import re

import pytest

from pawl.sandbox.progress import SILENT, Live, Plain, for_stream


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_lines_for_a_pipe() -> None:
    screen = io.StringIO()
    progress = for_stream(screen)
    assert isinstance(progress, Plain)
    with progress.step("work"):
        progress.note("remark")
    first, second, third = screen.getvalue().splitlines()
    assert (first, second) == ("work ...", "remark")
    assert re.fullmatch(r"work: \d\.\d s", third)


def test_a_terminal_keeps_one_line_a_step() -> None:
    screen = Terminal()
    progress = for_stream(screen)
    assert isinstance(progress, Live)
    with progress.step("work [1]"):
        pass
    progress.note("remark")
    assert re.search(r"work \[1\] .*\d\.\d s", screen.getvalue())
    assert "remark" in screen.getvalue()


@pytest.mark.parametrize("make", [io.StringIO, Terminal])
def test_a_failed_step_is_not_told_as_done(make: type[io.StringIO]) -> None:
    screen = make()
    progress = for_stream(screen)
    with pytest.raises(RuntimeError), progress.step("work"):
        raise RuntimeError
    assert " s" not in screen.getvalue().split("work")[-1]


def test_silence() -> None:
    with SILENT.step("work"):
        SILENT.note("remark")
