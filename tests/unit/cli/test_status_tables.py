"""What `pawl status` shows, as functions of policies: words, tables, documents, the one view, the next step."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from rich.console import Console, RenderableType
from tests.unit.cli.policies import IMAGE, NOW, ORDER, A, B, ago, condition, document, policy

from pawl.api.catalog import IMAGE_POLICY
from pawl.api.imagepolicy import ImagePolicy
from pawl.api.reasons import ConditionType
from pawl.cli.status_place import namespace_in
from pawl.cli.table_detail import detail, strategy
from pawl.cli.table_holds import holds_of
from pawl.cli.table_policies import Unreadable, age, read, ready, short, table
from pawl.cli.table_policies import document as wire

CALM = {ConditionType.READY, ConditionType.RECONCILING, ConditionType.SCAN_COMPLETE, ConditionType.BOOTSTRAPPED}


def shown(content: RenderableType, *, color: bool = False, width: int = 240) -> str:
    stream = io.StringIO()
    system = "standard" if color else None
    Console(file=stream, width=width, color_system=system, force_terminal=color, highlight=False).print(content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (61, "1m1s"),
        (3600, "1h"),
        (3700, "1h1m"),
        (3605, "1h"),
        (90000, "1d1h"),
        (86400 * 40 + 60, "40d"),
    ],
)
def test_ages(seconds: int, text: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == text


def test_a_digest_is_short_and_an_unknown_one_a_dash() -> None:
    assert short(A) == "a" * 12
    assert short("") == "-"


def test_a_row_of_a_policy_that_nothing_holds() -> None:
    head, row = shown(table([policy()], NOW)).splitlines()
    assert head.split() == ["NAMESPACE", "NAME", "TAG", "DIGEST", "READY", "WHAT", "HOLDS", "IT", "PENDING", "SELECTED"]
    assert row.split() == ["shop", "web", "v1.4.2", "a" * 12, "True", "nothing", "-", "1h1m", "ago"]


def test_a_row_without_a_selection() -> None:
    row = shown(table([policy(held=False)], NOW)).splitlines()[1]
    assert row.split() == ["shop", "web", "-", "-", "False", "nothing", "-", "-"]


def test_wide_adds_where_it_stands() -> None:
    head, row = shown(table([policy()], NOW, wide=True)).splitlines()
    assert head.split()[-4:] == ["IMAGE", "EPOCH", "SEQUENCE", "CAUSE"]
    assert row.split()[-4:] == [IMAGE, "1", "2", "Newer"]


def test_rows_are_sorted() -> None:
    lines = shown(table([policy(name="b"), policy(name="a")], NOW)).splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["a", "b"]


def test_markup_in_a_policy_is_text() -> None:
    odd = policy(condition("RollbackRejected", message="[red]no[/red] [/]"))
    assert "[red]no[/red] [/]" in shown(detail(odd, NOW))


def test_colours_where_there_is_a_terminal_only() -> None:
    assert "\x1b[" in shown(table([policy()], NOW), color=True)
    assert "\x1b[" not in shown(table([policy()], NOW))


@pytest.mark.parametrize("kind", sorted(set(IMAGE_POLICY.conditions) - CALM))
def test_every_condition_that_holds_has_words_and_a_next_step(kind: ConditionType) -> None:
    (hold,) = holds_of(policy(condition(kind.value)))
    assert (hold.type, hold.reason, hold.message) == (kind.value, "Because", "so it is")
    assert hold.words[0].islower()
    assert hold.advice.endswith(".")


@pytest.mark.parametrize("kind", sorted(set(IMAGE_POLICY.conditions) - CALM))
def test_a_condition_that_is_not_true_holds_nothing(kind: ConditionType) -> None:
    assert holds_of(policy(condition(kind.value, "False"))) == ()


def test_the_most_pressing_comes_first() -> None:
    held = policy(condition("ScanSuspect"), condition("Pending"), condition("Stalled"), spec={"suspend": True})
    assert [hold.type for hold in holds_of(held)] == ["Suspended", "Stalled", "Pending", "ScanSuspect"]


def test_a_failed_scan_is_told_once() -> None:
    failed = condition("ScanComplete", "False", "Unreachable")
    assert [hold.type for hold in holds_of(policy(failed))] == ["ScanComplete"]
    assert [hold.type for hold in holds_of(policy(failed, condition("Stalled")))] == ["Stalled"]
    assert [hold.type for hold in holds_of(policy(failed, condition("RateLimited")))] == ["RateLimited"]


def test_the_next_step_names_what_is_to_be_written() -> None:
    waits = {"tag": "v2", "digest": B, "firstSeen": ago(5), "waitingFor": ["ApprovalRequired"]}
    (approve,) = holds_of(policy(condition("Pending"), status={"pending": waits}))
    assert "v2" in approve.advice
    assert B in approve.advice
    (accept,) = holds_of(policy(condition("OrderingChanged")))
    assert ORDER in accept.advice
    (wait,) = holds_of(policy(condition("Pending"), status={"pending": waits | {"waitingFor": ["MinimumAge"]}}))
    assert wait.advice.startswith("Wait")


@pytest.mark.parametrize(("hold", "word"), [("Pinned", "Remove spec.rollback"), ("UntilNewer", "above v9")])
def test_the_end_of_a_rollback(hold: str, word: str) -> None:
    mark = {"nonce": "n", "from": f"v9@{A}", "above": "k v9", "hold": hold}
    (active,) = holds_of(policy(condition("RollbackActive"), status={"rollback": mark}))
    assert word in active.advice


def full() -> str:
    waits = {"tag": "v2", "digest": B, "firstSeen": ago(5), "waitingFor": ["MinimumAge"]}
    mark = {"nonce": "inc-1", "from": f"v9@{A}", "above": "k v9", "hold": "Pinned"}
    entry = {"time": ago(9), "cause": "Rollback", "epoch": 2, "sequence": 3, "from": f"v9@{A}", "to": f"v8@{B}"}
    first = {"time": ago(99), "cause": "Bootstrap", "epoch": 1, "sequence": 1, "to": f"v1@{A}", "who": "host_1_ab#1"}
    status = {
        "pending": waits,
        "rollback": mark,
        "blocked": ["v9"],
        "history": [first, entry | {"reason": "it burns", "who": "ann"}],
        "scan": {"revision": "r", "tags": 7, "complete": True},
    }
    return shown(detail(policy(condition("Pending", message="v2 waits"), spec={"blocked": ["v3"]}, status=status), NOW))


def test_the_one_view_has_all_of_it() -> None:
    text = full()
    for word in (
        "shop/web  ready: True",
        f"{IMAGE}:v1.4.2@{A}",
        "semver >=1.0.0, every 5m",
        "v1.4.2, 1h1m ago, cause Newer",
        "epoch 1, sequence 2",
        ORDER,
        f"v2@{B} waits for MinimumAge, first seen 5s ago",
        f"inc-1 took back v9@{A}, holds Pinned",
        "v3 (spec), v9 (rollback)",
        "7 tags, complete",
        "v2 waits",
        "v9 → v8",
        "ann: it burns",
        "nothing → v1",
        "Wait: v2 is selected by itself",
    ):
        assert word in text, word


def test_history_has_the_newest_first() -> None:
    text = full()
    assert text.index("Rollback    v9") < text.index("Bootstrap   nothing")


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (policy(), "Nothing."),
        (policy(held=False), "Nothing is selected: the ready message."),
        (policy(status={"conditions": [], "selection": None}), "No replica of Pawl has looked"),
    ],
)
def test_what_to_do_when_nothing_holds(told: ImagePolicy, sentence: str) -> None:
    assert sentence in shown(detail(told, NOW))


@pytest.mark.parametrize(
    ("select", "words"),
    [
        ({"semver": {"range": "^1"}}, "semver ^1"),
        ({"digest": {"tag": "stable"}}, "digest of tag stable"),
        ({"numerical": {}}, "numerical Ascending"),
        ({"alphabetical": {"order": "Descending"}}, "alphabetical Descending"),
    ],
)
def test_strategies(select: dict[str, object], words: str) -> None:
    assert strategy(policy(spec={"select": select}).spec.select) == words


def test_the_document_for_scripts() -> None:
    made = wire(policy(condition("ScanSuspect", reason="Shrunk"), status={"blocked": ["v9"]}, spec={"blocked": ["v3"]}))
    assert json.loads(json.dumps(made)) == made
    assert list(made) == [
        "namespace",
        "name",
        "image",
        "ready",
        "selection",
        "ordering",
        "holds",
        "pending",
        "blocked",
        "rollback",
        "history",
    ]
    assert made["blocked"] == ["v3", "v9"]
    assert made["selection"]["sortKey"] == "k v1.4.2"
    assert [(hold["type"], hold["reason"]) for hold in made["holds"]] == [("ScanSuspect", "Shrunk")]
    assert made["holds"][0]["next"]


def test_a_policy_of_a_newer_pawl_is_a_row_and_no_failure() -> None:
    seen = read(document(spec={"teleport": True}))
    assert isinstance(seen, Unreadable)
    assert ready(seen) == "Unknown"
    assert "cannot be read: spec.teleport" in shown(table([seen, policy(name="other")], NOW))
    assert wire(seen)["unreadable"].startswith("spec.teleport")


def test_ready_is_unknown_before_the_first_look() -> None:
    assert ready(policy(status={"conditions": []})) == "Unknown"


CONTEXTS = {
    "current-context": "one",
    "contexts": [{"name": "one", "context": {"namespace": "shop"}}, {"name": "two", "context": {"cluster": "c"}}],
}


@pytest.mark.parametrize(
    ("documents", "namespace"),
    [
        ([CONTEXTS], "shop"),
        ([CONTEXTS | {"current-context": "two"}], "default"),
        ([{"current-context": "two"}, CONTEXTS], "default"),
        ([{}, CONTEXTS], "shop"),
        ([{"contexts": None}], "default"),
        ([], "default"),
    ],
)
def test_the_namespace_of_the_context(documents: list[dict[str, object]], namespace: str) -> None:
    assert namespace_in(documents) == namespace
