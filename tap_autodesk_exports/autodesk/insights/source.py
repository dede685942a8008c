"""Insights in a run: which teams and months to request, and which file holds a report's rows."""

from __future__ import annotations

import datetime as dt
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from typing_extensions import override

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.insights.client import Insights
from tap_autodesk_exports.autodesk.insights.covered import Covered
from tap_autodesk_exports.autodesk.insights.files import Download, report_file, with_team_ids
from tap_autodesk_exports.autodesk.insights.service import InsightsService
from tap_autodesk_exports.autodesk.insights.teams import ALL_TEAMS, Teams
from tap_autodesk_exports.exports.export import ExportSpec
from tap_autodesk_exports.files.convert import as_csv
from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.loading.bookmarks import mark_of
from tap_autodesk_exports.loading.dataset import Load, Source
from tap_autodesk_exports.loading.windows import Window, day_start, month_start, months

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tap_autodesk_exports.autodesk.chosen import Chosen
    from tap_autodesk_exports.autodesk.context import RunContext
    from tap_autodesk_exports.autodesk.insights.datasets import InsightsDataset
    from tap_autodesk_exports.errors import TapError
    from tap_autodesk_exports.exports.export import FinishedExport
    from tap_autodesk_exports.loading.bookmarks import Bookmarks
    from tap_autodesk_exports.loading.dataset import Dataset, Selected

MILLISECOND = dt.timedelta(milliseconds=1)

logger = logging.getLogger("tap-autodesk-exports")


