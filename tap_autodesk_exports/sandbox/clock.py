"""The sandbox's time: real time plus an offset that a test can set."""

from __future__ import annotations

import datetime as dt
import threading


class SandboxClock:
    """A clock that runs at the speed of the real one, from wherever it was set.

    Every time in the sandbox comes from here: expiry of links and tokens, progress of
    exports, and which data exist yet.
    """

    def __init__(self, now: dt.datetime | None = None) -> None:
        self._lock = threading.Lock()
        self._offset = dt.timedelta(0)
        if now is not None:
            self.set(now)

    def now(self) -> dt.datetime:
        """Return the sandbox's current time, aware, in UTC."""
        with self._lock:
            return dt.datetime.now(dt.UTC) + self._offset

    def set(self, now: dt.datetime) -> None:
        """Make `now` (aware, or naive UTC) the current time."""
        aware = now.replace(tzinfo=dt.UTC) if now.tzinfo is None else now
        with self._lock:
            self._offset = aware - dt.datetime.now(dt.UTC)

    def advance(self, seconds: float) -> None:
        """Move the current time by `seconds`."""
        with self._lock:
            self._offset += dt.timedelta(seconds=seconds)


def iso(instant: dt.datetime, timespec: str = "milliseconds") -> str:
    """Write an aware instant as the APIs do: ISO 8601 with `Z`."""
    return instant.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec=timespec) + "Z"


def instant(text: str) -> dt.datetime:
    """Read an ISO 8601 date or date-time; without a zone it is UTC.

    Raises:
        ValueError: The text is neither.
    """
    read = dt.datetime.fromisoformat(text)
    return read.replace(tzinfo=dt.UTC) if read.tzinfo is None else read.astimezone(dt.UTC)
