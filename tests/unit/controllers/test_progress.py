"""When a look may be served by an older scan, and when an image's digests are audited."""

from __future__ import annotations

import pytest

from pawl.controllers.progress import AUDIT_EVERY, Progress


@pytest.mark.parametrize(
    ("scanned_at", "now", "since"),
    [
        (1000.0, 1100.0, 1050.0),  # a timer at its time: a scan of this interval's second half serves
        (1000.0, 1010.0, 1000.0),  # a look that nobody asked for: the last scan serves
        (0.0, 9000.0, 8900.0),  # after a long outage: never older than an interval
    ],
)
def test_how_old_a_scan_may_be(scanned_at: float, now: float, since: float) -> None:
    assert Progress(scanned_at=scanned_at).fresh_from(100.0, now) == since


def test_an_image_is_audited_once_in_ten_intervals_at_one_time_for_all_its_policies() -> None:
    one, other = Progress(interval=60.0), Progress(interval=60.0)
    rounds = [one.round_of("r.example.com/web", float(now)) for now in range(6000)]
    assert rounds == [other.round_of("r.example.com/web", float(now)) for now in range(6000)]
    assert len(set(rounds)) in {6000 // (60 * AUDIT_EVERY), 6000 // (60 * AUDIT_EVERY) + 1}


def test_two_images_are_audited_at_different_times() -> None:
    progress = Progress(interval=60.0)
    turns = {
        next(now for now in range(1, 700) if progress.round_of(image, now) != progress.round_of(image, now - 1))
        for image in (f"r.example.com/{number}" for number in range(20))
    }
    assert len(turns) > 10
