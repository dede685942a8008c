"""Insights as an `ExportService`: how an export is requested, found, polled and fetched.

Not documented: when an export becomes EXPIRED (taken as: its files are gone), and whether `endDate`
is inclusive for USAGE, which is why windows end at the last millisecond.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.answers import read_each
from tap_autodesk_exports.autodesk.http import NotFound
from tap_autodesk_exports.autodesk.insights.client import Export
from tap_autodesk_exports.autodesk.shared_list import Freshness, SharedList
from tap_autodesk_exports.clock import canonical, instant
from tap_autodesk_exports.exports.export import (
    ExportFile,
    ExportSpec,
    ExportStatus,
    FinishedExport,
    PendingExport,
    Status,
    status_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_autodesk_exports.autodesk.insights.client import Insights

POLLS = Freshness(first=0.5, lists=40, later=2.0)
"""No rate limit is documented; that many exports are running is no reason for more requests."""

STATUSES = {
    "SUBMITTED": Status.PENDING,
    "COMPLETED": Status.READY,
    "ERROR": Status.FAILED,
    "EXPIRED": Status.GONE,
}


class InsightsService:
    """Insights as an `ExportService`. An export's owner is a team ID, or empty for all teams."""

    name = Api.INSIGHTS.value
    attempts = 3
    longest_pause = 30.0

    def __init__(self, insights: Insights) -> None:
        self._insights = insights
        self._listed = SharedList(lambda _: insights.newest_exports(), POLLS, insights.clock)

    def mark(self, spec: ExportSpec) -> list[str]:
        """Note the IDs of the exports that look like this one, because dates are not echoed."""
        return [export.export_id for export in self._like(spec)]

    def submit(self, pending: PendingExport) -> str:
        """POST the export."""
        spec = pending.spec
        body = dict(spec.body)
        if spec.owner:
            body["teamId"] = spec.owner
        if spec.start and spec.end:
            body |= {"startDate": _millisecond(spec.start), "endDate": _last_of(spec.end)}
        return self._insights.create_export(body).export_id

    def find_lost(self, pending: PendingExport, known: Sequence[str]) -> str | None:
        """Return the one export that looks like this one and was not there before."""
        not_it = {*known, *(pending.mark or ())}
        found = [
            each.export_id for each in self._like(pending.spec) if each.export_id not in not_it
        ]
        # Two that look alike may differ in their dates: then neither is used.
        return found[0] if len(found) == 1 else None

    def find_running(self, spec: ExportSpec, known: Sequence[str]) -> PendingExport | None:
        """Return an export that is running and looks like this one.

        Only of a report without dates: dates are not echoed, so others cannot be recognised.
        """
        if spec.start:
            return None
        for export in self._like(spec):
            asked_at = instant(export.timestamp)
            running = STATUSES.get(export.status) is Status.PENDING
            if asked_at and running and export.export_id not in known:
                return PendingExport(spec, canonical(asked_at), id=export.export_id)
        return None

    def _like(self, spec: ExportSpec) -> list[Export]:
        """Return the exports of the server that look like one that is wanted."""
        exports = read_each(self._insights.exports(spec.owner or None), Export.read)
        return [export for export in exports.items if _looks_like(export, spec)]

    def poll(self, pending: PendingExport) -> ExportStatus:
        """GET the export, or the list that shows it."""
        export_id = str(pending.id)
        try:
            export = self._from_list(export_id) or self._insights.export(export_id)
        except NotFound:
            return ExportStatus(Status.GONE, "unknown to the server", export_id)
        state = status_of(export.status, STATUSES, pending)
        files = tuple(
            ExportFile(name=f"{download.kind}-{number}", kind=download.kind)
            for number, download in enumerate(export.downloads)
        )
        return ExportStatus(state, export.status, export_id, export.timestamp, files)

    def _from_list(self, export_id: str) -> Export | None:
        """Return what the list shows of an export, unless its files are there."""
        entry = self._listed.listed("", "id", export_id)
        export = Export.read(entry) if entry else None
        # That the list shows the files as well is not documented.
        ready = export and STATUSES.get(export.status) is Status.READY
        return None if ready else export

    def retry(self, pending: PendingExport) -> bool:  # noqa: ARG002
        """Insights cannot make an export again under its ID."""
        return False

    def covers(self, pending: ExportSpec, wanted: ExportSpec) -> bool:
        """Tell whether both ask for the same reports with the same filters."""
        return pending.body == wanted.body

    def signed_link(self, finished: FinishedExport, file: ExportFile) -> str:
        """GET the export again: each answer holds new links."""
        export = self._insights.export(finished.export_id)
        return export.link(int(file.name.rpartition("-")[2]))


def _looks_like(export: Export, spec: ExportSpec) -> bool:
    return (
        sorted(export.reports) == sorted(spec.body["reports"])
        and export.output_format == spec.body["outputFormat"]
        and export.team_id == spec.owner
    )


def _millisecond(canonical: str) -> str:
    """Return a canonical instant as the API's examples write it: `2024-09-01T00:00:00.000Z`."""
    return canonical[:23] + "Z"


def _last_of(canonical_end: str) -> str:
    """Return the last millisecond before an exclusive end."""
    end = dt.datetime.fromisoformat(canonical_end) - dt.timedelta(milliseconds=1)
    return _millisecond(end.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
