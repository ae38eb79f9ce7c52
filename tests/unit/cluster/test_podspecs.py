"""Pull Secrets of Pods that Pawl makes: added once, behind their own, and forgotten by no maker of Pods."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.controllers.override_doubles import MemoryApi

import pawl
from pawl.cluster.client import Cluster, Options
from pawl.cluster.podspecs import account_secrets, with_pull_secrets
from pawl.cluster.resources import SERVICE_ACCOUNTS

SOURCE = Path(pawl.__file__).parent
CREATED = {"PODS", "JOBS", "CRON_JOBS", "DEPLOYMENTS", "DAEMON_SETS", "STATEFUL_SETS", "REPLICA_SETS"}
MAKERS = {
    "controllers/prepulls.py": "passes with_pull_secrets",
    "controllers/registryjobs.py": "made by decide.workobjects, whose Pods pass decide.serverobjects_pod",
    "controllers/registryproofs.py": "made by decide.workobjects, whose Pods pass decide.serverobjects_pod",
    "cluster/jobs.py": "a Job of a user, made again as it was",
    "cluster/eviction.py": "an Eviction of a Pod",
    "admission/install.py": "a dry run, never a Pod",
}


@pytest.mark.parametrize(
    ("own", "added", "wanted"),
    [
        (None, (), None),
        ([], (), []),
        (None, ("a", "b"), ["a", "b"]),
        (["a"], ("b", "a", "b"), ["a", "b"]),
        (["c", "a"], (), ["c", "a"]),
    ],
)
def test_secrets_are_added_behind_their_own(own: list[str] | None, added: tuple[str, ...], wanted: list[str]) -> None:
    spec = {"containers": [], **({} if own is None else {"imagePullSecrets": [{"name": name} for name in own]})}
    made = with_pull_secrets(spec, added)
    found = [each["name"] for each in made["imagePullSecrets"]] if "imagePullSecrets" in made else None
    assert found == wanted
    assert made["containers"] == []


async def test_the_secrets_of_an_account_are_those_that_it_names() -> None:
    cluster = Cluster(MemoryApi(("shop",)).view(), Options(tries=1))
    body = {"metadata": {"name": "builder", "namespace": "shop"}, "imagePullSecrets": [{"name": "a"}, {"name": "b"}]}
    await cluster.create(SERVICE_ACCOUNTS, "shop", body)
    assert await account_secrets(cluster, "shop", "builder") == ("a", "b")
    assert await account_secrets(cluster, "shop", "nobody") == ()


def makers() -> Iterator[str]:
    """Files whose calls of `create` or `apply` are about something that runs Pods, but for the demo and the sandbox."""
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE).as_posix()
        if place.startswith(("cli/demo", "sandbox/")):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            named = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            if named and node.func.attr in {"create", "apply"} and _resource(node) in CREATED:
                yield place


def _resource(call: ast.Call) -> str:
    return call.args[0].id if call.args and isinstance(call.args[0], ast.Name) else ""


def test_every_maker_of_pods_is_known_and_those_of_pawl_pass_one_function() -> None:
    assert set(makers()) == set(MAKERS)
    for place, why in MAKERS.items():
        uses = "with_pull_secrets(" in (SOURCE / place).read_text()
        assert uses is (why == "passes with_pull_secrets")
