"""Check, or with --write renew, the locks: every wheel pinned by hash, without an address.

`requirements.lock` holds every group for development, `requirements-runtime.lock` what the image holds: the same
versions and hashes, and nothing that only development needs. A uv.lock names the address of each wheel; this form does
not, so a mirror needs no other lock.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

ROOT: Final = Path(__file__).resolve().parent.parent
LOCK: Final = "requirements.lock"
RUNTIME: Final = "requirements-runtime.lock"
COMPILE: Final = "pip compile pyproject.toml --universal --generate-hashes --python-version 3.11 --no-header --quiet"
WRITE: Final = (
    f"{COMPILE} --group dev --output-file {LOCK}",
    f"{COMPILE} --constraint {LOCK} --output-file {RUNTIME}",
)
PIN: Final = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[^ ;]+)(?P<rest>.*(?:\n    --hash=.*)+)(?P<via>(?:\n    #.*)*)", re.MULTILINE
)


def main(arguments: list[str]) -> int:
    """Return 0 where the locks satisfy pyproject.toml, 1 with one line on each requirement that they do not."""
    if arguments == ["--write"]:
        uv = ROOT / ".venv/bin/uv"
        return max(subprocess.run([uv, *words.split()], cwd=ROOT, check=False).returncode for words in WRITE)
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [item for group in document["dependency-groups"].values() for item in group if isinstance(item, str)]
    runtime = document["project"]["dependencies"]
    whole, image = (pins((ROOT / name).read_text()) for name in (LOCK, RUNTIME))
    wrong = [*unsatisfied(LOCK, whole, [*runtime, *groups]), *unsatisfied(RUNTIME, image, runtime)]
    wrong += [*differing(whole, image), *unasked(image, runtime)]
    for text in wrong:
        print(f"{text}; run `make lock`", file=sys.stderr)
    return 1 if wrong else 0


def canonical(name: str) -> str:
    """Return a package name as indexes compare it."""
    return name.lower().replace("_", "-").replace(".", "-")


def pins(lock: str) -> dict[str, re.Match[str]]:
    """Read the pins of a lock by name: version, the rest of the line with its hashes, and who asks for it."""
    return {canonical(found["name"]): found for found in PIN.finditer(lock)}


def unsatisfied(lock: str, found: Mapping[str, re.Match[str]], wanted: Sequence[str]) -> Iterator[str]:
    """Name every requirement that a lock does not meet."""
    for line in wanted:
        wish = Requirement(line)
        version = found[canonical(wish.name)]["version"] if canonical(wish.name) in found else None
        if version is None or not wish.specifier.contains(version):
            yield f"{lock} has {wish.name} {version or 'not at all'}, pyproject.toml wants {line}"


def differing(whole: Mapping[str, re.Match[str]], image: Mapping[str, re.Match[str]]) -> Iterator[str]:
    """Name every pin of the image that was not tested: another version, or another set of hashes."""
    for name, pin in image.items():
        tested = whole.get(name)
        if tested is None or (tested["version"], hashes(tested)) != (pin["version"], hashes(pin)):
            yield f"{RUNTIME} and {LOCK} do not agree on {name}"


def hashes(pin: re.Match[str]) -> set[str]:
    """Return the hashes of a pin."""
    return set(re.findall(r"--hash=(\S+)", pin["rest"]))


def unasked(image: Mapping[str, re.Match[str]], runtime: Sequence[str]) -> Iterator[str]:
    """Name every pin of the image that no requirement at run time leads to, by the lock's own notes."""
    asked = {canonical(Requirement(line).name) for line in runtime}
    for name, pin in image.items():
        via = {canonical(word) for word in re.findall(r"#\s+(?:via )?([\w.-]+)", pin["via"])}
        if name not in asked and not via & set(image):
            yield f"{RUNTIME} has {name}, which nothing at run time asks for"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
