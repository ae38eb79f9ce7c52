"""What is said of a failed look, which scheme is spoken, and which child of an index a node takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.controllers.test_sightings_flow import HOST, Shelf, index

from pawl.api import errors
from pawl.api.errors import RegistryError
from pawl.api.reasons import Reason
from pawl.controllers.pullkeys import PodKeys
from pawl.controllers.sightings_ask import Manifests, child_for
from pawl.controllers.sightings_words import failure_of, mismatch
from pawl.decide.reference import Repository
from pawl.registry.addresses import NetworkPolicy
from pawl.registry.platforms import offers

SKIP = "if you are asked: Pawl shows it no credentials; or set spec.rollout.preflight to Skip"
PLATFORMS = [
    *("linux/amd64", "linux/amd64/v2", "linux/amd64/v3"),
    *("linux/arm", "linux/arm/v5", "linux/arm/v6", "linux/arm64"),
]

REASONS: list[tuple[RegistryError, str]] = [
    (errors.Missing("x"), "ImageMissing"),
    (errors.Unauthorized("x"), "Unauthorized"),
    (errors.Denied("x"), "Denied"),
    (errors.ForeignRealm("x"), "ForeignRealm"),
    (errors.ForbiddenTarget("x"), "ForbiddenTarget"),
    (errors.Untrusted("x"), "Untrusted"),
    (errors.Unreachable("x"), "Unreachable"),
    (errors.BadAnswer("x"), "BadAnswer"),
    (errors.TooLarge("x"), "TooLarge"),
    (errors.RateLimited("in 7 s", retry_after=7, told=True), "RateLimited"),
    (RegistryError("x"), "Unreachable"),
]


@pytest.mark.parametrize(("error", "reason"), REASONS)
def test_every_error_has_its_word(error: RegistryError, reason: str) -> None:
    failure = failure_of(error, HOST)
    assert failure.reason == reason
    assert "7 s" not in failure.text  # a number that ticks would be written to the status again and again


SENTENCES = {
    "no credentials were used: name a Secret in spec.access.pullSecretRef": "name a Secret in spec.pullSecrets",
    "check the credentials in spec.access.pullSecretRef and their rights": "credentials in the Pod's pull Secrets and",
    "under ca.crt of the Secret in spec.access.caSecretRef, or": "of the Secret in spec.caSecretRef, or",
    "if it speaks no TLS, set spec.access.plainHTTP": f"no TLS, start the operator with --plain-http-hosts {HOST}",
    "if you are asked: if you trust it with these credentials, add x to spec.access.tokenRealms": SKIP,
    "did not answer in full within 30 s (spec.timeout)": "within 30 s",
    "name it in spec.image": "name it in the rule's target",
}


@pytest.mark.parametrize(("said", "meant"), SENTENCES.items())
def test_sentences_point_to_fields_that_an_override_has(said: str, meant: str) -> None:
    text = failure_of(errors.BadAnswer(said), HOST).text
    assert meant in text
    assert not any(word in text for word in ("spec.access", "spec.timeout", "spec.image"))


def test_a_mismatch_names_a_bounded_number_of_platforms() -> None:
    failure = mismatch(["linux/arm64"], tuple(f"linux/cpu{n}" for n in range(100)))
    assert failure.reason is Reason.PLATFORM_MISMATCH
    assert failure.text.count("linux/cpu") == 8


SCHEMES = [
    ("127.0.0.1:5000", None, frozenset(), True),
    ("localhost:5000", None, frozenset(), True),
    ("localhost:5000", "pem", frozenset(), False),
    ("localhost:5000", "pem", frozenset({"localhost:5000"}), True),
    ("registry.corp", None, frozenset(), False),
    ("registry.corp", None, frozenset({"registry.corp"}), True),
    ("registry.corp:80", "pem", frozenset({"Registry.corp"}), True),
    ("registry.corp:5000", None, frozenset({"registry.corp"}), False),
    ("docker.io", None, frozenset(), False),
]


@pytest.mark.parametrize(("host", "ca", "flag", "plain"), SCHEMES)
def test_which_scheme_is_spoken(host: str, ca: str | None, flag: frozenset[str], plain: bool) -> None:  # noqa: FBT001
    policy = NetworkPolicy(deny_loopback=False, plain_http_hosts=flag)
    way = Manifests(Shelf(), policy).way(Repository(host, "web"), PodKeys("shop", ()), ca)
    assert (way.endpoint.plain_http, way.endpoint.ca_pem) == (plain, None if plain else ca)


TAKES = [
    (["linux/amd64", "linux/arm64"], "linux/arm64", "linux/arm64"),
    (["linux/amd64", "linux/amd64/v2"], "linux/amd64", "linux/amd64"),
    (["linux/arm/v5", "linux/arm/v7", "linux/arm/v6"], "linux/arm", "linux/arm/v7"),
    (["linux/arm/v5", "linux/arm/v6"], "linux/arm", "linux/arm/v6"),
    (["linux/amd64", "linux/amd64/v2", "linux/amd64/v3"], "linux/amd64/v2", "linux/amd64/v2"),
    (["linux/arm64/v8"], "linux/arm64", "linux/arm64/v8"),
    (["windows/amd64"], "linux/amd64", None),
    ([], "linux/amd64", None),
]


@pytest.mark.parametrize(("offered", "wanted", "taken"), TAKES)
def test_the_nearest_child_is_taken(offered: list[str], wanted: str, taken: str | None) -> None:
    found = child_for(index(*offered).children, wanted)
    assert (found.platform if found else None) == taken


@given(st.lists(st.sampled_from(PLATFORMS)), st.sampled_from(PLATFORMS))
def test_a_child_is_found_exactly_if_the_image_is_offered(offered: list[str], wanted: str) -> None:
    """Else a preflight could pass and the node find nothing, or the other way round."""
    found = child_for(index(*offered).children, wanted)
    assert (found is not None) == offers(offered, wanted)
    assert found is None or offers([found.platform], wanted)
