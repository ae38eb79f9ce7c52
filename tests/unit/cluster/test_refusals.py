"""Refusals of the API server: the right error, one line, the way out, no secret."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.api.errors import ApiUnavailable, ClusterError, Conflict, Expired, Forbidden, Invalid, NotFound
from pawl.cluster.calls import Answer, Request
from pawl.cluster.refusals import error_of, one_line
from pawl.cluster.resources import CONFIG_MAPS, IMAGE_POLICIES, NAMESPACES, PODS

PATCH = Request("patch", "PATCH", IMAGE_POLICIES, "shop", "web", "status")


def answer(code: int, message: str, **details: object) -> Answer:
    return Answer(code, json.dumps({"kind": "Status", "message": message, "details": details}).encode())


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, Invalid), (401, Forbidden), (403, Forbidden), (404, NotFound), (405, Invalid), (409, Conflict),
        (410, Expired), (413, Invalid), (415, Invalid), (422, Invalid), (429, ApiUnavailable), (500, ApiUnavailable),
        (502, ApiUnavailable), (503, ApiUnavailable), (504, ApiUnavailable),
    ],
)  # fmt: skip
def test_each_status_is_one_kind_of_error_and_keeps_its_number(code: int, kind: type[ClusterError]) -> None:
    error = error_of(PATCH, answer(code, "because"))
    assert type(error) is kind
    assert error.status == code


def test_a_missing_right_names_verb_resource_namespace_group_and_user() -> None:
    said = (
        'imagepolicies.pawl.dev "web" is forbidden: User "system:serviceaccount:pawl-system:pawl" cannot patch '
        'resource "imagepolicies/status" in API group "pawl.dev" in the namespace "shop"'
    )
    assert str(error_of(PATCH, answer(403, said))) == (
        "may not patch imagepolicies/status in namespace shop: grant system:serviceaccount:pawl-system:pawl the verb "
        "'patch' on 'imagepolicies/status' in API group 'pawl.dev'"
    )


def test_a_missing_right_on_all_namespaces_and_on_kinds_without_one() -> None:
    everywhere = Request("list", "GET", PODS, None)
    assert "may not list pods in all namespaces: grant bob" in str(
        error_of(everywhere, answer(403, 'User "bob" cannot x'))
    )
    create = Request("create", "POST", NAMESPACES, None, "x")
    assert "may not create namespaces: grant bob" in str(error_of(create, answer(403, 'User "bob" cannot x')))


def test_a_denial_that_no_right_would_change_keeps_its_reason() -> None:
    said = 'configmaps "x" is forbidden: unable to create new content in namespace shop because it is being terminated'
    error = error_of(Request("create", "POST", CONFIG_MAPS, "shop", "x"), answer(403, said))
    assert str(error) == f"may not create configmaps shop/x: {said}"


def test_unaccepted_credentials_are_forbidden_with_a_way_out() -> None:
    assert "renew the kubeconfig or the ServiceAccount's token" in str(error_of(PATCH, answer(401, "Unauthorized")))


def test_not_found_tells_the_object_from_its_namespace_and_from_its_kind() -> None:
    gone = error_of(PATCH, answer(404, 'imagepolicies.pawl.dev "web" not found', name="web"))
    assert str(gone) == "imagepolicies.pawl.dev shop/web does not exist"
    namespace = error_of(PATCH, answer(404, 'namespaces "shop" not found', name="shop"))
    assert str(namespace) == 'imagepolicies.pawl.dev shop/web: namespaces "shop" not found'
    kind = error_of(PATCH, Answer(404, b"404 page not found\n"))
    assert "not served by this cluster: apply the output of `pawl crds` first" in str(kind)
    other = error_of(Request("get", "GET", PODS, "a", "b"), Answer(404, b"404 page not found\n"))
    assert "install its definition" in str(other)


def test_a_rule_of_the_schema_keeps_the_servers_words_on_one_line() -> None:
    said = 'ImagePolicy.pawl.dev "web" is invalid: status.selection:\n  the selection may not go back'
    error = error_of(PATCH, answer(422, said))
    assert str(error) == 'ImagePolicy.pawl.dev "web" is invalid: status.selection: the selection may not go back'


def test_words_that_name_no_object_get_one() -> None:
    said = "the server rejected our request due to an error in our request"
    assert str(error_of(PATCH, answer(422, said))) == f"imagepolicies.pawl.dev shop/web: {said}"


def test_the_wait_comes_from_the_header_or_else_from_the_body() -> None:
    error = error_of(PATCH, answer(429, "slow down", retryAfterSeconds=3))
    assert isinstance(error, ApiUnavailable)
    assert error.retry_after == 3
    both = error_of(PATCH, Answer(429, answer(429, "slow down", retryAfterSeconds=3).body, retry_after=7.0))
    assert isinstance(both, ApiUnavailable)
    assert both.retry_after == 7.0
    none = error_of(PATCH, Answer(503, b"<html>gone</html>"))
    assert isinstance(none, ApiUnavailable)
    assert none.retry_after is None
    assert "(HTTP 503): <html>gone</html>" in str(none)


@given(st.integers(400, 599), st.binary(max_size=3000))
def test_any_answer_becomes_one_bounded_line(code: int, body: bytes) -> None:
    text = str(error_of(PATCH, Answer(code, body)))
    assert text
    assert len(text.splitlines()) == 1
    assert len(text.encode()) <= 1200


@given(st.text(), st.integers(4, 200))
def test_one_line_is_one_line_within_its_bytes(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line.encode()) <= limit
    assert line == " ".join(line.split())
