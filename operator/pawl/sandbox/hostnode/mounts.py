"""Claims of a true size: a file system in memory for each, where plain directories would all seem as large as the disk.

For tests of pressure, growth and full targets; needs root. What is in one is gone when the host node ends.
"""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from pawl.api.quantities import quantity


@dataclass
class Mounts:
    """The file systems that this node has made."""

    _paths: set[Path] = field(default_factory=set)

    async def make(self, path: Path, size: str) -> None:
        """Mount one of `size` (as Kubernetes writes it) at the directory `path`; one that is there gets that size."""
        known = path in self._paths
        options = f"{'remount,' if known else ''}size={int(quantity(size))},mode=0777"
        self._paths.add(path)
        await _run("mount", "-t", "tmpfs", "-o", options, "pawl-claim", str(path))

    async def drop(self, path: Path) -> None:
        """Unmount what is at `path`, whoever uses it."""
        if path in self._paths:
            self._paths.discard(path)
            await _run("umount", "-l", str(path))

    async def drop_all(self) -> None:
        """Unmount everything."""
        for path in sorted(self._paths):
            await self.drop(path)


async def _run(*argv: str) -> None:
    await asyncio.to_thread(subprocess.run, argv, check=True, capture_output=True)
