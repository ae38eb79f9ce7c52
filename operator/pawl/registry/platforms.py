"""Platform names, normalised as containerd does (containerd/platforms: normalizeArch, platformVector).

Pure. Not here: where the names come from (`manifests`).
"""

from __future__ import annotations

from collections.abc import Iterable

_SYSTEMS = {"macos": "darwin"}
_ARCHITECTURES = {
    "i386": ("386", ""),
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}
_BASE_VARIANTS = {("amd64", "v1"), ("arm64", "v8")}  # what the bare architecture means
_LADDERS = {"arm": ("v5", "v6", "v7", "v8"), "amd64": ("", "v2", "v3", "v4")}  # each runs what stands before it


def normalise(platform: str) -> tuple[str, str, str]:
    """`os/arch[/variant]` as (os, architecture, variant), with other names of the same thing made equal."""
    system, _, rest = platform.strip().lower().partition("/")
    architecture, _, variant = rest.partition("/")
    if architecture in _ARCHITECTURES:
        architecture, implied = _ARCHITECTURES[architecture]
        variant = variant or implied
    if variant.isdigit():
        variant = f"v{variant}"
    if architecture == "arm" and not variant:
        variant = "v7"
    if (architecture, variant) in _BASE_VARIANTS:
        variant = ""
    return _SYSTEMS.get(system, system), architecture, variant


def offers(platforms: Iterable[str], wanted: str) -> bool:
    """Whether an image with these platforms runs on the wanted one.

    linux/arm64 is linux/arm64/v8, linux/arm is linux/arm/v7; arm/v7 also runs arm/v6 and v5, amd64/v3 also amd64.
    """
    target = normalise(wanted)
    return any(_runs(normalise(platform), target) for platform in platforms)


def missing_platforms(platforms: Iterable[str], wanted: Iterable[str]) -> tuple[str, ...]:
    """Those of the wanted platforms that are not offered, in their order."""
    offered = tuple(platforms)
    return tuple(one for one in wanted if not offers(offered, one))


def _runs(image: tuple[str, str, str], target: tuple[str, str, str]) -> bool:
    if image == target:
        return True
    ladder = _LADDERS.get(target[1], ())
    if image[:2] != target[:2] or image[2] not in ladder or target[2] not in ladder:
        return False
    return ladder.index(image[2]) <= ladder.index(target[2])
