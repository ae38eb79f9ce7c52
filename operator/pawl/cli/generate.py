"""Writes the generated files of the repository, or checks that they are what the models say.

    python -m pawl.cli.generate            write crds/, schemas/, docs/reference/ and the chart's rights
    python -m pawl.cli.generate --check    write nothing; exit 1 and name the files that are stale

Neighbours: `api.documents` and `cluster.rights_docs` make the content. A tool for those who work on Pawl: it is no part
of the `pawl` command.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import click

from pawl.api.documents import COMMENT, GENERATED, documents
from pawl.cluster import rights_docs

ROOT = Path(__file__).parents[3]
COMMAND = "python -m pawl.cli.generate"


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a file is stale.")
@click.option("--root", type=click.Path(path_type=Path, file_okay=False), default=ROOT, help="Root of the repository.")
def main(*, check: bool, root: Path) -> None:
    """Write the CRDs, the JSON Schemas, the reference pages and the rules of RBAC, or check them."""
    made = documents() | rights_docs.documents()
    stale, extra = stale_files(root, made), left_over(root, made)
    if not check:
        for path in stale:
            _write(root / path, made[path])
        for path in extra:
            (root / path).unlink()
        click.echo(f"{len(made)} files, {len(stale)} written, {len(extra)} removed")
    elif stale or extra:
        click.echo(f"stale: {', '.join([*stale, *extra])}; run {COMMAND}", err=True)
        sys.exit(1)


def stale_files(root: Path, made: Mapping[str, str]) -> list[str]:
    """Paths of `made` whose file below `root` is missing or differs."""
    return [path for path, content in made.items() if _read(root / path) != content]


def left_over(root: Path, made: Mapping[str, str]) -> list[str]:
    """Generated files below `root` that are no longer made, as after a kind was renamed. Hand-written ones stay."""
    found = (file for pattern in GENERATED for file in sorted(root.glob(pattern)))
    paths = {file.relative_to(root).as_posix(): file for file in found}
    return [path for path, file in paths.items() if path not in made and COMMENT in (_read(file) or "")]


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _write(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
