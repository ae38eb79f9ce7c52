"""What overrides would do in the live cluster: compiled with all others, judged against every row, nothing written.

The same judgement as the controllers': `decide.rulebook` compiles, `decide.assess` judges, `decide.plan` writes down.
What was held back or exempted stays so, as the stored tables say it. Neighbours: `status_live` reads, `plan_preflight`
looks at registries, `plan` is the command. Not here: the order in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from pawl.api.imageoverride import Override, Plan, PlannedStep, Verdict
from pawl.api.imagerules import Table
from pawl.api.reasons import Reason
from pawl.cluster.client import Cluster
from pawl.cluster.ruletables import CLUSTER, StoredTable
from pawl.cluster.world import World
from pawl.controllers.assessments import Assessments
from pawl.controllers.customfields import CustomFields
from pawl.controllers.overridescope import namespaces_of
from pawl.controllers.overridestore import label_of
from pawl.controllers.policymarks import policies_for
from pawl.controllers.standing import Standing
from pawl.controllers.store import PolicyStore
from pawl.decide.digests import Content
from pawl.decide.overridefindings import spotted
from pawl.decide.plan import all_steps, plan_of
from pawl.decide.rollout import Assessment, Gate, RolloutFacts, Spotted
from pawl.decide.rulebook import EVERYWHERE, Judged, Stock, compile_rulebook
from pawl.decide.stages_view import view_of
from pawl.decide.tables import CompiledTable

_STAYS = frozenset({Reason.BARE_POD.value, Reason.JOB_RUNNING.value})
"""Drift that Pawl never mends by itself: nobody would make that Pod again, and a running Job is left until it ends."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What all plans of one call rest on. `now` is in seconds since the epoch."""

    cluster: Cluster
    world: World
    overrides: tuple[Override, ...]
    policies: PolicyStore
    stored: Mapping[str, StoredTable]
    excluded: frozenset[str]
    now: float

    def stock(self) -> Stock:
        """Return what the tables are compiled from; what is held back or exempt now stays so."""
        tables = {name: found.table for name, found in self.stored.items() if found.table is not None}
        return Stock(
            overrides=self.overrides,
            policies=policies_for(self.overrides, self.policies, tables.values()),
            namespaces=self.world.namespaces(),
            held={name or EVERYWHERE: dict(table.held) for name, table in tables.items()},
            exempt={name or EVERYWHERE: dict(table.exempt) for name, table in tables.items()},
            excluded=self.excluded,
        )


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of one override. `steps` are all of it, `left` is what differs and stays."""

    override: Override
    judged: Judged | None
    plan: Plan | None = None
    """None where none of its rules is in force."""
    steps: tuple[PlannedStep, ...] = ()
    left: tuple[PlannedStep, ...] = ()
    namespaces: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at registries brought: contents by (namespace, reference), held results, and a sentence for each."""

    contents: Mapping[tuple[str, str], Content] = field(default_factory=dict)
    held: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    refused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By override."""


def standing_of(ground: Ground, seen: Seen | None = None) -> Standing:
    """Compile all overrides as if none waited for an approval."""
    stock = ground.stock()
    if seen is not None:
        names = {*stock.held, *seen.held}
        held = {name: {**stock.held.get(name, {}), **seen.held.get(name, {})} for name in names}
        stock = replace(stock, held=held)
    book = compile_rulebook(stock)
    compiled = {name: CompiledTable.of(table) for name, table in {CLUSTER: book.cluster, **book.namespaces}.items()}
    contents = {} if seen is None else seen.contents
    return Standing(1, book, compiled, compiled, stored=ground.stored, contents=contents)


async def planned(override: Override, ground: Ground, standing: Standing, seen: Seen | None = None) -> Planned:
    """Return the plan of one override. Raises ClusterError where a custom resource cannot be listed at all."""
    label, world = label_of(override), ground.world
    judged = standing.judged(label)
    if judged is not None and not judged.accepted:
        return Planned(override, judged)
    spaces = namespaces_of(override, world.namespaces(), standing.rulebook.left_alone)
    known = replace(standing, contents={**_resolved(override), **standing.contents})
    fields = await CustomFields(ground.cluster, lambda: 0.0).look(override, known, spaces)
    facts = _facts(override, ground, known, spaces)
    view = view_of(msgspec.structs.replace(facts, fields=fields.differ), ground.now)
    steps = all_steps(view)
    refused = () if seen is None else seen.refused.get(label, ())
    return Planned(
        override,
        judged,
        plan_of(view),
        tuple(step for step in steps if step.action != "Leave"),
        tuple(_left(steps, spotted(view))),
        spaces,
        (*_notes(override, judged), *fields.trouble, *refused),
    )


def _facts(override: Override, ground: Ground, standing: Standing, spaces: tuple[str, ...]) -> RolloutFacts:
    world = ground.world
    assessments = Assessments(world).of(override, standing, spaces, (0, {}))
    facts = RolloutFacts(
        override=label_of(override),
        uid=override.metadata.uid,
        spec=override.spec,
        assessments=assessments,
        gate=Gate(in_force=True, since=_since(ground, standing, assessments)),
        contested=_contested(override),
        nodes=tuple(world.nodes()),
    )
    return _with_family(facts, override, world)


def _with_family(facts: RolloutFacts, override: Override, world: World) -> RolloutFacts:
    """Add the workloads above those that are judged, and their Pods."""
    parents = {each.row.uid: rows for each in facts.assessments if (rows := world.parents_of(each.row))}
    explicit = tuple(
        row
        for parent in override.spec.enforcement.parents
        for row in world.workloads(parent.namespace or override.metadata.namespace)
        if (row.kind, row.name) == (parent.kind.value, parent.name)
    )
    above = {row.uid for rows in (*parents.values(), explicit) for row in rows}
    pods = {uid: tuple(pod for pod in world.pods_of(uid) if pod.live) for uid in above}
    return msgspec.structs.replace(facts, parents=parents, explicit=explicit, parent_pods=pods)


def _resolved(override: Override) -> dict[tuple[str, str], Content]:
    """Return what the operator saw of the targets of this generation."""
    status = override.status
    if status.observed_generation != override.metadata.generation:
        return {}
    return {
        ("", found.reference): Content(
            found.reference, found.digest, {each.platform: each.digest for each in found.platforms}
        )
        for found in status.resolved
    }


def _contested(override: Override) -> frozenset[str]:
    generation = override.metadata.generation
    return frozenset(each.uid for each in override.status.contests if each.generation == generation)


def _since(ground: Ground, standing: Standing, assessments: Iterable[Assessment]) -> float:
    """Return since when the tables hold: one that would be written now holds from now on."""
    found = [0.0]
    for namespace in {each.row.namespace for each in assessments}:
        name = namespace if namespace in standing.rulebook.namespaces else CLUSTER
        drafted, stored = standing.rulebook.table(namespace), ground.stored.get(name)
        same = stored is not None and stored.table is not None and drafted is not None and _same(stored.table, drafted)
        found.append(stored.written if stored is not None and same else ground.now)
    return max(found)


def _same(one: Table, other: Table) -> bool:
    """Whether two tables make the same of every Pod; which namespaces have tables of their own does not matter."""
    return all(getattr(one, part) == getattr(other, part) for part in ("mandatory", "rules", "secrets", "held"))


def _left(steps: Sequence[PlannedStep], found: Iterable[Spotted]) -> Iterable[PlannedStep]:
    """Tell what stays, with the sentence of its finding where there is one."""
    told: set[str] = set()
    for one in found:
        if one.verdict in (Verdict.SKIPPED, Verdict.CONTESTED) or one.reason in _STAYS:
            name = f"{one.kind} {one.namespace}/{one.name}"
            told.add(name)
            where = f"{one.container}: " if one.container else ""
            yield PlannedStep(action=one.reason, object=name[:380], why=f"{where}{one.message}"[:512])
    for step in steps:
        if step.action == "Leave" and step.object not in told:
            yield PlannedStep(action=step.why[:253], object=step.object)


def _notes(override: Override, judged: Judged | None) -> Iterable[str]:
    spec = override.spec
    if judged is not None:
        yield from (each.message for each in judged.inactive)
        yield from (each.sentence() for each in judged.conflicts)
    if spec.suspend:
        yield "spec.suspend is set: Pods are rewritten as they start, and nothing below is done"
    if spec.rollout.mode == "AdmissionOnly":
        yield "spec.rollout.mode is AdmissionOnly: Pods are rewritten as they start, and nothing below is done"
    if spec.rollout.paused:
        yield "spec.rollout.paused is set: nothing below is begun until it is taken away"
    if spec.rollout.window is not None:
        window = spec.rollout.window
        yield f"workloads roll only in the window {window.schedule} ({window.time_zone}) for {window.duration}"
