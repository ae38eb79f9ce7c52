"""Paths of the API server, and no way to a wider place than was meant."""

from __future__ import annotations

import pytest

from pawl.cluster.resources import CONFIG_MAPS, EVENTS, IMAGE_POLICIES, LEASES, NAMESPACES


def test_paths() -> None:
    assert CONFIG_MAPS.path("ns", "a") == "/api/v1/namespaces/ns/configmaps/a"
    assert CONFIG_MAPS.path("ns") == "/api/v1/namespaces/ns/configmaps"
    assert CONFIG_MAPS.path(None) == "/api/v1/configmaps"
    assert IMAGE_POLICIES.path("ns", "a", "status") == "/apis/pawl.dev/v1alpha1/namespaces/ns/imagepolicies/a/status"
    assert NAMESPACES.path(None, "ns") == "/api/v1/namespaces/ns"
    assert LEASES.path("ns", "a") == "/apis/coordination.k8s.io/v1/namespaces/ns/leases/a"


def test_names_cannot_leave_their_place() -> None:
    assert CONFIG_MAPS.path("ns", "../secrets/x?y#z") == "/api/v1/namespaces/ns/configmaps/..%2Fsecrets%2Fx%3Fy%23z"


@pytest.mark.parametrize(("namespace", "name"), [(None, "a"), ("", "a")])
def test_a_name_needs_its_namespace(namespace: str | None, name: str) -> None:
    with pytest.raises(ValueError, match="does not fit the scope"):
        CONFIG_MAPS.path(namespace, name)


def test_a_kind_without_namespaces_takes_none() -> None:
    with pytest.raises(ValueError, match="does not fit the scope"):
        NAMESPACES.path("ns", "a")


def test_words() -> None:
    assert IMAGE_POLICIES.api_version == "pawl.dev/v1alpha1"
    assert EVENTS.api_version == "v1"
    assert IMAGE_POLICIES.named("ns", "a") == "imagepolicies.pawl.dev ns/a"
    assert IMAGE_POLICIES.named("ns", None) == "imagepolicies.pawl.dev in namespace ns"
    assert NAMESPACES.named(None, "ns") == "namespaces ns"
    assert IMAGE_POLICIES.named(None, None) == "imagepolicies.pawl.dev"
