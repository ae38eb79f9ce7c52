from __future__ import annotations

from pathlib import Path

import pytest

from pawl.sandbox.paths import cache_dir, state_dir


@pytest.mark.parametrize(
    ("environ", "cache", "state"),
    [
        ({"PAWL_CACHE_DIR": "/c", "PAWL_STATE_DIR": "/s", "XDG_CACHE_HOME": "/x", "XDG_STATE_HOME": "/x"}, "/c", "/s"),
        ({"XDG_CACHE_HOME": "/x", "XDG_STATE_HOME": "/y"}, "/x/pawl", "/y/pawl"),
        (
            {"PAWL_CACHE_DIR": "", "PAWL_STATE_DIR": "", "XDG_CACHE_HOME": "/x", "XDG_STATE_HOME": "/y"},
            "/x/pawl",
            "/y/pawl",
        ),
    ],
)
def test_own_variable_wins_over_xdg(environ: dict[str, str], cache: str, state: str) -> None:
    assert (cache_dir(environ), state_dir(environ)) == (Path(cache), Path(state))


@pytest.mark.parametrize("environ", [{}, {"XDG_CACHE_HOME": "relative", "XDG_STATE_HOME": "relative"}])
def test_falls_back_to_the_home_directory(environ: dict[str, str]) -> None:
    assert cache_dir(environ) == Path.home() / ".cache/pawl"
    assert state_dir(environ) == Path.home() / ".local/state/pawl"


def test_a_relative_directory_is_made_absolute() -> None:
    assert cache_dir({"PAWL_CACHE_DIR": "here"}) == Path.cwd() / "here"
