"""The table of rights: no wildcard, no list of Secrets, the names that others use, and every call in the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import yaml

from pawl.admission.certificates import SECRET_NAME
from pawl.admission.policies import PARTS
from pawl.admission.webhookconfig import NAME
from pawl.cluster import resources
from pawl.cluster.resources import Resource
from pawl.cluster.rights import (
    GATE_NAMES,
    LEASE_NAME,
    PROOF_NAMES,
    RIGHTS,
    WEBHOOK_NAME,
    WEBHOOK_SECRET,
    Where,
    people,
    rules,
)
from pawl.cluster.rights_docs import CHART, documents
from pawl.controllers.replica import LEASE

SOURCE = Path(resources.__file__).parents[1]
ROOMS = ("cluster", "controllers", "admission")
"""What runs as the operator; the commands run as their user."""
VERBS = {
    "get": "get",
    "list_pages": "list",
    "watch": "watch",
    "create": "create",
    "replace": "update",
    "merge_patch": "patch",
    "json_patch": "patch",
    "apply": "patch",
    "delete": "delete",
}
NAMED = {name: each for name, each in vars(resources).items() if isinstance(each, Resource)}


def calls() -> Iterator[tuple[str, str, str, str]]:
    """Every call of the client with a Resource by its name: file, group, resource with subresource, verb."""
    for room in ROOMS:
        for file in sorted((SOURCE / room).glob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in VERBS:
                    yield from _call(file.name, node, VERBS[node.func.attr])


def _call(file: str, node: ast.Call, verb: str) -> Iterator[tuple[str, str, str, str]]:
    first = node.args[0] if node.args else None
    if isinstance(first, ast.Name) and first.id in NAMED:
        found, sub = NAMED[first.id], _subresource(node)
        yield file, found.group, f"{found.plural}/{sub}" if sub else found.plural, verb


def _subresource(node: ast.Call) -> str:
    named = {word.arg: word.value for word in node.keywords}
    found = named.get("subresource", node.args[3] if len(node.args) > 3 else None)
    return found.value if isinstance(found, ast.Constant) and isinstance(found.value, str) else ""


def test_every_call_of_the_source_is_in_the_table() -> None:
    granted = {one for right in RIGHTS for one in right.single}
    found = list(calls())
    assert len(found) > 25
    assert [call for call in found if call[1:] not in granted] == []


def test_a_call_with_a_subresource_is_read_as_one() -> None:
    found = {call[1:] for call in calls()}
    assert ("", "pods/eviction", "create") in found
    assert ("pawl.dev", "imagepolicies/status", "patch") in found


def test_there_is_no_wildcard_and_secrets_are_never_listed() -> None:
    chart = yaml.safe_load(documents()[CHART])
    found = [rule for key, each in chart.items() if key != "users" for rule in each]
    found += [rule for each in chart["users"].values() for rule in each]
    assert len(found) > 30
    assert not [rule for rule in found for words in rule.values() if "*" in words]
    assert not [rule for rule in found if "secrets" in rule["resources"] and {"list", "watch"} & set(rule["verbs"])]
    assert set(chart) == {place.value for place in Where if place is not Where.OUTSIDE} | {"users"}


def test_a_namespaced_install_has_no_right_on_what_has_no_namespace() -> None:
    places = (Where.WATCHED, Where.SECRETS, Where.SECRETS_WRITE, Where.REGISTRIES, Where.OWN)
    assert [right for right in RIGHTS if right.where in places and not right.resource.namespaced] == []
    assert [rule["resources"] for rule in rules(Where.NAMESPACED)] == [["namespaces"]]


def test_names_are_those_that_others_use() -> None:
    assert tuple(part.name for part in PARTS) == GATE_NAMES
    assert GATE_NAMES[:2] == PROOF_NAMES
    assert (WEBHOOK_NAME, WEBHOOK_SECRET, LEASE_NAME) == (NAME, SECRET_NAME, LEASE)


def test_people_write_no_status_and_no_table() -> None:
    writes = [rule for each in people().values() for rule in each if set(rule["verbs"]) - {"get", "list", "watch"}]
    assert {name for rule in writes for name in rule["resources"]} == {
        "imagepolicies",
        "imageoverrides",
        "registrystorages",
    }


def test_nothing_is_granted_twice_in_one_place() -> None:
    found = [(right.where, one, right.names) for right in RIGHTS for one in right.single]
    assert len(found) == len(set(found))
