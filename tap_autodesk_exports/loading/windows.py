"""Date ranges of dated exports; instants are aware, in UTC, and ends are exclusive."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

from tap_autodesk_exports.clock import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclasses.dataclass(frozen=True)
class Window:
    """A date range.

    Attributes:
        slot: Its name, which does not depend on the time of the run, such as `2026-11`.
        start: Start, inclusive.
        end: End, exclusive.
    """

    slot: str
    start: dt.datetime
    end: dt.datetime

    @property
    def dates(self) -> dict[str, str]:
        """Start and end in the canonical form, as an `ExportSpec` takes them."""
        return {"start": canonical(self.start), "end": canonical(self.end)}


def months(start: dt.datetime, end: dt.datetime) -> Iterator[Window]:
    """Yield the calendar months between two instants; the first and last may be parts of one."""
    begin = start
    while begin < end:
        after = min(_next_month(begin), end)
        yield Window(f"{begin:%Y-%m}", begin, after)
        begin = after


def years(start: dt.datetime, end: dt.datetime) -> Iterator[Window]:
    """Yield the calendar years between two instants; the first and last may be parts of one."""
    begin = start
    while begin < end:
        after = min(day_start(begin).replace(year=begin.year + 1, month=1, day=1), end)
        yield Window(f"{begin:%Y}", begin, after)
        begin = after


def spans(
    start: dt.datetime, end: dt.datetime, days: int, overlap: dt.timedelta
) -> Iterator[Window]:
    """Yield ranges of at most so many days that lie between two instants.

    They are cut where a fixed grid says, so that a run on another day names a range as the run
    before did. The first one begins `overlap` before a bookmark, whose cell names it. What fits
    into one range is not cut.
    """
    length = dt.timedelta(days=days) - overlap
    whole = end - start <= dt.timedelta(days=days)
    begin, named = start, start + overlap
    while begin < end:
        cell = grid(named, length.days)
        after = end if whole else min(cell + length, end)
        yield Window(f"{cell:%Y-%m-%d}", begin, after)
        begin = named = after


def grid(instant: dt.datetime, days: int) -> dt.datetime:
    """Return where the cell of an instant begins, in a grid of so many days from 1970 on."""
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    length = dt.timedelta(days=days)
    return epoch + (instant - epoch) // length * length


def month_start(instant: dt.datetime) -> dt.datetime:
    """Return the first instant of a month."""
    return day_start(instant).replace(day=1)


def day_start(instant: dt.datetime) -> dt.datetime:
    """Return the first instant of a day."""
    return instant.replace(hour=0, minute=0, second=0, microsecond=0)


def _next_month(instant: dt.datetime) -> dt.datetime:
    return month_start(month_start(instant) + dt.timedelta(days=32))
