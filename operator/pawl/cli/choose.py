"""`pawl choose`: which tag would this policy select from these tags? Offline, for pipelines and for trying things out.

Exit codes: 0 selected or held, 3 nothing selectable, 2 bad input. Neighbours: `decide.offline` decides.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Final

import click

from pawl.api.errors import InputError, Stalled
from pawl.api.imagepolicy import ImagePolicy
from pawl.cli.inputs import read_bytes, read_objects, validate
from pawl.decide.offline import Choice
from pawl.decide.offline import choose as decide_offline

TAG_BYTES: Final = 256 * 1024 * 1024
NOTHING: Final = 3


@click.command()
@click.option("-f", "--file", "source", required=True, metavar="FILE", help="The ImagePolicy, YAML or JSON.")
@click.option("--tags", "tags", required=True, metavar="FILE|-", help="Tags, one a line; - reads standard input.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def choose(source: str, tags: str, output: str) -> int:
    """Which tag would this policy select from these tags?"""
    policy = read_policy(source)
    try:
        choice = decide_offline(policy, read_tags(tags), datetime.now(UTC))
    except Stalled as stalled:
        raise InputError(f"{source}: {stalled.reason}: {stalled.message}") from stalled
    click.echo(json.dumps(document(choice), indent=2) if output == "json" else _text(choice))
    return 0 if choice.selection is not None else NOTHING


def read_policy(source: str) -> ImagePolicy:
    """Read the one ImagePolicy of a file. Raises InputError."""
    objects = read_objects(source)
    if len(objects) != 1:
        raise InputError(f"{source} holds {len(objects)} objects; give a file with one ImagePolicy")
    return validate(ImagePolicy, objects[0], source)


def read_tags(source: str) -> list[str]:
    """Read tags, one a line; blank lines are left out. Raises InputError."""
    data = read_bytes(source, TAG_BYTES)
    lines = data.decode(errors="replace").splitlines()
    return [tag for tag in (line.strip() for line in lines) if tag]


def document(choice: Choice) -> dict[str, object]:
    """Return the answer as the JSON document that scripts depend on."""
    held = choice.selection
    return {
        "tag": held.tag if held else None,
        "sortKey": held.sort_key if held else None,
        "ordering": choice.ordering,
        "selection": held.wire() if held else None,
        "hold": choice.hold.value if choice.hold else None,
        "rejected": [{"tag": no.tag, "reason": no.reason} for no in choice.rejected],
        "considered": choice.considered,
        "notEvaluated": list(choice.not_evaluated),
    }


def _text(choice: Choice) -> str:
    held = choice.selection
    lines = [f"{held.tag}" if held else "nothing can be selected"]
    if choice.hold is not None:
        lines.append(f"held: {choice.hold.value}: {choice.message}")
    lines.append(f"considered {choice.considered} tags, rejected {len(choice.rejected)}")
    counts = Counter(no.reason for no in choice.rejected)
    lines += [f"  {count:>6}  {reason}" for reason, count in counts.most_common()]
    if choice.not_evaluated:
        lines.append(f"not evaluated offline: {', '.join(choice.not_evaluated)}")
    return "\n".join(lines)
