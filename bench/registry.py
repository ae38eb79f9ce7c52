"""What moves a registry's bytes: a push, a move to another store, a collection's plan, a verification."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.registry_move import move
from bench.registry_plan import plan
from bench.registry_push import push
from bench.registry_tree import mix
from bench.rows import Row

LAYER_GIB = 2.0
PARTS = ("push", "move", "plan")


@dataclass(frozen=True)
class Scale:
    """How much is moved, where the bytes are, and which parts are measured. Without a directory: a temporary one."""

    gib: float = 10.0
    directory: str = ""
    parts: tuple[str, ...] = PARTS


def registry(_out: Path, scale: Scale) -> list[Row]:
    """A push of one large layer to distribution as Pawl configures it; a move from MinIO to a directory against
    `rclone copy`; a plan and a verification of 10,000 tags. Server, client, MinIO and worker share the cores."""
    with _scratch(scale.directory) as scratch:
        made = {
            "push": lambda: push(scratch, min(LAYER_GIB, scale.gib)),
            "move": lambda: move(scratch, mix(scale.gib)),
            "plan": lambda: plan(scratch),
        }
        return [row for part in scale.parts for row in made[part]()]


@contextmanager
def _scratch(directory: str) -> Iterator[Path]:
    if directory:
        Path(directory).mkdir(parents=True, exist_ok=True)
        yield Path(directory)
    else:
        with tempfile.TemporaryDirectory(prefix="pawl-bench-") as made:
            yield Path(made)
