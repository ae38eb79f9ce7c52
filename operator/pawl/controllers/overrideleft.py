"""What the end of an override could not give back: in sentences, and which right is missing for it.

Neighbours: `overridefinish` fills it, `imageoverride` puts the missing right into the status. Not here: the end itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pawl.api.errors import ClusterError, Forbidden


@dataclass(slots=True)
class Left:
    """What was left on purpose, what is worth another try, and the first failure that a right would mend."""

    skipped: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    denied: str = ""

    def unseen(self, rights: Sequence[str]) -> None:
        """Note rights that are missing to see what is to be given back."""
        self.failed += rights
        self.denied = self.denied or next(iter(rights), "")

    def fail(self, text: str, error: ClusterError) -> None:
        """Note a failure."""
        self.failed.append(text)
        if isinstance(error, Forbidden) and not self.denied:
            self.denied = text
