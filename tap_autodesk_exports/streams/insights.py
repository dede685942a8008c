"""Streams of Insights: teams, seats and usage of subscriptions.

Columns of SUBSCRIPTIONS and of the usage report are observed; those of USERS and USAGE come from
the documented column tables. Two generations of names are documented, snake_case and Title Case;
both map to the snake_case one. Types are inferred: the API documents none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from tap_autodesk_exports.errors import ConfigurationError, TapError
from tap_autodesk_exports.exports.export import ExportSpec
from tap_autodesk_exports.files.convert import as_csv
from tap_autodesk_exports.files.csv_dialect import read_header
from tap_autodesk_exports.settings import Api
from tap_autodesk_exports.streams.exported import ExportStream, Load
from tap_autodesk_exports.streams.lists import STRING, STRINGS, TIMESTAMP, ListStream, list_schema
from tap_autodesk_exports.streams.windows import Window, day_begin, month_begin, months
from tap_autodesk_exports.tables.layout import export_schema
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tap_autodesk_exports.exports.export import FinishedExport
    from tap_autodesk_exports.tap import TapAutodeskExports

REPORTING = "ReportingAPIAccess"
"""The benefit of a team that may be exported (inferred from the documented list)."""

ALIASES = {
    "team": "team_alias",
    "product": "offering_name",
    "feature": "product_name",
}
"""Names of the newer generation that differ in more than their case (the pairs are inferred)."""


def column_name(header: str) -> str:
    """Return the one name of a column for both documented spellings."""
    name = re.sub(r"[^0-9a-z]+", "_", header.strip().lower()).strip("_")
    return ALIASES.get(name, name)


class Contexts(ListStream):
    """The teams of the user."""

    api = Api.INSIGHTS
    name = "insights_contexts"
    primary_keys = ("contextId",)
    entry_schema = list_schema(contextId=STRING, alias=STRING, reportingBenefits=STRINGS)

    @override
    def entries(self) -> Iterable[Mapping[str, Any]]:
        return self.run.insights.contexts()


class Exports(ListStream):
    """The exports of the last two weeks, without their links."""

    api = Api.INSIGHTS
    name = "insights_exports"
    primary_keys = ("id",)
    entry_schema = list_schema(
        id=STRING,
        timestamp=TIMESTAMP,
        status=STRING,
        outputFormat=STRING,
        teamId=STRING,
        teamName=STRING,
        reports=STRINGS,
    )
    left_out = frozenset({"downloads"})

    @override
    def entries(self) -> Iterable[Mapping[str, Any]]:
        return self.run.insights.exports()


class InsightsExportStream(ExportStream):
    """A stream out of Insights exports: one export for each team, or one for all."""

    api = Api.INSIGHTS
    report: str
    columns: ClassVar[Mapping[str, Type]]
    constants: Sequence[str] = ("team_id",)
    rename = staticmethod(column_name)

    def __init__(self, tap: TapAutodeskExports) -> None:
        types = dict.fromkeys(self.constants, Type.STRING)
        for name in ("window_start", "window_end"):
            if name in types:
                types[name] = Type.TIMESTAMP
        super().__init__(tap, schema=export_schema(self.columns, types))

    @override
    def plan(self) -> list[Load]:
        return [
            Load(self._spec(team, window), {"team_id": team} if team else {})
            for team in self._teams()
            for window in self.windows({"team_id": team} if team else {})
        ]

    def windows(self, partition: Mapping[str, str]) -> list[Window | None]:  # noqa: ARG002
        """Return the date ranges to ask for; [None] for a report without dates."""
        return [None]

    def _teams(self) -> list[str]:
        """Return the teams to export; an empty ID stands for all of them in one export."""
        settings = self.run.settings
        if settings.insights_export_scope == "all_teams":
            return [""]
        if settings.insights_team_ids:
            return list(settings.insights_team_ids)
        contexts = self.run.insights_teams
        teams = [
            str(context["contextId"])
            for context in contexts
            if REPORTING in (context.get("reportingBenefits") or ())
        ]
        if not teams:
            msg = (
                f"Insights: none of the {len(contexts)} teams of this user has the benefit "
                f"'{REPORTING}', so there is nothing to export. Sign in as an admin of a team with "
                "a Business Success Plan, or leave 'insights' out of 'apis'."
            )
            raise ConfigurationError(msg)
        return teams

    def _spec(self, team: str, window: Window | None) -> ExportSpec:
        return ExportSpec(
            api=Api.INSIGHTS.value,
            owner=team,
            name=self.name,
            slot=window.slot if window else "",
            body=self.body(),
            **(window.dates if window else {}),
        )

    def body(self) -> dict[str, Any]:
        """Return the request body without team and dates."""
        return {
            "outputFormat": self.run.settings.insights_output_format,
            "reports": [self.report],
        }

    @override
    def fetch(self, finished: FinishedExport, folder: Path) -> Path | None:
        """Fetch the file that holds the report's rows.

        A usage report comes as two files, of which the first lists the filters (observed), so the
        right one is told by its header.
        """
        expected = set(self.columns)
        best: tuple[int, Path] | None = None
        for file in finished.files:
            if file.kind and file.kind != self.report:
                continue
            path = as_csv(
                self.run.fetch(finished, file, folder),
                folder,
                expected=expected,
                rename=column_name,
            )
            matches = len(expected & {column_name(name) for name in read_header(path).names})
            if best is None or matches > best[0]:
                best = (matches, path)
        if best is None or not best[0]:
            msg = (
                f"The {finished.pending.spec.title} ({finished.export_id}) has no file with "
                f"columns of {self.report}: {len(finished.files)} files came. Run again; if it "
                "stays so, the API has changed and a newer release of this tap is needed."
            )
            raise TapError(msg)
        return best[1]

    @override
    def constant_values(self, finished: FinishedExport) -> Mapping[str, str | None]:
        spec = finished.pending.spec
        return {
            "team_id": spec.owner or None,
            "window_start": spec.start,
            "window_end": spec.end,
        }


class Subscriptions(InsightsExportStream):
    """Subscriptions of the teams."""

    name = "insights_subscriptions"
    primary_keys = ("_row_id",)
    report = "SUBSCRIPTIONS"
    natural_key = (
        "team_id",
        "team_alias",
        "contract_number",
        "subscription_id",
        "offering_name",
        "start_date",
    )
    columns: ClassVar = {
        "team_alias": Type.STRING,
        "offering_name": Type.STRING,
        "contract_number": Type.STRING,
        "subscription_id": Type.STRING,
        "term": Type.STRING,
        "start_date": Type.TIMESTAMP,
        "end_date": Type.TIMESTAMP,
        "autorenew_date": Type.TIMESTAMP,
        "subscription_status": Type.STRING,
        "seat_quantity": Type.NUMBER,
        "reseller_email": Type.STRING,
        "reseller_name": Type.STRING,
    }


class Users(InsightsExportStream):
    """Users and what is assigned to them."""

    name = "insights_users"
    primary_keys = ("_row_id",)
    report = "USERS"
    natural_key = ("team_id", "team_alias", "autodesk_id", "email", "offering_name", "product_name")
    columns: ClassVar = {
        "autodesk_id": Type.STRING,
        "email": Type.STRING,
        "first_name": Type.STRING,
        "last_name": Type.STRING,
        "offering_name": Type.STRING,
        "product_name": Type.STRING,
        "role": Type.STRING,
        "team_alias": Type.STRING,
        "account_status": Type.STRING,
    }


class DatedInsightsStream(InsightsExportStream):
    """A stream in windows by calendar month."""

    is_dated = True

    def _period(self, partition: Mapping[str, str]) -> tuple[dt.datetime, dt.datetime]:
        """Return what to read: from the bookmark less the look-back, or from the start date."""
        run = self.run
        return run.settings.period(run.clock.now(), self.bookmark(partition), run.lookback)


class Usage(DatedInsightsStream):
    """Daily usage: a row for each user, product, version and day.

    The hashed ID and not the address tells users apart: addresses change.
    """

    name = "insights_usage"
    primary_keys = ("_row_id",)
    replication_key = "day_used"
    report = "USAGE"
    natural_key = (
        "team_id",
        "team_alias",
        "hashed_autodesk_id",
        "offering_name",
        "product_name",
        "version",
        "access_option",
        "day_used",
    )
    columns: ClassVar = {
        "day_used": Type.DATE,
        "team_alias": Type.STRING,
        "hashed_autodesk_id": Type.STRING,
        "autodesk_id": Type.STRING,
        "email": Type.STRING,
        "first_name": Type.STRING,
        "last_name": Type.STRING,
        "offering_name": Type.STRING,
        "product_name": Type.STRING,
        "version": Type.STRING,
        "access_option": Type.STRING,
        "usage_type": Type.STRING,
        "tokens_used": Type.NUMBER,
    }

    @override
    def windows(self, partition: Mapping[str, str]) -> list[Window | None]:
        start, end = self._period(partition)
        return list(months(day_begin(start), end))


class UsageReport(DatedInsightsStream):
    """Usage by user and product, added up over a calendar month.

    A month is always asked for from its first day; the present one up to now. A later run replaces
    the month's rows, so nothing that changes in a month is part of `_row_id`: not its end, not the
    list of versions. A user and an offering make a row (observed).
    """

    name = "insights_usage_report"
    primary_keys = ("_row_id",)
    replication_key = "window_end"
    report = "USAGE_REPORT"
    constants = ("team_id", "window_start", "window_end")
    natural_key = (
        "team_id",
        "team_alias",
        "window_start",
        "hashed_autodesk_id",
        "offering_name",
    )
    columns: ClassVar = {
        "hashed_autodesk_id": Type.STRING,
        "first_name": Type.STRING,
        "last_name": Type.STRING,
        "email": Type.STRING,
        "autodesk_id": Type.STRING,
        "team_alias": Type.STRING,
        "group": Type.STRING,
        "offering_name": Type.STRING,
        "version": Type.STRING,
        "seat_assignment": Type.STRING,
        "assigned_date": Type.TIMESTAMP,
        "unassigned_date": Type.TIMESTAMP,
        "user_activity": Type.STRING,
        "days_inactive": Type.NUMBER,
        "access_option": Type.STRING,
        "days_used": Type.NUMBER,
        "monthly_average": Type.NUMBER,
        "tokens_used": Type.NUMBER,
        "last_accessed": Type.DATE,
    }

    @override
    def windows(self, partition: Mapping[str, str]) -> list[Window | None]:
        start, end = self._period(partition)
        return list(months(month_begin(start), end))

    @override
    def body(self) -> dict[str, Any]:
        return super().body() | {
            "usageReports": ["USAGE_REPORT_BY_PRODUCT"],
            "filters": self.run.settings.insights_usage_report_filters,
        }


STREAMS = (Contexts, Exports, Subscriptions, Users, Usage, UsageReport)
