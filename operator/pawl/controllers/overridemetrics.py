"""The metrics of overrides: what workloads are in, what was done, what needs eyes, the tables, the gate.

Gauges are sums over all overrides of what was last told of each, read at the scrape: labels are kinds, states, verdicts
and results, never a name. What a term told ends with it: a replica that lost the Lease says nothing about overrides.
Neighbours: `metrics` holds the registry; `imageoverride` and `overrideacts` tell. Not here: HTTP.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pawl.api.errors import ClusterError
from pawl.api.imageoverride import Verdict, WorkloadCounts
from pawl.api.imagerules import Table
from pawl.cluster.client import Cluster
from pawl.cluster.ruletables import RuleTables, StoredTable
from pawl.cluster.world import World
from pawl.controllers.queue import Key
from pawl.decide.gatechoice import POLICY, UNKNOWN, WEBHOOK
from pawl.decide.rollout import Spotted

KINDS: Final = ("ImageOverride", "ClusterImageOverride")
STATES: Final = tuple(WorkloadCounts.model_fields)
GATES: Final = (POLICY, WEBHOOK, UNKNOWN, "none")


@dataclass(frozen=True, slots=True)
class _Told:
    """What was last told of one override."""

    counts: WorkloadCounts
    verdicts: Mapping[str, int]
    contests: int


class OverrideMetrics(Collector):
    """The metrics of overrides in one process. The methods are the hooks that controllers call."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._told: dict[Key, _Told] = {}
        self._gate = ""
        self._tables: Callable[[], int] = _none
        self._unparsable: Callable[[], int] = _none
        self._actions = Counter(
            "pawl_override_actions",
            "Writes of rollouts by action and result (written, stale, refused).",
            ["action", "result"],
            registry=registry,
        )
        self._writes = Counter(
            "pawl_rules_table_writes", "Writes of tables by result (written, failed).", ["result"], registry=registry
        )
        registry.register(self)

    @contextmanager
    def term(self, world: World, tables: RuleTables) -> Iterator[None]:
        """Hold for a term: gauges begin empty, are read from its world and its tables, and end with it."""
        self._unparsable, self._tables = lambda: len(world.unparsable()), lambda: len(tables.tables)
        try:
            yield
        finally:
            self._told, self._gate = {}, ""
            self._unparsable = self._tables = _none

    def looked(self, key: Key, counts: WorkloadCounts, spotted: Iterable[Spotted], contests: int) -> None:
        """A look at an override ended with these counts, everything that needs eyes, and so many contests."""
        self._told[key] = _Told(counts, Tally(one.verdict.value for one in spotted), contests)

    def forget(self, key: Key) -> None:
        """Forget an override that is gone."""
        self._told.pop(key, None)

    def gate(self, kind: str) -> None:
        """The gate was asked what rewrites Pods: MutatingAdmissionPolicy, Webhook, Unknown, or "" for nothing."""
        self._gate = kind or "none"

    def acted(self, action: str, result: str) -> None:
        """One write of a rollout ended. `action` is the name of its type; `result`: written, stale or refused."""
        self._actions.labels(action, result).inc()

    def table_written(self, result: str) -> None:
        """One table was to be written and differed. `result`: written or failed."""
        self._writes.labels(result).inc()

    def collect(self) -> Iterable[Metric]:
        """Yield all gauges with their values of now."""
        told = tuple(self._told.items())
        yield self._workloads()
        findings: Tally[str] = Tally()
        for _, one in told:
            findings.update(one.verdicts)
        verdicts = {verdict.value: float(findings[verdict.value]) for verdict in Verdict if verdict != Verdict.VERIFIED}
        yield _family("pawl_override_findings", "Findings of all overrides by verdict.", "verdict", verdicts)
        gates = {gate: float(gate == self._gate) for gate in GATES}
        yield _family("pawl_gate_info", "1 for what rewrites Pods, on the leader.", "gate", gates)
        for name, text, value in (
            ("pawl_override_contests", "Objects from which Pawl stepped back.", sum(one.contests for _, one in told)),
            ("pawl_rules_tables", "Tables of the gate that are stored.", self._tables()),
            ("pawl_rules_unparsable_images", "Images in use that are no reference.", self._unparsable()),
        ):
            yield GaugeMetricFamily(name, text, value=value)

    def _workloads(self) -> Metric:
        family = GaugeMetricFamily(
            "pawl_override_workloads", "Workloads of all overrides by kind and state.", labels=["kind", "state"]
        )
        for kind in KINDS:
            mine = [one.counts for key, one in self._told.items() if key.kind == kind]
            for state in STATES:
                family.add_metric([kind, state], sum(getattr(counts, state) for counts in mine))
        return family


class MeasuredTables(RuleTables):
    """The stored tables, every write of them counted."""

    def __init__(
        self,
        cluster: Cluster,
        namespaces: Sequence[str],
        *,
        clustered: bool,
        on_change: Callable[[str], None],
        metrics: OverrideMetrics,
    ) -> None:
        super().__init__(cluster, namespaces, clustered=clustered, on_change=on_change)
        self._metrics = metrics

    async def write(self, namespace: str, table: Table | None) -> StoredTable | None:
        """Write as `RuleTables.write` does; what was equal already is not counted."""
        before = self.tables.get(namespace)
        try:
            stored = await super().write(namespace, table)
        except ClusterError:
            self._metrics.table_written("failed")
            raise
        if stored is not before:
            self._metrics.table_written("written")
        return stored


def unmeasured() -> OverrideMetrics:
    """Return metrics that nobody reads."""
    return OverrideMetrics(CollectorRegistry())


def _none() -> int:
    return 0


def _family(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family
