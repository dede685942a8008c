"""Which date ranges of activities and changes a partition needs."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from tap_autodesk_exports.loading.windows import Window, grid, spans

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_autodesk_exports.autodesk.data_connector.catalog import TableDataset
    from tap_autodesk_exports.loading.bookmarks import Bookmarks
    from tap_autodesk_exports.settings import Settings

ACTIVITY_DAYS = 30
"""Days in one request with activities. Documented: above 31 the range silently falls back to
yesterday."""
FIRST_DAY = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
"""Before everything that an account can hold."""
OVERLAP = dt.timedelta(days=1)
"""How far before the bookmark events are read again. Documented: they arrive up to 20 minutes
late."""


class DateRanges:
    """The date ranges of a run.

    Args:
        tables: The selected tables that are dated, with their bookmarks.
        settings: The settings.
        now: The time of the run.
    """

    def __init__(
        self,
        tables: Sequence[tuple[TableDataset, Bookmarks]],
        settings: Settings,
        now: dt.datetime,
    ) -> None:
        self._activities = [pair for pair in tables if pair[0].is_activity]
        self._changes = [pair for pair in tables if pair[0].is_delta]
        self._settings = settings
        self._now = now

    def of(self, partition: Mapping[str, str]) -> list[tuple[Window, list[TableDataset]]]:
        """Return the ranges that a partition needs, and the tables that each serves.

        Changes have no longest range (none is documented), so they need one job, and no separate
        one where the last range of the activities covers them.
        """
        found: list[tuple[Window, list[TableDataset]]] = []
        if not (self._activities or self._changes):
            return found
        _, end = self._settings.period(self._now)
        if self._activities:
            starts = {
                table.name: self._start(table, marks, partition)
                for table, marks in self._activities
            }
            found = [
                (window, [t for t, _ in self._activities if starts[t.name] < window.end])
                for window in spans(min(starts.values()), end, ACTIVITY_DAYS, OVERLAP)
            ]
        if self._changes:
            changes = [table for table, _ in self._changes]
            start = min(self._start(table, marks, partition) for table, marks in self._changes)
            if found and found[-1][0].start <= start:
                found[-1][1].extend(changes)
            elif start < end:
                found.insert(0, (Window("changes", start, end), changes))
        return found

    def _start(
        self, table: TableDataset, bookmarks: Bookmarks, partition: Mapping[str, str]
    ) -> dt.datetime:
        """Return from where a table is read: its bookmark less the overlap, or the first day.

        Changes since the first day are all rows, so the first run has them whatever the start date
        is: a table of which some rows are missing is of no use.
        """
        position = bookmarks.position(partition)
        if table.is_delta:
            return position - OVERLAP if position else FIRST_DAY
        start, _ = self._settings.period(self._now, position, OVERLAP)
        if position or self._settings.start_date:
            return start
        # The default start moves from day to day; its cell of the grid does so only rarely.
        return grid(start, ACTIVITY_DAYS - OVERLAP.days)
