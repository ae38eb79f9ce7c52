"""From every error of a registry or of the API server to what the loop does, as a table."""

from __future__ import annotations

import inspect

import pytest

from pawl.api import errors
from pawl.api.errors import ClusterError, RegistryError, Retry, Stalled
from pawl.controllers.outcomes import from_cluster, from_registry

REGISTRY: dict[type[RegistryError], tuple[type, str]] = {
    errors.Unauthorized: (Stalled, "Unauthorized"),
    errors.Denied: (Stalled, "Denied"),
    errors.Missing: (Stalled, "RepositoryNotFound"),
    errors.Untrusted: (Stalled, "Untrusted"),
    errors.TooLarge: (Stalled, "TooLarge"),
    errors.ForbiddenTarget: (Stalled, "ForbiddenTarget"),
    errors.ForeignRealm: (Stalled, "ForeignRealm"),
    errors.Unreachable: (Retry, "Unreachable"),
    errors.BadAnswer: (Retry, "BadAnswer"),
}


def test_the_table_is_whole() -> None:
    """A new error of the registry must get a row here."""
    known = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, RegistryError)}
    assert known - {RegistryError, errors.RateLimited} == set(REGISTRY)


@pytest.mark.parametrize("kind", REGISTRY, ids=lambda kind: kind.__name__)
def test_errors_of_a_registry(kind: type[RegistryError]) -> None:
    outcome = from_registry(kind("what and why"), "r.example.com/web")
    assert (type(outcome), outcome.reason) == REGISTRY[kind]
    assert outcome.message.startswith("what and why")
    assert outcome.message.endswith("correct spec.image") is (kind is errors.Missing)


def test_a_rate_limit_waits_as_long_as_it_was_told_and_says_no_number() -> None:
    """A number that ticks in a message would be a write at every try."""
    said = [
        from_registry(errors.RateLimited(f"a pause of {n} s", retry_after=n, told=True), "r.example.com/web")
        for n in (7.0, 6.0)
    ]
    assert [(type(one), one.reason, getattr(one, "after", None)) for one in said] == [
        (Retry, "RateLimited", 7.0),
        (Retry, "RateLimited", 6.0),
    ]
    assert said[0].message == said[1].message == "r.example.com/web: the registry asks to slow down"


CLUSTER: list[tuple[ClusterError, type, str, float | None]] = [
    (errors.Forbidden("may not get secrets: grant it"), Stalled, "MissingRight", None),
    (errors.ApiUnavailable("no answer"), Retry, "Unreachable", None),
    (errors.ApiUnavailable("busy", retry_after=4.0), Retry, "Unreachable", 4.0),
    (errors.Invalid("odd"), Retry, "Unreachable", None),
]


@pytest.mark.parametrize(("error", "kind", "reason", "after"), CLUSTER, ids=lambda each: type(each).__name__)
def test_errors_of_the_api_server(error: ClusterError, kind: type, reason: str, after: float | None) -> None:
    outcome = from_cluster(error, "Secret regcred")
    assert (type(outcome), outcome.reason, getattr(outcome, "after", None)) == (kind, reason, after)
    assert outcome.message == f"Secret regcred: {error}"
