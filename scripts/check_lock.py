"""Check, or with --write renew, `requirements.lock`: every wheel of every group, pinned by hash, without an address.

A uv.lock names the address of each wheel; this form does not, so a mirror needs no other lock.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
COMPILE = (
    "pip compile pyproject.toml --group dev --universal --generate-hashes --python-version 3.11 --no-header --quiet "
    "--output-file requirements.lock"
)


def main(arguments: list[str]) -> int:
    """Return 0 where the lock satisfies pyproject.toml, 1 with one line on each requirement that it does not."""
    if arguments == ["--write"]:
        return subprocess.run([ROOT / ".venv/bin/uv", *COMPILE.split()], cwd=ROOT, check=False).returncode
    pins, wrong = pinned(), []
    for line in required():
        wish = Requirement(line)
        pin = pins.get(canonical(wish.name))
        if pin is None or not wish.specifier.contains(pin):
            wrong.append(f"requirements.lock has {wish.name} {pin or 'not at all'}, pyproject.toml wants {line}")
    for text in wrong:
        print(f"{text}; run `make lock`", file=sys.stderr)
    return 1 if wrong else 0


def canonical(name: str) -> str:
    """Return a package name as indexes compare it."""
    return name.lower().replace("_", "-").replace(".", "-")


def pinned() -> dict[str, str]:
    """Read name -> version from the lock."""
    text = (line for line in LOCK.read_text().splitlines() if "==" in line and not line.startswith(" "))
    lines = (line.split(";")[0].strip(" \\") for line in text)
    return {canonical(name): version.strip() for name, version in (line.split("==") for line in lines)}


def required() -> list[str]:
    """Read every requirement of the project and its groups."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [item for group in document["dependency-groups"].values() for item in group if isinstance(item, str)]
    return [*document["project"]["dependencies"], *groups]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