class InsightsSource(Source):
    """Insights as a `Source`: an export for each team, or one for all."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._settings = context.settings
        self.client = Insights(context.api)
        self.service = InsightsService(self.client)
        self.teams = Teams(self.client, context.settings)
        self._covered = Covered(self.client)
        self._left_aside: dict[str, str] = {}
        self._logged: set[str] = set()

    # Planned

    @override
    def plan(self, selected: Sequence[Selected]) -> Mapping[str, list[Load] | TapError]:
        """Name the exports of each dataset, team by team."""
        teams = self.teams.chosen()
        reads = teams.items if ALL_TEAMS not in teams.items else self.teams.reporting()
        self._covered.begin(reads)
        plan = {each.name: list(self._loads(each, teams)) for each in selected}
        self._covered.expect(plan)
        return plan

    def _loads(self, selected: Selected, teams: Chosen) -> Iterator[Load]:
        dataset = cast("InsightsDataset", selected.dataset)
        for team in teams.items:
            partition = {"team_id": team} if team else {}
            if dataset.is_aggregated and (filters := self._settings.insights_usage_report_filters):
                # What was loaded through a filter says nothing of what it left out.
                text = json.dumps(filters, sort_keys=True, default=str)
                partition["filters"] = mark_of(text)
            for window in self._windows(dataset, selected.bookmarks, partition):
                yield Load(self._spec(dataset, team, window), partition)
        for number, error in enumerate(teams.errors):
            spec = ExportSpec(Api.INSIGHTS.value, f"unreadable {number}", dataset.name)
            yield Load(spec, {"team_id": spec.owner}, error)

    def _windows(
        self, dataset: InsightsDataset, bookmarks: Bookmarks, partition: Mapping[str, str]
    ) -> list[Window | None]:
        """Return the calendar months to request; [None] for a report without dates.

        From the bookmark less the look-back, or from the start date.
        """
        has_new_teams = self._covered.has_new(bookmarks, partition)
        now = self._context.earlier.now()  # a clock that differs is warned of in any case
        if not dataset.is_dated:
            return [None]
        lookback = dt.timedelta(days=self._settings.lookback_days)
        # Up to its bookmark, only the other teams are loaded.
        position = None if has_new_teams else bookmarks.position(partition)
        start, end = self._settings.period(now, position, lookback)
        start = bookmarks.start(partition, start)
        is_early = end < now and self._covered.goes_beyond(bookmarks, partition, end)
        if dataset.is_aggregated and is_early:
            end = month_start(end)  # all of that month is loaded, and a part would replace it
        first = month_start(start) if dataset.is_aggregated else day_start(start)
        # Ends are written in milliseconds, and inclusive: the first one of a month has none.
        return [each for each in months(first, end) if each.end - each.start >= MILLISECOND]

    def _spec(self, dataset: InsightsDataset, team: str, window: Window | None) -> ExportSpec:
        body: dict[str, Any] = {
            "outputFormat": self._settings.insights_output_format,
            "reports": [dataset.report],
        }
        if dataset.is_aggregated:
            body |= {
                "usageReports": ["USAGE_REPORT_BY_PRODUCT"],
                "filters": self._settings.insights_usage_report_filters,
            }
        return ExportSpec(
            api=Api.INSIGHTS.value,
            owner=team,
            name=dataset.name,
            slot=window.slot if window else "",
            body=body,
            **(window.dates if window else {}),
        )

    # Fetched

    @override
    def fetch(self, dataset: Dataset, finished: FinishedExport, folder: Path) -> Path | None:
        """Fetch all files of an export, and make one of those that hold the report's rows."""
        rename, expected = dataset.rename, set(dataset.columns)
        spec = finished.pending.spec
        is_json = spec.body["outputFormat"] == "JSON"
        aside: list[int] = []
        copies: list[int] = []
        downloads = []
        for number, file in enumerate(finished.files):
            into = folder / f"{number}"
            into.mkdir()
            path = as_csv(
                self._context.downloader.fetch(self.service, finished, file, into),
                into,
                json=is_json,
                expected=expected,
                rename=rename,
                left_aside=aside.append,
                copies=copies.append,
            )
            downloads.append(Download(file.name, path, is_json))
        are_distinct = self.service.are_distinct(finished)
        report = report_file(
            downloads, expected, rename, folder, self._log_once, are_distinct=are_distinct
        )
        if report is None:
            raise FileError(Path(dataset.name), _without_rows(dataset, finished))
        # A usage report's list of filters is a sheet too (observed).
        may_have_rows = [] if cast("InsightsDataset", dataset).is_aggregated else aside
        for position in aside:
            self._log_once(
                logging.WARNING if may_have_rows else logging.INFO,
                f"Sheet {position} of an export of '{dataset.name}' does not have the report's "
                "columns and is left aside.",
            )
        for position in copies:
            self._log_once(
                logging.WARNING,
                f"Sheet {position} of an export of '{dataset.name}' is the same as another one and "
                "is left aside.",
            )
        if names := [*report.left_aside, *(f"sheet {position}" for position in may_have_rows)]:
            self._left_aside[dataset.name] = ", ".join(names)
        if spec.owner:
            return report.path
        return with_team_ids(report.path, self.teams, rename, folder / "of_all_teams.csv")

    def _log_once(self, level: int, sentence: str) -> None:
        """Log what is the same for each team and month."""
        if sentence not in self._logged:
            self._logged.add(sentence)
            logger.log(level, "%s", sentence)

    @override
    def incomplete(self, dataset: Dataset) -> str | None:
        names = self._left_aside.get(dataset.name)
        return f"{names} may hold more rows of it" if names else None

    @override
    def left_out(self, selected: Selected, loads: Iterable[Load]) -> str | None:
        return self._covered.left_out(selected.bookmarks)

    # Loaded

    @override
    def remember(
        self, dataset: Dataset, load: Load, finished: FinishedExport, state: dict[str, Any]
    ) -> None:
        """Note whose rows an export of all teams has, with the last load."""
        self._covered.remember(dataset.name, load, finished, state)

    @override
    def constants(self, dataset: Dataset, finished: FinishedExport) -> Mapping[str, str | None]:
        """Return team and window, which are in no file."""
        spec = finished.pending.spec
        return {
            "team_id": spec.owner or None,
            "window_start": spec.start,
            "window_end": spec.end,
        }


def _without_rows(dataset: Dataset, finished: FinishedExport) -> str:
    files = ", ".join(f"'{file.name}'" for file in finished.files) or "none at all"
    return (
        f"is in none of the files of export {finished.export_id} ({files}): none has columns of "
        f"{cast('InsightsDataset', dataset).report}. Run again for a new export; if it happens "
        "again, the API has changed and a newer release of this tap is needed."
    )
