"""One watch of the world, with what the world asks of it: which kind, whether it has listed, whether it may not.

Neighbours: `watch` does the work, `world` reads the events. Not here: rows.
"""

from __future__ import annotations

from collections.abc import Callable

from pawl.api.errors import ClusterError, Forbidden, NotFound
from pawl.cluster.client import Cluster
from pawl.cluster.index import Row
from pawl.cluster.watch import Scope, Watch, WatchSettings


class Feed(Watch[Row]):
    """A watch of one kind. `listed`: a listing came to its end; `refused`: the API server says 403 or 404 now."""

    def __init__(
        self,
        cluster: Cluster,
        scope: Scope,
        kind: str,
        decode: Callable[[bytes], Row],
        settings: WatchSettings | None,
        settled: Callable[[], None],
    ) -> None:
        super().__init__(cluster, scope, decode, settings)
        self.kind = kind
        self.namespace = scope.namespace
        self.title = scope.resource.named(scope.namespace, None)
        self.listed = False
        self.refused = False
        self._settled = settled

    def _live(self) -> None:
        super()._live()
        self.refused = False

    def _complain(self, error: ClusterError) -> None:
        super()._complain(error)
        self.refused = isinstance(error, (Forbidden, NotFound))
        self._settled()
