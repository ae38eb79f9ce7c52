"""Fields of custom resources that hold images, as `enforcement.paths` names them.

Neighbours: `decide.places` finds images of built-in kinds. Not here: what an image becomes; objects of a cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pawl.decide.objects import ImageAt
from pawl.decide.places import Manifest, Path, Place

EACH = "[*]"
"""Behind a key: every item of the list that stands there."""


def field_places(manifest: Manifest, path: str) -> tuple[Place, ...]:
    """Return the texts that stand at a dotted path such as `spec.images[*].name`; a field has no container name."""
    return tuple(_walk(manifest, path.split("."), (), ""))


def _walk(value: object, keys: Sequence[str], above: Path, shown: str) -> Iterator[Place]:
    if not keys:
        if isinstance(value, str) and value:
            yield Place(above, shown, ImageAt("containers", "", value))
        return
    key = keys[0].removesuffix(EACH)
    below = value.get(key) if isinstance(value, Mapping) else None
    text = f"{shown}.{key}" if shown else key
    if key == keys[0]:
        yield from _walk(below, keys[1:], (*above, key), text)
    elif isinstance(below, list):
        for index, item in enumerate(below):
            yield from _walk(item, keys[1:], (*above, key, index), f"{text}[{index}]")
