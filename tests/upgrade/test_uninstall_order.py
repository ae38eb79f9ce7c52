"""Whatever is taken away first: Pods can be made at every moment, and every namespace goes."""

from __future__ import annotations

import itertools
import os

import pytest
from tests.cluster.override_stage_specs import enforcement
from tests.upgrade.leaving import Leaving, on_leaving

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
MAIN = ("overrides", "operator", "gate", "crds")
ORDERS = [
    ("overrides", "operator", "crds", "gate"),
    ("operator", "gate", "overrides", "crds"),
    ("gate", "crds", "operator", "overrides"),
    ("crds", "overrides", "gate", "operator"),
    ("overrides", "gate", "crds", "operator"),
    ("gate", "operator", "overrides", "crds"),
    ("operator", "crds", "gate", "overrides"),
    ("crds", "overrides", "operator", "gate"),
]
"""In the first four, and in the last four, each part comes once right after each other one."""
if os.environ.get("PAWL_ALL_ORDERS"):
    ORDERS = list(itertools.permutations(MAIN))
RIGHT = ("overrides", "gate", "operator", "rights", "crds", "shop", "home")
"""The order of the page; each neighbour of it swaps two that stand side by side."""
SWAPPED = [(*RIGHT[:at], RIGHT[at + 1], RIGHT[at], *RIGHT[at + 2 :]) for at in range(len(RIGHT) - 1)]
WORST = [
    tuple(reversed(RIGHT)),
    ("home", "shop", "crds", "gate", "rights", "overrides", "operator"),
    ("rights", "shop", "operator", "home", "gate", "crds", "overrides"),
    ("operator", "shop", "home", "crds", "gate", "overrides", "rights"),
    ("shop", "operator", "overrides", "gate", "crds", "home", "rights"),
]


def go(leaving: Leaving, order: tuple[str, ...]) -> None:
    for part in order:
        leaving.take(part)
        leaving.lives()
    leaving.ends(leaving.shop, leaving.other)


@on_leaving(*ORDERS, ids=">".join)
def test_every_order_of_the_four_parts(leaving: Leaving, order: tuple[str, ...]) -> None:
    leaving.install()
    go(leaving, order)
    leaving.no_crds()


@on_leaving(RIGHT, *SWAPPED, *WORST, ids=">".join)
def test_namespaces_and_rights_in_any_place(leaving: Leaving, order: tuple[str, ...]) -> None:
    leaving.install()
    go(leaving, order)
    leaving.no_crds()
    leaving.vanishes(f"api/v1/namespaces/{leaving.home}")


@on_leaving()
def test_templates_hold_no_namespace_up_while_pawl_runs(leaving: Leaving) -> None:
    """The finalizer of templates goes with the namespace: nothing is restored that goes as well."""
    leaving.install(enforcement=enforcement(templates="Reconcile"))
    leaving.take("shop")
    leaving.lives()
    leaving.ends(leaving.shop)


@on_leaving("Off", "Reconcile")
def test_crds_first_while_pawl_runs(leaving: Leaving, templates: str) -> None:
    """All overrides are deleted with their kind: what they changed is given back, and the kinds go."""
    leaving.install(enforcement=enforcement(templates=templates))
    leaving.wide()
    leaving.take("crds")
    leaving.lives()
    leaving.no_crds()
    leaving.returned()


@on_leaving()
def test_the_gate_first_delays_nothing(leaving: Leaving) -> None:
    """Where nothing rewrites any more, there is no gate to wait for."""
    leaving.install(enforcement=enforcement(templates="Reconcile"))
    leaving.take("gate")
    leaving.take("overrides")
    leaving.returned(30)


@on_leaving()
def test_pawl_ends_with_its_namespace(leaving: Leaving) -> None:
    """Nothing is made again in a namespace that somebody deleted."""
    leaving.install()
    leaving.take("home")
    leaving.vanishes(f"api/v1/namespaces/{leaving.home}")
    assert leaving.operator is not None
    assert leaving.operator.process.wait(30) != 0
    assert leaving.api.get(f"api/v1/namespaces/{leaving.home}").code == 404
    leaving.lives()


@on_leaving()
def test_leave_right_before_the_deletion_rolls_nothing(leaving: Leaving) -> None:
    """Two commands in one breath, as the page says: Pawl may see both at once."""
    leaving.install()
    before = leaving.stage.read("deployments", "web")["metadata"]["generation"]
    leaving.stage.edit("imageoverrides", "private", {"spec": {"deletionPolicy": "Leave"}})
    leaving.take("overrides")
    for plural, name in (("configmaps", "pawl-debts"), ("imagerules", "pawl")):
        leaving.vanishes(leaving.stage.path(plural, name))
    assert leaving.stage.read("deployments", "web")["metadata"]["generation"] == before
