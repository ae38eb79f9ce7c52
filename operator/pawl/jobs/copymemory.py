"""Makes the C library give large buffers back at once: pieces of a copy are many, large and short-lived.

Left alone, glibc raises the size from which it maps a buffer of its own each time one is freed, and keeps buffers in
an arena for each thread: a copy that holds 64 MiB at any time then takes 200. Neighbours: `migrate` calls it once.
Not here: how many bytes a copy holds (`copy`).
"""

from __future__ import annotations

import ctypes
from typing import Final

_MAP_FROM: Final = (-3, 1 << 20)
"""M_MMAP_THRESHOLD: a fixed one, of 1 MiB."""
_ARENAS: Final = (-8, 2)
"""M_ARENA_MAX."""


def give_back_early() -> None:
    """Set both, where the C library knows them; another one has habits of its own."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        for option, value in (_MAP_FROM, _ARENAS):
            library.mallopt(option, value)
