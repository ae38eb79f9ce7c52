"""What a Lease says, and what a candidate may conclude from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.cluster.leaserecord import Observation, Record, Timing, decode, encode, stamp

TIMING = Timing()
NOW = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)


def held(by: str = "other", term: int = 3, renewed: str = "t0", duration: float = 15.0) -> Record:
    return Record(by, term, duration, acquired="a", renewed=renewed, resource_version="7")


@pytest.mark.parametrize(
    "times",
    [{"retry": 0.0}, {"retry": 11.0}, {"renew_deadline": 15.0}, {"duration": 9.0}, {"renew_deadline": 1.0}],
)
def test_times_that_contradict_are_refused(times: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="0 < retry < renew_deadline < duration"):
        Timing(**times)


def test_a_request_leaves_time_for_a_second_one() -> None:
    assert TIMING.request == 5.0


def test_a_record_survives_the_way_to_the_server_and_back() -> None:
    record = Record("me", 4, 15.0, "a", "r", "12", {"l": "1"}, {"n": "2"})
    raw = msgspec.json.encode(encode("ns", "pawl", record))
    assert decode(raw) == record
    assert msgspec.json.decode(raw)["metadata"]["namespace"] == "ns"


def test_a_free_lease_has_no_holder_and_a_whole_duration() -> None:
    spec = encode("ns", "pawl", Record("", 4, 0.2))["spec"]
    assert spec == {"leaseDurationSeconds": 1, "leaseTransitions": 4}
    assert "resourceVersion" not in encode("ns", "pawl", Record("", 4, 0.2))["metadata"]  # type: ignore[operator]


def test_an_empty_lease_is_a_free_one() -> None:
    assert decode(b'{"metadata":{"resourceVersion":"1"}}') == Record("", 0, 0.0, resource_version="1")
    raw = b'{"metadata":{"resourceVersion":"1","labels":null},"spec":{"holderIdentity":null,"leaseTransitions":null}}'
    assert decode(raw).holder == ""


def test_a_stamp_is_utc_with_microseconds_and_never_the_last_one() -> None:
    text = stamp(NOW.astimezone(timezone(timedelta(hours=5))), None)
    assert text == "2026-03-04T05:06:07.000089Z"
    assert stamp(NOW, text) == "2026-03-04T05:06:07.000090Z"


def test_nothing_seen_is_free() -> None:
    seen = Observation("me", TIMING)
    assert seen.free(0.0)
    assert (seen.holder, seen.term) == ("", 0)
    seen.see_none(5.0)
    assert seen.free(5.0)


def test_a_holder_is_respected_for_its_duration_since_the_last_change() -> None:
    seen = Observation("me", TIMING)
    seen.see(held(renewed="t0"), 100.0)
    seen.see(held(renewed="t0"), 110.0)
    assert not seen.free(114.9)
    assert seen.free(115.0)
    seen.see(held(renewed="t1"), 116.0)
    assert not seen.free(130.9)
    assert (seen.holder, seen.term) == ("other", 3)


def test_a_released_lease_and_our_own_are_free_at_once() -> None:
    seen = Observation("me", TIMING)
    seen.see(held(by=""), 100.0)
    assert seen.free(100.0)
    seen.see(held(by="me"), 100.0)
    assert seen.free(100.0)


def test_a_longer_stored_duration_counts_up_to_four_of_ours() -> None:
    for duration, wait in ((20.0, 20.0), (3.0, 15.0), (1e9, 60.0)):
        seen = Observation("me", TIMING)
        seen.see(held(duration=duration), 0.0)
        assert not seen.free(wait - 0.1)
        assert seen.free(wait)


def test_a_deleted_lease_is_waited_for_once_from_when_it_was_missed() -> None:
    seen = Observation("me", TIMING)
    seen.see(held(), 100.0)
    seen.see_none(112.0)
    seen.see_none(120.0)
    assert not seen.free(126.9)
    assert seen.free(127.0)
    assert seen.term == 3


def test_a_label_does_not_keep_a_dead_lease_alive() -> None:
    seen = Observation("me", TIMING)
    seen.see(held(), 100.0)
    seen.see(Record("other", 3, 15.0, "a", "t0", "8", {"touched": "yes"}), 114.0)
    assert seen.free(115.0)


@given(
    st.lists(st.tuples(st.sampled_from(["", "me", "other", None]), st.integers(0, 9), st.floats(0, 20)), max_size=30)
)
def test_the_term_never_falls_and_another_holder_is_never_free_within_the_duration_of_a_change(
    looks: list[tuple[str | None, int, float]],
) -> None:
    seen, now, term, changed, last = Observation("me", TIMING), 0.0, 0, None, None
    for renewal, (holder, told, pause) in enumerate(looks):
        now += pause
        if holder is None:
            seen.see_none(now)
        else:
            seen.see(held(by=holder, term=told, renewed=str(renewal)), now)
            changed, last = now, holder
        assert seen.term >= term
        term = seen.term
        if last == "other" and changed is not None and now - changed < TIMING.duration:
            assert not seen.free(now)
