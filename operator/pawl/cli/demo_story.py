"""The form of the demo: acts with steps, each step a check whose result is the line that is shown.

Neighbours: `demo_acts` holds the acts, `demo_screen` shows them, `demo` runs them. Not here: what is checked.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pawl.api.imagepolicy import Selection
from pawl.cli.demo_board import Workload
from pawl.cli.demo_registry_stage import House
from pawl.cli.demo_screen import Screen
from pawl.cli.demo_stage import Stage


def _unseen(rows: Sequence[Workload]) -> None:
    """Show rows to nobody."""


@dataclass
class Before:
    """What stood in Rook's namespace before something was done: generations by workload, uids of Jobs and Pods."""

    generations: dict[str, int] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)


@dataclass
class Story:
    """What the play remembers from step to step: digests as they were pushed, selections as they were seen.

    `show` shows how far workloads are while a step works.
    """

    stage: Stage
    digests: dict[str, str] = field(default_factory=dict)
    first: Selection | None = None
    held: Selection | None = None
    killed_at: float = 0.0
    cut_before: int = 0
    before: Before = field(default_factory=Before)
    house: House = field(default_factory=House)
    show: Callable[[Sequence[Workload]], None] = _unseen


@dataclass(frozen=True, slots=True)
class Step:
    """`doing` is shown while it runs; what `run` returns is what was observed. It raises PawlError where it fails."""

    doing: str
    run: Callable[[Story], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Act:
    """A few steps that prove one thing. `proof` is its line in the summary."""

    title: str
    sentence: str
    proof: str
    steps: Sequence[Step]


@dataclass(frozen=True, slots=True)
class Proved:
    """A line of the summary. `seconds` from the act's first step to its last."""

    number: int
    title: str
    proof: str
    seconds: float


class Teller:
    """Plays acts, shows each step with its seconds and keeps what was proved."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._proved: list[Proved] = []
        self._begun = 0.0

    @property
    def proved(self) -> Sequence[Proved]:
        """The acts that ended well, in order."""
        return tuple(self._proved)

    def begin(self, act: Act) -> None:
        """Announce an act; its seconds count from here."""
        self._begun = time.monotonic()
        self._screen.act(len(self._proved) + 1, act.title, act.sentence)

    def end(self, act: Act) -> None:
        """Count an act as proved: all of its steps ended well."""
        seconds = time.monotonic() - self._begun
        self._proved.append(Proved(len(self._proved) + 1, act.title, act.proof, seconds))

    @contextmanager
    def step(self, doing: str) -> Iterator[list[str]]:
        """Show a step while it works, then the one line that the block put into the list; or that it failed."""
        begun, said = time.monotonic(), list[str]()
        try:
            with self._screen.working(doing):
                yield said
        except Exception:
            self._screen.failed(doing, time.monotonic() - begun)
            raise
        self._screen.observed(said[0], time.monotonic() - begun)

    async def play(self, act: Act, story: Story) -> None:
        """Run the steps of an act in order. Raises what a step raises."""
        story.show = self._screen.board
        for step in act.steps:
            with self.step(step.doing) as said:
                said.append(await step.run(story))
        self.end(act)
