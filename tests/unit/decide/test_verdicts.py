"""What an imageID proves: the acceptance set, runtimes' prefixes, explanations, and what cannot be known."""

from __future__ import annotations

import pytest
from tests.unit.decide.rollout_world import digest, pod_spec

from pawl.decide.digests import (
    Answer,
    Content,
    Explanation,
    accepted,
    digest_of,
    fits,
    missing_platforms,
    repository_of,
)
from pawl.decide.objects import ContainerState, NodeRow, PodRow
from pawl.decide.verdicts import Evidence, Place, prove

IMAGE = "registry.corp:5000/rook/ceph:v1"
INDEX, AMD, ARM, CONFIG, ARMCONFIG = (digest(text) for text in ("index", "amd", "arm", "config", "armconfig"))
FOREIGN = digest("foreign")
CONTENT = Content(
    IMAGE, INDEX, {"linux/amd64": AMD, "linux/arm64/v8": ARM}, {"linux/amd64": CONFIG, "linux/arm64/v8": ARMCONFIG}
)
REPOSITORY = "registry.corp:5000/rook/ceph"
NODE = NodeRow("n1", "linux/amd64")


def pod(image_id: str, waiting: str = "") -> PodRow:
    state = ContainerState("app", image_id, waiting, started=bool(image_id))
    return PodRow("rook", "p", "uid", "1", pod_spec(IMAGE), node="n1", states=(state,))


def verdict(image_id: str, explained: Explanation | None = None, node: NodeRow | None = NODE) -> tuple[str, str]:
    known = {} if explained is None else {(REPOSITORY, FOREIGN): explained}
    evidence = Evidence({("", IMAGE): CONTENT}, known)
    found = prove(Place("containers", "app", IMAGE), pod(image_id), node, evidence)
    return found.verdict, found.reason


IDS = [
    (f"{REPOSITORY}@{INDEX}", "Verified"),
    (f"docker.io/library/other@{INDEX}", "Verified"),
    (f"docker-pullable://docker.io/rook/ceph@{AMD}", "Verified"),
    (f"docker://{CONFIG}", "Verified"),
    (CONFIG, "Verified"),
    (f"{REPOSITORY}@{ARM}", "Unverifiable"),
    (ARMCONFIG, "Unverifiable"),
    ("registry.corp:5000/rook/ceph", "Unverifiable"),
]


@pytest.mark.parametrize(("image_id", "wanted"), IDS)
def test_the_acceptance_set_of_a_node(image_id: str, wanted: str) -> None:
    assert verdict(image_id)[0] == wanted


EXPLAINED = [
    (None, "Unverifiable", "DigestUnknown"),
    (Explanation(Answer.UNREACHABLE), "Unverifiable", "DigestUnknown"),
    (Explanation(Answer.MISSING), "Mismatch", "Mismatch"),
    (Explanation(Answer.KNOWN, {"linux/amd64": CONFIG}), "Verified", "Verified"),
    (Explanation(Answer.KNOWN, {"": CONFIG}), "Verified", "Verified"),
    (Explanation(Answer.KNOWN, {"linux/arm64": CONFIG}), "Mismatch", "Mismatch"),
    (Explanation(Answer.KNOWN, {"linux/amd64": digest("else")}), "Mismatch", "Mismatch"),
]


@pytest.mark.parametrize(("explained", "wanted", "reason"), EXPLAINED)
def test_a_foreign_digest_is_explained(explained: Explanation | None, wanted: str, reason: str) -> None:
    assert verdict(f"{REPOSITORY}@{FOREIGN}", explained) == (wanted, reason)


ORIGIN = "docker.io/rook/ceph"
ELSEWHERE = [
    (None, None, "Unverifiable", REPOSITORY),
    (Explanation(Answer.UNREACHABLE), Explanation(Answer.KNOWN, {"": CONFIG}), "Unverifiable", REPOSITORY),
    (Explanation(Answer.MISSING), None, "Unverifiable", ORIGIN),
    (Explanation(Answer.MISSING), Explanation(Answer.UNREACHABLE), "Unverifiable", ORIGIN),
    (Explanation(Answer.MISSING), Explanation(Answer.KNOWN, {"linux/amd64": CONFIG}), "Verified", ""),
    (Explanation(Answer.MISSING), Explanation(Answer.KNOWN, {"linux/amd64": digest("else")}), "Mismatch", ""),
    (Explanation(Answer.MISSING), Explanation(Answer.MISSING), "Mismatch", ""),
]


