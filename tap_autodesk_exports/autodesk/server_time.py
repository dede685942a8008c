"""The server's time, as its answers tell it."""

from __future__ import annotations

import datetime as dt
import email.utils
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tap_autodesk_exports.clock import Clock

A_SECOND = dt.timedelta(seconds=1)
UNCERTAIN = dt.timedelta(seconds=5)
"""A `Date` is written to the second, and an answer takes its time."""


class ServerTime:
    """How the server's clock differs from this machine's.

    Every answer has a `Date`, to the second (HTTP). Until one has come, both clocks count as equal.

    Args:
        clock: This machine's clock.

    Attributes:
        ahead: How far the server's clock is ahead of this machine's; may be negative.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ahead = dt.timedelta(0)

    def note(self, date: str | None) -> None:
        """Take the header `Date` of an answer that has just come."""
        if said := http_date(date):
            self.ahead = said - self._clock.now()

    def now(self) -> dt.datetime:
        """Return what the server's clock shows now.

        Where it differs by no more than comes of the form and the way of a `Date`, that is the time
        of this machine, which is known to less than a second.
        """
        now = self._clock.now()
        return now if abs(self.ahead) <= UNCERTAIN else self.at(now)

    def latest(self) -> dt.datetime:
        """Return the latest that the server's clock may show: it is known to the second."""
        return self.now() + A_SECOND

    def at(self, instant: dt.datetime) -> dt.datetime:
        """Return what the server's clock shows when this machine's shows an instant."""
        return instant + self.ahead

    def age(self, said: dt.datetime | None, noted: dt.datetime) -> dt.timedelta:
        """Return how long ago something was requested.

        Args:
            said: When, as the server says; None where it does not.
            noted: When, as this machine noted, whose clock may have been another one then.
        """
        return self.latest() - said if said else self._clock.now() - noted


def http_date(text: str | None) -> dt.datetime | None:
    """Read a date as HTTP writes it; None where it is none."""
    try:
        read = email.utils.parsedate_to_datetime(text or "")
        return read.replace(tzinfo=dt.UTC) if read.tzinfo is None else read.astimezone(dt.UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
