"""`pawl rewrite`: the manifests as they would run under these overrides. Offline, for pipelines and for trying things.

Exit codes: 0 done, 2 bad input or rules that are not in force, 3 a conflict decided an image.
Neighbours: `cli.rewrite_inputs` reads, `decide.rulebook` compiles, `decide.tables` judges, `decide.places` finds the
images, `cli.rewrite_fields` does the same for custom resources. Not here: a cluster.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import click

from pawl.api.errors import InputError
from pawl.api.imageoverride_spec import WorkloadKind
from pawl.api.imagerules import Entry
from pawl.cli.rewrite_fields import NOBODY, named_fields, rule_fields
from pawl.cli.rewrite_inputs import Inputs, namespace_of, read_inputs
from pawl.cli.rewrite_yaml import write_manifests
from pawl.decide.places import Manifest, Path, Place, at, image_places, members, owners, pod_spec, replaced, text
from pawl.decide.rulebook import Judged, Rulebook, compile_rulebook
from pawl.decide.tables import (
    CompiledTable,
    Layer,
    Match,
    Rewritten,
    Ruling,
    Subject,
    kind_of,
    matches,
    rewrite_pod,
    subject_of,
)

CONFLICT: Final = 3
QUIET: Final = frozenset({"Rewritten", "Same", "Unmatched", "Ignored"})
"""Outcomes that need no word."""


@click.command()
@click.option("-f", "--file", "rules", multiple=True, required=True, metavar="FILE", help="Overrides, YAML or JSON.")
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
@click.argument("manifests", nargs=-1, required=True, metavar="MANIFEST...|-")
def rewrite(rules: tuple[str, ...], output: str, manifests: tuple[str, ...]) -> int:
    """Show manifests with the images that these overrides give them."""
    inputs = read_inputs(rules, manifests)
    book = compile_rulebook(inputs.stock())
    _refuse(book)
    done = _rewrite_all(inputs, book)
    for line in (*_inactive(book), *done.warnings):
        click.echo(f"pawl: {line}", err=True)
    if output == "json":
        click.echo(json.dumps(done.changes, indent=2))
    else:
        click.echo(write_manifests(done.documents), nl=False)
    return CONFLICT if done.conflicts else 0


@dataclass(frozen=True, slots=True)
class Done:
    """Every document after rewriting, the images that changed, and what needs a word on standard error."""

    documents: list[Manifest]
    changes: list[dict[str, object]]
    warnings: list[str]
    conflicts: bool


@dataclass(frozen=True, slots=True)
class _Object:
    """One object that holds images: its images, to whom they belong, and what the table says."""

    manifest: Manifest
    places: tuple[Place, ...]
    subject: Subject
    table: CompiledTable
    layer: Layer
    result: Rewritten

    @property
    def title(self) -> str:
        """How it is written in messages."""
        return f"{text(self.manifest, 'kind')} {namespace_of(self.manifest)}/{_name(self.manifest)}"


def _refuse(book: Rulebook) -> None:
    """Refuse overrides that are not in force. Raises InputError."""
    for judged in book.judged.values():
        if judged.refusal is not None:
            raise InputError(f"{_title(judged)}: {judged.refusal.reason.value}: {judged.refusal.message}")


def _inactive(book: Rulebook) -> list[str]:
    return [f"{_title(judged)}: {rule.message}" for judged in book.judged.values() for rule in judged.inactive]


def _title(judged: Judged) -> str:
    return f"{judged.kind} {judged.override}"


def _rewrite_all(inputs: Inputs, book: Rulebook) -> Done:
    tables: dict[str, CompiledTable | None] = {}
    done = Done([], [], [], conflicts=False)
    decided: set[str] = set()
    for document in inputs.manifests:
        changes: dict[Path, object] = {}
        for above, member in members(document):
            table = _table(namespace_of(member), tables, book)
            judged = None if table is None else _judge(member, table) or _judge_fields(member, table, inputs)
            if judged is not None:
                changes |= {(*above, *path): value for path, value in _changes(judged).items()}
                done.changes.extend(_records(judged))
                done.warnings.extend(_warnings(judged))
                decided.update(_conflicts(judged, book))
        done.documents.append(replaced(document, changes) if changes else document)
    return Done(done.documents, done.changes, [*sorted(decided), *done.warnings], conflicts=bool(decided))


def _judge(manifest: Manifest, table: CompiledTable) -> _Object | None:
    places = image_places(manifest)
    if not places:
        return None
    spec = pod_spec(manifest)
    subject = _subject(manifest, spec.labels)
    layer: Layer = "pods" if text(manifest, "kind") == "Pod" else "templates"
    return _Object(manifest, places, subject, table, layer, rewrite_pod(table, subject, spec, layer=layer))


def _judge_fields(manifest: Manifest, table: CompiledTable, inputs: Inputs) -> _Object | None:
    ruled = tuple(rule_fields(table, named_fields(manifest, inputs.overrides)))
    if not ruled:
        return None
    places = tuple(place for place, _ in ruled)
    result = Rewritten(tuple(place.at for place in places), tuple(ruling for _, ruling in ruled))
    return _Object(manifest, places, NOBODY, table, "pods", result)


def _table(namespace: str, tables: dict[str, CompiledTable | None], book: Rulebook) -> CompiledTable | None:
    if namespace not in tables:
        table = book.table(namespace)
        tables[namespace] = None if table is None else CompiledTable.of(table)
    return tables[namespace]


def _subject(manifest: Manifest, labels: Sequence[tuple[str, str]]) -> Subject:
    """Tell to whom the Pods belong: a Pod to its owner, the Pods of a template to its object."""
    kind = text(manifest, "kind")
    if kind == "Pod":
        return subject_of(owners(manifest), dict(labels))
    owned = subject_of(owners(manifest), dict(labels))
    # The ReplicaSet of a Deployment is the Deployment's, the Job of a CronJob the CronJob's.
    own = kind_of(text(manifest, "apiVersion"), kind, _name(manifest))
    cron = own is WorkloadKind.JOB and owned.kind is WorkloadKind.CRON_JOB
    return Subject(WorkloadKind.CRON_JOB if cron else own, dict(labels), owned.owner_uids)


def _changes(judged: _Object) -> dict[Path, object]:
    rulings = zip(judged.places, judged.result.rulings, strict=True)
    changes: dict[Path, object] = {
        place.path: ruling.image for place, ruling in rulings if ruling.outcome == "Rewritten"
    }
    if judged.result.added_secrets:
        path = ("spec", "imagePullSecrets")
        present = at(judged.manifest, path)
        added = [{"name": name} for name in judged.result.added_secrets]
        changes[path] = [*(present if isinstance(present, list) else []), *added]
    return changes


def _records(judged: _Object) -> list[dict[str, object]]:
    return [
        {
            "kind": text(judged.manifest, "kind"),
            "namespace": namespace_of(judged.manifest),
            "name": _name(judged.manifest),
            "path": place.text,
            "from": place.at.image,
            "to": ruling.image,
            "override": ruling.entry.override.rpartition("/")[2],
            "rule": ruling.entry.rule,
        }
        for place, ruling in zip(judged.places, judged.result.rulings, strict=True)
        if ruling.outcome == "Rewritten" and ruling.entry is not None
    ]


def _warnings(judged: _Object) -> Iterable[str]:
    for place, ruling in zip(judged.places, judged.result.rulings, strict=True):
        if ruling.outcome not in QUIET:
            yield f"{judged.title}: {place.text} {place.at.image[:200]} is left alone: {_said(ruling)}"


def _said(ruling: Ruling) -> str:
    off = "enforcement of its override leaves it out"
    return ruling.reason or (off if ruling.outcome == "Off" else ruling.outcome)


def _conflicts(judged: _Object, book: Rulebook) -> Iterable[str]:
    """Name the conflicts that decided an image: two rules of one rank hold for it, and give it different results."""
    for place, ruling in zip(judged.places, judged.result.rulings, strict=True):
        found = () if ruling.outcome == "Ignored" else matches(judged.table, judged.subject, place.at)
        for match in found[1:]:
            if match.rulings[judged.layer].image != found[0].rulings[judged.layer].image:
                yield from (f"{judged.title}: {place.text}: {said}" for said in _clash(found[0].entry, match, book))


def _clash(winner: Entry, other: Match, book: Rulebook) -> Iterable[str]:
    for clash in book.judged[winner.override].conflicts:
        named = (clash.source, clash.winner, clash.loser)
        if named == (other.source, (winner.override, winner.rule), (other.entry.override, other.entry.rule)):
            yield clash.sentence()


def _name(manifest: Manifest) -> str:
    name = at(manifest, ("metadata", "name"))
    generated = at(manifest, ("metadata", "generateName"))
    return name if isinstance(name, str) else generated if isinstance(generated, str) else ""
