"""Files given to the command line: read, bounded, validated, each fault one line that names file and field.

Neighbours: `choose` and the offline commands to come. Not here: objects of a live cluster.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from pawl.api.errors import InputError

M = TypeVar("M", bound=BaseModel)

FILE_BYTES: Final = 16 * 1024 * 1024
FAULTS_SHOWN: Final = 3
DEPTH: Final = 100


def read_objects(source: str) -> list[Mapping[str, object]]:
    """Read every object of a YAML or JSON file (`-`: standard input). Raises InputError."""
    text = _read(source)
    try:
        _refuse_depth(text, source)
        documents = list(yaml.load_all(text, Loader=_loader()))
    except yaml.YAMLError as error:
        raise InputError(f"{source} is no YAML: {' '.join(str(error).split())[:300]}") from error
    objects = [document for document in documents if document is not None]
    wrong = next((document for document in objects if not isinstance(document, Mapping)), None)
    if wrong is not None:
        raise InputError(f"{source} holds a {type(wrong).__name__} where an object is expected")
    return objects


def _refuse_depth(text: str, source: str) -> None:
    """Walk the events first: the loader in C builds nested nodes by recursion and would end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_loader()):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH:
            raise InputError(f"{source} is nested deeper than {DEPTH} levels")


def _loader() -> type[yaml.SafeLoader]:
    """The loader in C where PyYAML has it: the same results, ten times as fast."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_bytes(source: str, limit: int) -> bytes:
    """Read a file, or standard input for `-`. Raises InputError where it cannot be read or is larger than `limit`."""
    try:
        if source == "-":
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with Path(source).open("rb") as file:
                data = file.read(limit + 1)
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror}") from error
    if len(data) > limit:
        raise InputError(f"{source} is larger than {limit >> 20} MiB")
    return data


def _read(source: str) -> str:
    try:
        return read_bytes(source, FILE_BYTES).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is not UTF-8 text") from error


def validate(model: type[M], document: Mapping[str, object], source: str) -> M:
    """Validate one object against its model, unknown fields refused. Raises InputError."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        told = [f"{'.'.join(map(str, fault['loc'])) or 'object'}: {fault['msg']}" for fault in faults[:FAULTS_SHOWN]]
        more = f" (and {len(faults) - FAULTS_SHOWN} more)" if len(faults) > FAULTS_SHOWN else ""
        raise InputError(f"{source}: {'; '.join(told)}{more}") from error
