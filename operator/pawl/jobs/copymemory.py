"""Makes the C library use the memory of large buffers again: pieces of a copy are many, large and short-lived.

Left alone, glibc maps a piece anew each time, and the kernel clears its pages: a third of what reading it costs. And
it keeps an arena for each thread: a copy that holds 64 MiB at any time then takes 200. So there is one arena, pieces
come from it, and its free end is given back only from 64 MiB on. Neighbours: `migrate` calls it once. Not here: how
many bytes a copy holds (`copy`).
"""

from __future__ import annotations

import ctypes
from typing import Final

_MAP_FROM: Final = (-3, 32 << 20)
"""M_MMAP_THRESHOLD: the largest that it takes, and more than a piece has."""
_GIVE_BACK_FROM: Final = (-1, 64 << 20)
"""M_TRIM_THRESHOLD."""
_ARENAS: Final = (-8, 1)
"""M_ARENA_MAX."""


def use_again() -> None:
    """Set these, where the C library knows them; another one has habits of its own."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        for option, value in (_MAP_FROM, _GIVE_BACK_FROM, _ARENAS):
            library.mallopt(option, value)
