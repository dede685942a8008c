"""What is told of the server's clock by its answers, which have their time to the second."""

from __future__ import annotations

import datetime as dt
import email.utils

import pytest

from tap_autodesk_exports.autodesk.server_time import ServerTime
from tap_autodesk_exports.clock import Clock

HERE = dt.datetime(2026, 6, 15, 12, 0, 0, 300_000, tzinfo=dt.UTC)
"""What this machine's clock shows."""


class Standing(Clock):
    def now(self) -> dt.datetime:
        return HERE


@pytest.mark.parametrize("ahead", [0, 2, -2, 3 * 3600, -3 * 86400])
@pytest.mark.parametrize("fraction", [0, 0.001, 0.999])
def test_what_was_requested_just_now_is_as_old_as_nothing(ahead, fraction):
    """Not younger: where nothing is young enough to be used again, this is neither."""
    there = (HERE + dt.timedelta(seconds=ahead)).replace(microsecond=round(fraction * 1e6))
    time = ServerTime(Standing())
    time.note(email.utils.format_datetime(there, usegmt=True))
    if abs(ahead) < 10:  # then the clocks are held to be equal
        there = HERE
    assert dt.timedelta(0) <= time.age(there, HERE) <= dt.timedelta(seconds=1)
    assert there <= time.latest() <= there + dt.timedelta(seconds=1)
    assert abs(time.now() - there) <= dt.timedelta(seconds=1)


def test_without_an_answer_the_time_is_that_of_this_machine():
    time = ServerTime(Standing())
    time.note(None)
    time.note("soon")
    assert time.now() == HERE
    assert time.age(None, HERE - dt.timedelta(hours=1)) == dt.timedelta(hours=1)
