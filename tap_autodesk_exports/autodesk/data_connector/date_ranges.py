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

    Attributes:
        tables: The tables.
    """

    def __init__(
        self,
        tables: Sequence[tuple[TableDataset, Bookmarks]],
        settings: Settings,
        now: dt.datetime,
    ) -> None:
        self.tables = [table for table, _ in tables]
        self._bookmarks = {table.name: bookmarks for table, bookmarks in tables}
        self._activities = [table for table in self.tables if table.is_activity]
        self._changes = [table for table in self.tables if table.is_delta]
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
            starts = {table.name: self.start_of(table, partition) for table in self._activities}
            found = [
                (window, [each for each in self._activities if starts[each.name] < window.end])
                for window in spans(min(starts.values()), end, ACTIVITY_DAYS, OVERLAP)
            ]
        if self._changes:
            start = min(self.start_of(table, partition) for table in self._changes)
            if found and found[-1][0].start <= start:
                found[-1][1].extend(self._changes)
            elif start < end:
                found.insert(0, (Window("changes", start, end), [*self._changes]))
        return found

    def start_of(self, table: TableDataset, partition: Mapping[str, str]) -> dt.datetime:
        """Return from where a table is read: its bookmark less the overlap, or the first day.

        Changes since the first day are all rows, so the first run has them whatever the start date
        is: a table of which some rows are missing is of no use.
        """
        bookmarks = self._bookmarks[table.name]
        position = bookmarks.position(partition)
        if table.is_delta:
            bookmarks.starts.plan(partition, FIRST_DAY)
            return min(position, self._now) - OVERLAP if position else FIRST_DAY
        start, _ = self._settings.period(self._now, position, OVERLAP)
        start = bookmarks.start(partition, start)
        if position or self._settings.start_date:
            return start
        # The default start moves from day to day; its cell of the grid does so only rarely.
        return grid(start, ACTIVITY_DAYS - OVERLAP.days)

    def is_loaded(
        self, table: TableDataset, partition: Mapping[str, str], end: dt.datetime
    ) -> bool:
        """Tell whether a table is loaded up to an instant."""
        position = self._bookmarks[table.name].position(partition)
        return position is not None and end <= position
