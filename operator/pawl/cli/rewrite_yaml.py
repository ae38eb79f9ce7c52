"""Manifests of any kind, read so that they can be written again: what `pawl rewrite` does not change keeps its value.

YAML's own guesses would change values on the way: 22:22 is read as a number in base 60, 2026-01-02 as a date. Here both
stay text, as they are for kubectl. Neighbours: `cli.inputs` reads objects of our own kinds; `cli.rewrite` writes.
Not here: comments, which do not survive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import yaml

from pawl.api.errors import InputError
from pawl.cli.inputs import DEPTH, FILE_BYTES, read_bytes
from pawl.decide.places import Manifest

_TIME: Final = "tag:yaml.org,2002:timestamp"
_INT: Final = "tag:yaml.org,2002:int"
_FLOAT: Final = "tag:yaml.org,2002:float"
_VALUE: Final = "tag:yaml.org,2002:value"
_STR: Final = "tag:yaml.org,2002:str"
_LOADER: Final[type[yaml.SafeLoader]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class PlainLoader(_LOADER):  # type: ignore[valid-type,misc]
    """The safe loader without dates, base 60 and the sign `=`."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:  # noqa: FBT001
        """Read a node; a scalar that YAML only guessed to be something that the API does not know is text."""
        if isinstance(node, yaml.ScalarNode) and _guessed(node):
            node.tag = _STR
        return super().construct_object(node, deep)


class BlockDumper(yaml.SafeDumper):
    """The safe dumper with text of several lines as a block, as people write it."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Write text."""
        return self.represent_scalar(_STR, text, style="|" if "\n" in text else None)


BlockDumper.add_representer(str, BlockDumper.represent_text)


def read_manifests(source: str) -> list[Manifest]:
    """Read every object of a YAML or JSON file (`-`: standard input). Raises InputError."""
    try:
        text = read_bytes(source, FILE_BYTES).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is not UTF-8 text") from error
    try:
        _refuse_depth(text, source)
        documents = [document for document in yaml.load_all(text, Loader=PlainLoader) if document is not None]
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{source} is no YAML: {' '.join(str(error).split())[:300]}") from error
    wrong = next((document for document in documents if not isinstance(document, Mapping)), None)
    if wrong is not None:
        raise InputError(f"{source} holds a {type(wrong).__name__} where an object is expected")
    return documents


def write_manifests(manifests: Iterable[Manifest]) -> str:
    """Write objects as YAML documents, keys in the order in which they came."""
    return yaml.dump_all(manifests, Dumper=BlockDumper, sort_keys=False, allow_unicode=True, width=4096)


def _refuse_depth(text: str, source: str) -> None:
    """Walk the events first, as `cli.inputs` does: nodes are built by recursion."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH:
            raise InputError(f"{source} is nested deeper than {DEPTH} levels")


def _guessed(node: yaml.ScalarNode) -> bool:
    return bool(node.tag in (_TIME, _VALUE) or (node.tag in (_INT, _FLOAT) and ":" in node.value))
