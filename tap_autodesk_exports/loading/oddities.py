"""What is odd about a dataset and its files: said once in a run, in words."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tap_autodesk_exports.loading.bookmarks import starts_before

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from tap_autodesk_exports.loading.dataset import Selected
    from tap_autodesk_exports.tables.table import Table

logger = logging.getLogger("tap-autodesk-exports")


class Oddities:
    """What the user should know of one dataset.

    Args:
        selected: The dataset.
        start_date: The setting, for a warning where it has no effect.
    """

    def __init__(self, selected: Selected, start_date: dt.datetime | None) -> None:
        self._selected = selected
        self._start_date = start_date
        self._reported: dict[str, set[str]] = {}

    def warn_of_earlier_start(self) -> None:
        """Warn of a start date before the one that a dataset was first loaded from."""
        if not (self._selected.dataset.is_dated and self._start_date):
            return
        if first := starts_before(self._start_date, self._selected.bookmarks):
            logger.warning(
                "%s: setting 'start_date' (%s) is earlier than where this stream started, %s, and "
                "has no effect. To load what is before that, run once without the stream's state, "
                "such as by `meltano run --full-refresh`.",
                self._selected.name,
                f"{self._start_date:%Y-%m-%d}",
                first,
            )

    def report_columns(self, table: Table, file: str) -> None:
        """Report the columns of a file that the catalog does not know, or that it lacks."""
        if unknown := self._new("unknown", table.unknown):
            logger.warning(
                "Columns of '%s' that the catalog does not know are kept in _rescued_data: %s. %s",
                file,
                ", ".join(unknown),
                self._selected.dataset.remedy,
            )
        if missing := self._new("missing", table.missing):
            logger.info("Not in '%s', so null: %s.", file, ", ".join(missing))

    def report_values(self, table: Table, file: str) -> None:
        """Report the columns none of whose values fits its type, and those with signed links.

        Args:
            table: A table whose rows were sent.
            file: Name of its file.
        """
        shapes = table.unfitting()
        for name in self._new("unfitting", shapes):
            shape = f", such as one that looks like '{shapes[name]}'" if shapes[name] else ""
            logger.warning(
                "%s: no value of column '%s' in '%s' fits its type (%s)%s: all are null, and their "
                "texts are in _rescued_data. To load them as text, give the column the type "
                '`["string", "null"]` in the catalog, in Meltano under `schema:` of the tap.',
                self._selected.name,
                name,
                file,
                self._selected.schema.types[name].value,
                shape,
            )
        if links := self._new("links", table.signed_links):
            logger.info(
                "Signed links in '%s' are loaded without their signatures: %s.",
                file,
                ", ".join(links),
            )

    def _new(self, kind: str, names: Iterable[str]) -> list[str]:
        """Return the names that were not reported before."""
        reported = self._reported.setdefault(kind, set())
        new = [name for name in names if name not in reported]
        reported.update(new)
        return new
