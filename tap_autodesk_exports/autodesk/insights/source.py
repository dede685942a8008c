"""Insights in a run: which teams and months to request, and which file holds a report's rows."""

from __future__ import annotations

import datetime as dt
import functools
from typing import TYPE_CHECKING, Any, cast

from typing_extensions import override

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.answers import Answers, read_each
from tap_autodesk_exports.autodesk.insights.client import REPORTING, Insights, Team
from tap_autodesk_exports.autodesk.insights.service import InsightsService
from tap_autodesk_exports.errors import ConfigurationError, TapError
from tap_autodesk_exports.exports.export import ExportSpec
from tap_autodesk_exports.files.convert import as_csv
from tap_autodesk_exports.files.csv_dialect import read_header
from tap_autodesk_exports.loading.dataset import Load, Source
from tap_autodesk_exports.loading.windows import Window, day_start, month_start, months

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tap_autodesk_exports.autodesk.context import RunContext
    from tap_autodesk_exports.autodesk.insights.datasets import InsightsDataset
    from tap_autodesk_exports.exports.export import FinishedExport
    from tap_autodesk_exports.loading.bookmarks import Bookmarks
    from tap_autodesk_exports.loading.dataset import Dataset, Selected


class InsightsSource(Source):
    """Insights as a `Source`: an export for each team, or one for all."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._settings = context.settings
        self.client = Insights(context.api)
        self.service = InsightsService(self.client)

    @functools.cached_property
    def contexts(self) -> list[Any]:
        """The teams of the user as the API answers them, requested once in a run."""
        return self.client.contexts()

    # Planned

    @override
    def plan(self, selected: Sequence[Selected]) -> Mapping[str, list[Load] | TapError]:
        """Name the exports of each dataset, team by team."""
        teams = self._teams()
        return {each.name: list(self._loads(each, teams)) for each in selected}

    def _teams(self) -> Answers[str]:
        """Return the teams to export; an empty ID stands for all of them in one export.

        Raises:
            ConfigurationError: There is none.
        """
        if self._settings.insights_export_scope == "all_teams":
            return Answers(("",))
        if self._settings.insights_team_ids:
            return Answers(tuple(self._settings.insights_team_ids))
        teams = read_each(self.contexts, Team.read)
        reporting = tuple(team.team_id for team in teams.items if team.is_reporting)
        if not reporting and not teams.unreadable:
            msg = (
                f"Insights: none of the {len(teams.items)} teams of this user has the benefit "
                f"'{REPORTING}', so there is nothing to export. Sign in as an admin of a team with "
                "a Business Success Plan, or leave 'insights' out of 'apis'."
            )
            raise ConfigurationError(msg)
        return Answers(reporting, teams.unreadable)

    def _loads(self, selected: Selected, teams: Answers[str]) -> Iterator[Load]:
        dataset = cast("InsightsDataset", selected.dataset)
        for team in teams.items:
            partition = {"team_id": team} if team else {}
            for window in self._windows(dataset, selected.bookmarks, partition):
                yield Load(self._spec(dataset, team, window), partition)
        for number, error in enumerate(teams.unreadable):
            spec = ExportSpec(Api.INSIGHTS.value, f"unreadable {number}", dataset.name)
            yield Load(spec, {"team_id": spec.owner}, error)

    def _windows(
        self, dataset: InsightsDataset, bookmarks: Bookmarks, partition: Mapping[str, str]
    ) -> list[Window | None]:
        """Return the calendar months to request; [None] for a report without dates.

        From the bookmark less the look-back, or from the start date.
        """
        if not dataset.is_dated:
            return [None]
        lookback = dt.timedelta(days=self._settings.lookback_days)
        now = self._context.earlier.now()
        start, end = self._settings.period(now, bookmarks.position(partition), lookback)
        first = month_start(start) if dataset.is_aggregated else day_start(start)
        return list(months(first, end))

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
        """Fetch the file that holds the report's rows.

        A usage report comes as two files, of which the first lists the filters (observed), so the
        right one is recognised by its header.
        """
        report = cast("InsightsDataset", dataset).report
        expected = set(dataset.columns)
        best: tuple[int, Path] | None = None
        for file in finished.files:
            if file.kind and file.kind != report:
                continue
            path = as_csv(
                self._context.downloader.fetch(self.service, finished, file, folder),
                folder,
                json=self._settings.insights_output_format == "JSON",
                expected=expected,
                rename=dataset.rename,
            )
            matches = len(expected & {dataset.rename(name) for name in read_header(path).names})
            if best is None or matches > best[0]:
                best = (matches, path)
        if best is None or not best[0]:
            msg = (
                f"The {finished.pending.spec.title} ({finished.export_id}) has no file with "
                f"columns of {report}: {len(finished.files)} files came. Run again; if it happens "
                "again, the API has changed and a newer release of this tap is needed."
            )
            raise TapError(msg)
        return best[1]

    @override
    def constants(self, dataset: Dataset, finished: FinishedExport) -> Mapping[str, str | None]:
        """Return team and window, which are in no file."""
        spec = finished.pending.spec
        return {
            "team_id": spec.owner or None,
            "window_start": spec.start,
            "window_end": spec.end,
        }
