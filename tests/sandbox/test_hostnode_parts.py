"""What a Pod's words become on the host node, and what its status says: pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pawl.sandbox.hostnode.life import address_of
from pawl.sandbox.hostnode.podstatus import Seen, Told, running, status, terminated, waiting
from pawl.sandbox.hostnode.pull import Image, PullError, keyring_of, parse
from pawl.sandbox.hostnode.translate import argv_of, downward, expanded, inner, listening, moved, program_of

ROOT = Path("/state/pod/root")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("/pawl/store", "/state/pod/root/store"),
        ("--order=/pawl/order/order.json", "--order=/state/pod/root/order/order.json"),
        ('{"path": "/pawl/a", "other": "/pawl/b"}', '{"path": "/state/pod/root/a", "other": "/state/pod/root/b"}'),
        ("127.0.0.1:5000/pawl/canary", "127.0.0.1:5000/pawl/canary"),
        ("ghcr.io/pawl/pawl:1", "ghcr.io/pawl/pawl:1"),
        ("/v2/pawl/canary", "/v2/pawl/canary"),
        ("/var/pawl/x", "/var/pawl/x"),
    ],
)
def test_only_paths_of_the_pod_are_moved(text: str, wanted: str) -> None:
    assert moved(text, ROOT) == wanted


def test_a_path_of_the_machine_is_not_inside() -> None:
    assert inner("/pawl/out/report", ROOT) == ROOT / "out/report"
    assert inner("/dev/termination-log", ROOT) is None
    assert inner("/pawling", ROOT) is None


def test_the_first_pattern_that_fits_is_the_program() -> None:
    programs = {"registry:2*": ("/bin/registry2",), "registry:*": ("/bin/registry",)}
    assert program_of("registry:2.8.3", programs) == ("/bin/registry2",)
    assert program_of("registry:3.1.1", programs) == ("/bin/registry",)
    assert program_of("127.0.0.1:5000/web:1", programs) is None


def test_a_command_is_the_program_of_its_image_or_nothing() -> None:
    container = {"command": ["registry", "serve", "/pawl/config.yml"], "args": ["$(WORD)", "$$(WORD)"]}
    wanted = ("/bin/registry2", "serve", "/state/pod/root/config.yml", "said", "$(WORD)")
    assert argv_of(container, ("/bin/registry2",), {"WORD": "said"}, ROOT) == wanted
    assert argv_of({"command": ["/bin/sh", "-c", "id"]}, ("/bin/registry",), {}, ROOT) is None
    assert argv_of({"args": ["worker", "smoke"]}, ("py", "-m", "pawl"), {}, ROOT) == (
        "py",
        "-m",
        "pawl",
        "worker",
        "smoke",
    )


def test_an_unknown_variable_stays_as_it_is() -> None:
    assert expanded("$(A) $(B)", {"A": "1"}) == "1 $(B)"


def test_processes_listen_on_their_pods_address_only() -> None:
    container = {"ports": [{"containerPort": 5001}]}
    assert listening(container, ("/bin/registry2",), "127.64.0.1") == {"REGISTRY_HTTP_ADDR": "127.64.0.1:5001"}
    assert listening(container, ("py", "-m", "pawl"), "127.64.0.1") == {"PAWL_WORK_LISTEN": "127.64.0.1:8099"}


def test_fields_of_the_pod_become_variables() -> None:
    pod = {"metadata": {"name": "web-1", "labels": {"a/b": "c"}}, "spec": {"nodeName": "host"}}
    fields = ["metadata.name", "spec.nodeName", "status.podIP", "metadata.labels['a/b']", "metadata.uid"]
    assert [downward(field, pod, "127.64.0.1") for field in fields] == ["web-1", "host", "127.64.0.1", "c", ""]


def test_addresses_are_of_loopback_and_differ() -> None:
    found = {address_of(str(number)) for number in range(500)}
    assert len(found) == 500
    assert all(64 <= int(address.split(".")[1]) < 128 for address in found)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("127.0.0.1:5000/a/b:v1", Image("127.0.0.1:5000", "a/b", "v1")),
        ("localhost/b", Image("localhost", "b", "latest")),
        ("r.example.com/b:v1@sha256:ab", Image("r.example.com", "b", "sha256:ab")),
    ],
)
def test_references_fall_into_parts(text: str, wanted: Image) -> None:
    assert parse(text) == wanted


def test_a_reference_without_a_host_is_refused() -> None:
    with pytest.raises(PullError, match="busybox:1 names no registry"):
        parse("busybox:1")


def test_a_keyring_takes_both_forms() -> None:
    raw = b'{"auths": {"a:1": {"auth": "dTpw"}, "b:1": {"username": "v", "password": "q"}}}'
    assert keyring_of(raw) == {"a:1": "u:p", "b:1": "v:q"}


def told(*main: Seen, init: tuple[Seen, ...] = (), policy: str = "Always") -> Told:
    return Told("127.64.0.1", NOW, NOW, ending=False, policy=policy, init=init, main=main)


def seen(state: dict[str, Any], **more: Any) -> Seen:
    return Seen("a", "image:1", state=state, **more)


def ended(code: int) -> dict[str, Any]:
    return terminated(code, "Error" if code else "Completed", "", NOW, NOW)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (told(seen(waiting("ContainerCreating"))), "Pending"),
        (told(seen(running(NOW))), "Running"),
        (told(seen(waiting("CrashLoopBackOff"), restarts=1)), "Running"),
        (told(seen(running(NOW)), seen(ended(1)), policy="Never"), "Running"),
        (told(seen(ended(0)), seen(ended(0)), policy="Never"), "Succeeded"),
        (told(seen(ended(0)), seen(ended(137)), policy="Never"), "Failed"),
        (told(seen(waiting("PodInitializing")), init=(seen(ended(1)),), policy="Never"), "Failed"),
        (told(seen(waiting("PodInitializing")), init=(seen(ended(1)),)), "Pending"),
    ],
)
def test_the_phase_follows_the_containers(given: Told, wanted: str) -> None:
    assert status(given, {})["phase"] == wanted


def test_a_pod_that_is_ending_is_not_ready() -> None:
    ready = told(seen(running(NOW), ready=True))
    conditions = [status(each, {})["conditions"][-1]["status"] for each in (ready, replace(ready, ending=True))]
    assert conditions == ["True", "False"]


def test_a_status_that_did_not_change_is_equal_whenever_it_is_made() -> None:
    given = told(seen(running(NOW), ready=True))
    first = status(given, {"conditions": [{"type": "PodScheduled", "status": "True"}]})
    assert status(replace(given, now=NOW + timedelta(hours=1)), first) == first
