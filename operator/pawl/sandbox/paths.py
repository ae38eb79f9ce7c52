"""Where the sandbox keeps things: binaries in a cache, running clusters in a state directory.

Both lie outside any checkout, so several checkouts share one build. Nothing is created here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def cache_dir(environ: Mapping[str, str]) -> Path:
    """Binaries and a fetched Go: `PAWL_CACHE_DIR`, else `XDG_CACHE_HOME/pawl`, else `~/.cache/pawl`."""
    return _chosen(environ, "PAWL_CACHE_DIR", "XDG_CACHE_HOME", ".cache")


def state_dir(environ: Mapping[str, str]) -> Path:
    """Running sandboxes: `PAWL_STATE_DIR`, else `XDG_STATE_HOME/pawl`, else `~/.local/state/pawl`."""
    return _chosen(environ, "PAWL_STATE_DIR", "XDG_STATE_HOME", ".local/state")


def _chosen(environ: Mapping[str, str], own: str, xdg: str, fallback: str) -> Path:
    if environ.get(own):
        return Path(environ[own]).absolute()
    # The XDG specification says that a relative path is to be ignored.
    base = Path(environ.get(xdg, ""))
    return (base if base.is_absolute() else Path.home() / fallback) / "pawl"
