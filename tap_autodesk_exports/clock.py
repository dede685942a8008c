"""Time, as something that can be handed in: a test uses another clock."""

from __future__ import annotations

import datetime as dt
import random
import time
from typing import TYPE_CHECKING

from tap_autodesk_exports.errors import Stopped

if TYPE_CHECKING:
    import threading


class Clock:
    """The real clock."""

    def now(self) -> dt.datetime:
        """Return the present instant, aware, in UTC."""
        return dt.datetime.now(dt.UTC)

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        return time.monotonic()

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        """Wait for `seconds`, or until `stop` is set; return whether it was set."""
        return stop.wait(seconds)


def pause(clock: Clock, seconds: float, stop: threading.Event, *, jitter: float = 0.0) -> None:
    """Wait for some seconds, and a random share more, so that many do not go on at once.

    Args:
        clock: Waits.
        seconds: How long.
        stop: Ends the wait when it is set.
        jitter: The greatest share more: 0.1 is a tenth.

    Raises:
        Stopped: It was set.
    """
    if clock.wait(seconds * random.uniform(1.0, 1.0 + jitter), stop):  # noqa: S311
        raise Stopped


def canonical(instant: dt.datetime) -> str:
    """Write an aware instant in the one way of this tap: UTC, six fraction digits."""
    # Not by `strftime`, which writes the year 1 with one digit.
    plain = instant.astimezone(dt.UTC).replace(tzinfo=None)
    return f"{plain.isoformat(timespec='microseconds')}Z"


def instant(text: str | None) -> dt.datetime | None:
    """Read an instant as the APIs write it: 0 to 6 fraction digits, with and without a zone.

    One without a zone is UTC, as the documentation's examples show. None where it is no instant.
    """
    try:
        read = dt.datetime.fromisoformat(text or "")
        return read.replace(tzinfo=dt.UTC) if read.tzinfo is None else read.astimezone(dt.UTC)
    except (ValueError, OverflowError):  # the first or last day of all, in another zone
        return None
