"""Pawl's own user of a registry: whoever learned a password in time can always log in with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.decide.accessusers import (
    MAX_USERS,
    OVERLAP,
    WARM_UP,
    OwnUsers,
    User,
    checked,
    lines,
    next_turn,
    parsed,
    turned,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
HOUR = timedelta(hours=1)


@given(st.integers(1, 2000), st.lists(st.integers(1, 60 * 48), min_size=1, max_size=120))
def test_what_is_handed_out_was_valid_before_and_stays_valid_after(hours: int, minutes: list[int]) -> None:
    """A server reads its file ten minutes late, a client its password an hour or a day late: both get in."""
    every, now = hours * HOUR, NOW
    users = OwnUsers(User("pawl-a", "0"), NOW)
    valid_since: dict[User, datetime] = {users.current: NOW}
    handed_until: dict[User, datetime] = {}
    for step, wait in enumerate(minutes):
        now += timedelta(minutes=wait)
        before = users
        users = turned(users, every, now, str(step + 1))
        for user in users.valid:
            valid_since.setdefault(user, now)
        if users.current != before.current:
            assert now - valid_since[users.current] >= WARM_UP
            handed_until[before.current] = now
        overlap = min(OVERLAP, every)
        assert all(user in users.valid for user, end in handed_until.items() if now < end + overlap)
        assert len({user.name for user in users.valid}) == len(users.valid)
        assert users is before or users != before


def test_a_whole_turn() -> None:
    every = 720 * HOUR
    first = OwnUsers(User("pawl-a", "one"), NOW)
    due = next_turn(first, every)
    assert (due, turned(first, every, due - HOUR, "two")) == (NOW + every, first)
    coming = turned(first, every, due, "two")
    assert (coming.current, coming.coming) == (User("pawl-a", "one"), User("pawl-b", "two"))
    assert next_turn(coming, every) == due + WARM_UP
    both = turned(coming, every, due + WARM_UP, "three")
    assert (both.current, both.past, both.coming) == (User("pawl-b", "two"), User("pawl-a", "one"), None)
    assert next_turn(both, every) == due + WARM_UP + OVERLAP
    alone = turned(both, every, due + WARM_UP + OVERLAP, "three")
    assert alone.valid == (User("pawl-b", "two"),)


@pytest.mark.parametrize(
    ("users", "fault"),
    [
        ({"pawl-a": b"x"}, "Pawl's own"),
        ({"-x": b"x"}, "names a user"),
        ({"x": b""}, "0 bytes"),
        ({"x": b"y" * 73}, "73 bytes"),
        ({"x": b"hunter\n"}, "line break"),
        ({"x": b"\xff"}, "UTF-8"),
        ({f"u{i}": b"x" for i in range(MAX_USERS + 1)}, "101 users"),
    ],
)
def test_users_that_cannot_be_taken(users: dict[str, bytes], fault: str) -> None:
    found, sentence = checked(users)
    assert found == ()
    assert fault in sentence
    assert "hunter" not in sentence


def test_users_are_taken_in_order() -> None:
    assert checked({"zoe": b"1", "ann": b"2"}) == ((User("ann", "2"), User("zoe", "1")), "")


@given(st.dictionaries(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True), st.just("$2b$05$abc./")))
def test_a_file_is_read_as_it_was_written(hashes: dict[str, str]) -> None:
    assert parsed(lines(hashes)) == hashes


def test_a_password_never_shows() -> None:
    assert "hunter" not in repr(OwnUsers(User("pawl-a", "hunter"), NOW))
