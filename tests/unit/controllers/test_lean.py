"""What an operator in a Pod imports, and what it must not: each of these packages costs memory in every replica."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from pawl.controllers.lean import without

SPARED = ("kubernetes", "requests", "oauthlib", "urllib3", "websocket", "dateutil", "rich", "pygments", "cryptography")
START = """
import asyncio, json, sys
from pawl.cli import run, run_gate
from pawl.cluster.credentials import Place, load
host = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
found = asyncio.run(load(Place(environ=host, token_file=sys.argv[1], ca_file=sys.argv[2])))
assert found.server == "https://10.0.0.1:443"
print(json.dumps(sorted(sys.modules)))
"""


def modules(*words: str | Path) -> list[str]:
    done = subprocess.run([sys.executable, "-c", *words], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture
def account(tmp_path: Path) -> tuple[Path, Path]:
    token, authority = tmp_path / "token", tmp_path / "ca.crt"
    token.write_text("abc")
    trustme.CA().cert_pem.write_to_path(str(authority))
    return token, authority


def test_an_operator_in_a_pod_imports_no_more_than_it_needs(account: tuple[Path, Path]) -> None:
    found = modules(START, *account)
    assert [name for name in found if name.partition(".")[0] in SPARED] == []
    assert {"kopf", "structlog", "aiohttp"} <= set(found)
    assert len(found) < 900


def test_a_package_is_hidden_from_the_imports_of_the_body_only() -> None:
    program = """
import json, sys
from pawl.controllers.lean import without
with without("wave", "json"):
    import json as still_there
    try:
        import wave
        raise SystemExit("wave was imported")
    except ImportError:
        pass
import wave
print(json.dumps(["wave" if "wave" in sys.modules else ""]))
"""
    assert modules(program) == ["wave"]


def test_a_failing_import_leaves_nothing_hidden() -> None:
    with pytest.raises(ModuleNotFoundError), without("no_such_extra"):
        raise ModuleNotFoundError
    assert "no_such_extra" not in sys.modules
