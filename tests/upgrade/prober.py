"""Asks for Pods all the time, as dry runs: whoever is alive, whatever is replaced, each must come back rewritten.

Neighbours: `village` has the images. Not here: Pods that stay.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import uuid4

from tests.cluster.api import Api
from tests.cluster.override_stage_workloads import bare_pod

PAUSE: Final = 0.1
ENOUGH: Final = 20


@dataclass
class Prober:
    """`asked` Pods, and what came back wrong: the image, or the refusal."""

    api: Api
    namespace: str
    wanted: Sequence[tuple[str, str]]
    asked: int = 0
    wrong: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._stop.wait(PAUSE):
            for source, place in self.wanted:
                self._ask(source, place)

    def _ask(self, source: str, place: str) -> None:
        path = f"api/v1/namespaces/{self.namespace}/pods"
        body = bare_pod(f"probe-{uuid4().hex[:8]}", source)
        answer = self.api._send("POST", path, body, params={"dryRun": "All"})
        self.asked += 1
        said = answer.body["spec"]["containers"][0]["image"] if answer.ok else answer.message
        if not said.startswith(place) and len(self.wrong) < ENOUGH:
            self.wrong.append(said)

    def end(self) -> None:
        self._stop.set()


@contextmanager
def probing(kubeconfig: Path, namespace: str, wanted: Sequence[tuple[str, str]]) -> Iterator[Prober]:
    """Ask from now on; at the end every Pod must have come back from the place that is wanted."""
    prober = Prober(Api(kubeconfig), namespace, wanted)
    thread = threading.Thread(target=prober.run, daemon=True)
    thread.start()
    try:
        yield prober
    finally:
        prober.end()
        thread.join(30)
        prober.api.close()
    assert not thread.is_alive()
    assert prober.asked >= ENOUGH
    assert prober.wrong == []