@pytest.mark.parametrize(("here", "there", "wanted", "asked"), ELSEWHERE)
def test_a_digest_that_the_wanted_repository_never_had_is_explained_by_its_own(
    here: Explanation | None, there: Explanation | None, wanted: str, asked: str
) -> None:
    """One config under two names: the node shows the digest of the other name, which the mirror has not."""
    answers = {(REPOSITORY, FOREIGN): here, (ORIGIN, FOREIGN): there}
    evidence = Evidence({("", IMAGE): CONTENT}, {key: value for key, value in answers.items() if value is not None})
    found = prove(Place("containers", "app", IMAGE), pod(f"docker-pullable://{ORIGIN}@{FOREIGN}"), NODE, evidence)
    assert found.verdict == wanted
    assert (found.ask.repository if found.ask else "") == asked


def test_what_is_not_explained_is_asked_with_the_keys_of_the_pod() -> None:
    evidence = Evidence({("rook", IMAGE): CONTENT})
    found = prove(Place("containers", "app", IMAGE), pod(f"x@{FOREIGN}"), NODE, evidence)
    assert found.ask is not None
    assert (found.ask.repository, found.ask.digest, found.ask.namespace) == (REPOSITORY, FOREIGN, "rook")


def test_a_reference_by_digest_proves_itself_without_its_registry() -> None:
    wanted = f"{REPOSITORY}@{INDEX}"
    found = prove(Place("containers", "app", wanted), pod(f"x@{INDEX}"), NODE, Evidence())
    other = prove(Place("containers", "app", wanted), pod(f"x@{FOREIGN}"), NODE, Evidence())
    assert (found.verdict, other.verdict) == ("Verified", "Unverifiable")


def test_the_config_of_the_wanted_image_may_be_unknown() -> None:
    bare = Content(IMAGE, INDEX, {"linux/amd64": AMD})
    known = Explanation(Answer.KNOWN, {"linux/amd64": CONFIG})
    evidence = Evidence({("", IMAGE): bare}, {(REPOSITORY, FOREIGN): known})
    found = prove(Place("containers", "app", IMAGE), pod(f"x@{FOREIGN}"), NODE, evidence)
    assert (found.verdict, found.reason) == ("Unverifiable", "DigestUnknown")


NOT_STARTED = [
    ("", True, "Pending", "NotStarted"),
    ("ContainerCreating", True, "Pending", "NotStarted"),
    ("", False, "Unverifiable", "NodeNotReady"),
    ("ImagePullBackOff", True, "Stuck", "PodStuck"),
    ("InvalidImageName", False, "Stuck", "PodStuck"),
    ("CreateContainerConfigError", True, "Stuck", "PodStuck"),
]


@pytest.mark.parametrize(("waiting", "ready", "wanted", "reason"), NOT_STARTED)
def test_containers_that_have_not_started(waiting: str, wanted: str, reason: str, *, ready: bool) -> None:
    node = NodeRow("n1", "linux/amd64", ready=ready)
    found = prove(Place("containers", "app", IMAGE), pod("", waiting), node, Evidence({("", IMAGE): CONTENT}))
    assert (found.verdict, found.reason) == (wanted, reason)


def test_image_volumes_cannot_be_proved() -> None:
    found = prove(Place("volumes", "app", IMAGE), pod(f"x@{INDEX}"), NODE, Evidence({("", IMAGE): CONTENT}))
    assert found.verdict == "Unverifiable"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"a/b@{INDEX}", INDEX),
        (INDEX, INDEX),
        ("", ""),
        ("a/b:tag", ""),
        (f"docker-pullable://a:5000/b@{INDEX}", INDEX),
    ],
)
def test_digests_in_image_ids(text: str, wanted: str) -> None:
    assert digest_of(text) == wanted


@pytest.mark.parametrize(
    ("name", "platform", "wanted"),
    [
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm/v6", "linux/arm/v7", False),
        ("linux/amd64", "windows/amd64", False),
        ("linux/amd64", "", True),
    ],
)
def test_platforms_fit(name: str, platform: str, *, wanted: bool) -> None:
    assert fits(name, platform) is wanted


def test_accepted_digests_are_those_of_the_platform() -> None:
    assert accepted(CONTENT, "linux/amd64") == {INDEX, AMD, CONFIG}
    assert accepted(CONTENT, "") == {INDEX, AMD, CONFIG, ARM, ARMCONFIG}
    assert missing_platforms(CONTENT, ["linux/s390x", "linux/arm64"]) == ("linux/s390x",)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"docker.io/library/nginx@{INDEX}", "docker.io/library/nginx"),
        (f"docker-pullable://nginx@{INDEX}", "docker.io/library/nginx"),
        (f"registry.corp:5000/a/b:v1@{INDEX}", "registry.corp:5000/a/b"),
        (CONFIG, ""),
        (f"docker://{CONFIG}", ""),
        ("", ""),
        (f"NO@{INDEX}", ""),
    ],
)
def test_repositories_in_image_ids(text: str, wanted: str) -> None:
    assert repository_of(text) == wanted
