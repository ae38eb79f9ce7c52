"""`pawl uninstall` on a real API server: with Pawl alive, dead, and with its namespace gone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tests.cluster.api import POLICIES
from tests.cluster.operators import good, manifest, spec
from tests.cluster.override_scene import PUBLIC
from tests.cluster.override_stage import wait_for
from tests.cluster.override_stage_specs import enforcement
from tests.upgrade.before import NOW
from tests.upgrade.crew import apply_crds
from tests.upgrade.leaving import Leaving, on_leaving

from pawl.cli.uninstall_last import ELSEWHERE
from pawl.decide.objects import FINALIZER, ORIGINAL, ROLLOUT

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
RECONCILE = enforcement(templates="Reconcile")


def uninstall(leaving: Leaving, *flags: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PAWL_")}
    argv = [sys.executable, "-m", "pawl", "uninstall", "--namespace", leaving.home, *flags]
    environ["KUBECONFIG"] = str(leaving.cluster.kubeconfig)
    return subprocess.run(argv, env=environ, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def given_back(leaving: Leaving) -> None:
    """Assert that the Deployment is as its user wrote it, and that nothing of the override is left."""
    found = leaving.stage.read("deployments", "web")
    assert found["spec"]["template"]["spec"]["containers"][0]["image"].startswith(PUBLIC)
    assert ROLLOUT not in found["spec"]["template"]["metadata"].get("annotations", {})
    assert ORIGINAL not in found["metadata"].get("annotations", {})
    for plural in ("imageoverrides", "imagerules"):
        assert list(leaving.stage.find_all(plural)) == []
    assert good(leaving.api.get(f"{POLICIES}/clusterimageoverrides")).body["items"] == []
    assert leaving.stage.find("configmaps", "pawl-debts") is None


def policy(leaving: Leaving) -> dict[str, str]:
    """What must not be touched."""
    found = leaving.stage.find_all("configmaps", "pawl.dev/ledger")
    ledgers = {each["metadata"]["name"]: each["data"]["ledger"] for each in found}
    return ledgers | {"selection": str(leaving.stage.read("imagepolicies", "web")["status"]["selection"])}


def with_policy(leaving: Leaving) -> dict[str, str]:
    body = manifest("web", spec(leaving.stage.registry, f"{leaving.shop}/web", select={"alphabetical": {}}))
    good(leaving.api.post(leaving.stage.path("imagepolicies"), body))
    wait_for(lambda: leaving.stage.read("imagepolicies", "web").get("status", {}).get("selection"), what="a selection")
    return policy(leaving)


@on_leaving()
def test_with_pawl_alive_it_waits_for_it(leaving: Leaving) -> None:
    leaving.install(enforcement=RECONCILE)
    before = with_policy(leaving)
    leaving.wide()
    planned = uninstall(leaving, "--plan")
    assert planned.returncode == 0, planned.stderr
    assert f"imageoverride {leaving.shop}/private" in planned.stdout
    assert "Pawl runs" in planned.stdout
    assert leaving.stage.find("imageoverrides", "private") is not None
    asked = uninstall(leaving)
    assert (asked.returncode, "--yes" in asked.stderr) == (2, True)
    done = uninstall(leaving, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    given_back(leaving)
    assert policy(leaving) == before
    again = uninstall(leaving, "--yes")
    assert (again.returncode, "nothing" in again.stdout) == (0, True)


@on_leaving()
def test_with_pawl_dead_it_does_the_work_itself(leaving: Leaving) -> None:
    """Also of what was deleted while nobody looked: one override hangs on its finalizer, another left a debt."""
    leaving.install(enforcement=RECONCILE)
    before = with_policy(leaving)
    assert leaving.operator is not None
    leaving.operator.kill()
    good(leaving.stage.delete("imageoverrides", "private"))
    assert leaving.stage.read("imageoverrides", "private")["metadata"]["finalizers"] == [FINALIZER]
    done = uninstall(leaving, "--yes")
    assert "this command does it" in done.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    given_back(leaving)
    assert policy(leaving) == before


@on_leaving()
def test_what_was_only_rolled_is_given_back_too(leaving: Leaving) -> None:
    leaving.install()
    assert leaving.operator is not None
    leaving.operator.kill()
    good(leaving.stage.delete("imageoverrides", "private"))
    assert leaving.stage.find("imageoverrides", "private") is None
    assert leaving.stage.find("configmaps", "pawl-debts") is not None
    done = uninstall(leaving, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    given_back(leaving)


@on_leaving()
def test_with_its_namespace_gone_a_hanging_namespace_is_let_go(leaving: Leaving) -> None:
    """Pawl and its namespace went first; the workloads' namespace hangs on originals until this command."""
    leaving.install(enforcement=RECONCILE)
    assert leaving.operator is not None
    leaving.operator.kill()
    leaving.ends(leaving.home)
    leaving.take("shop")
    leaving.lives()
    held = leaving.stage.read("imageoverrides", "private")["metadata"]
    assert held["finalizers"] == [FINALIZER]
    done = uninstall(leaving, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    leaving.vanishes(f"api/v1/namespaces/{leaving.shop}")
    assert leaving.api.get(f"api/v1/namespaces/{leaving.home}").code == 404
    place, name = ELSEWHERE
    assert leaving.api.get(f"apis/coordination.k8s.io/v1/namespaces/{place}/leases/{name}").code == 404


@on_leaving()
def test_what_is_not_given_back_in_time_is_named(leaving: Leaving) -> None:
    leaving.install(enforcement=RECONCILE)
    hold = {"metadata": {"finalizers": [FINALIZER, "example.com/wait"]}}
    good(leaving.api.merge(leaving.stage.path("imageoverrides", "private"), hold))
    done = uninstall(leaving, "--yes", "--wait", "8")
    assert done.returncode == 1
    assert f"imageoverride {leaving.shop}/private" in done.stderr


@on_leaving()
def test_without_the_crds_it_says_what_it_needs(leaving: Leaving) -> None:
    """Pawl died, then somebody deleted the CRDs: what was rolled is given back once they are there again."""
    leaving.install()
    assert leaving.operator is not None
    leaving.operator.kill()
    leaving.no_crds()
    refused = uninstall(leaving, "--yes")
    assert (refused.returncode, "pawl crds | kubectl apply -f -" in refused.stderr) == (1, True)
    apply_crds(leaving.api, NOW)
    done = uninstall(leaving, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    given_back(leaving)
