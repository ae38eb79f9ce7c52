"""The version of Pawl before this one, taken from the history: what users run when they upgrade.

Neighbours: `journey` upgrades from it and back. Not here: what must hold.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import yaml
from tests.cluster.api import Json

from pawl.admission.gate import gate_manifests
from pawl.api.crd import crds

PREVIOUS: Final = "f9ccea49badc453aaae3a463970335fed5ef5dd7"
"""The last commit before there was a chart: what it wrote into clusters must be understood, and the other way round."""
ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class Version:
    """One version of Pawl; `source` is where its code was unpacked, "" for the code under test."""

    name: str
    source: str = ""

    @property
    def environ(self) -> dict[str, str]:
        """What makes a Python process run its code."""
        return {"PYTHONPATH": self.source} if self.source else {}

    def crds(self) -> tuple[Json, ...]:
        return self._say("crds") if self.source else tuple(crds())

    def gate(self, namespace: str) -> tuple[Json, ...]:
        return self._say("gate", "--namespace", namespace) if self.source else tuple(gate_manifests(namespace))

    @cache  # noqa: B019 - there are a few versions, and a command costs a second
    def _say(self, *arguments: str) -> tuple[Json, ...]:
        """The documents that a command of this version prints."""
        argv = [sys.executable, "-m", "pawl", *arguments]
        said = subprocess.run(argv, env=os.environ | self.environ, capture_output=True, text=True, check=True)
        return tuple(document for document in yaml.load_all(said.stdout, yaml.CSafeLoader) if document)


NOW: Final = Version("now")


def missing() -> str:
    """Why the version before cannot be had, "" if it can."""
    found = subprocess.run(
        ["git", "-C", str(ROOT), "cat-file", "-e", f"{PREVIOUS}^{{commit}}"], capture_output=True, check=False
    )
    return f"commit {PREVIOUS[:7]}, from which is upgraded, is not in this checkout" if found.returncode else ""


def extracted(directory: Path) -> Version:
    """Unpack the version before into a directory."""
    argv = ["git", "-C", str(ROOT), "archive", PREVIOUS, "operator", "crds"]
    packed = subprocess.run(argv, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(directory)], input=packed, check=True)
    version = Version("before", str(directory / "operator"))
    argv = [sys.executable, "-c", "import pawl; print(pawl.__file__)"]
    found = subprocess.run(argv, env=os.environ | version.environ, capture_output=True, text=True, check=True).stdout
    assert found.startswith(str(directory)), f"{found.strip()} would run instead of the version before"
    return version
