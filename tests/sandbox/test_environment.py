from __future__ import annotations

import os
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.sandbox.support import place_at, state_of

from pawl.sandbox.environment import export_lines, prefixed, variables
from pawl.sandbox.place import Place


def test_variables_lead_to_cluster_and_registry(place: Place) -> None:
    env = variables(state_of(place), "/usr/bin")
    assert env == {
        "KUBECONFIG": str(place.kubeconfig),
        "PAWL_KUBECONFIG": str(place.kubeconfig),
        "PAWL_REGISTRY": place.registry,
        "PAWL_SANDBOX": place.name,
    }


def test_kubectl_comes_first_on_path_where_it_is_there(tmp_path: Path) -> None:
    place = place_at(tmp_path, "kubectl")
    env = variables(state_of(place), "/usr/bin:/bin")
    assert env["KUBECTL"] == place.binary("kubectl")
    assert env["PATH"] == f"{place.binaries}:/usr/bin:/bin"


def test_no_registry_no_variable(place: Place) -> None:
    assert "PAWL_REGISTRY" not in variables(state_of(place, registry=None), "")


def test_the_prefix_is_on_path_once() -> None:
    assert prefixed("/b", "/a:/b:/c") == prefixed("/b", prefixed("/b", "/a:/c")) == "/b:/a:/c"
    assert prefixed("/b", "") == "/b"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30))
def test_a_shell_reads_back_what_was_printed(value: str) -> None:
    line = export_lines({"ODD": value})[0]
    script = f"{line}\nexec printenv ODD"
    printed = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True, env=dict(os.environ)).stdout
    assert printed.decode() == value + "\n"


def test_lines_are_sorted() -> None:
    assert export_lines({"B": "1", "A": "x y"}) == ["export A='x y'", "export B=1"]
