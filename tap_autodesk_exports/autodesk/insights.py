"""Insights API v1 (Business Success Plan Reporting), as documented.

Documented: the endpoints, the shape of an export object, POST answers 200, statuses SUBMITTED,
COMPLETED, ERROR and EXPIRED, links of "a few minutes". Observed: the header `ADSK-PAT` beside a
two-legged token. Not documented: when an export becomes EXPIRED (taken as: its files are gone),
and whether `endDate` is inclusive for USAGE, which is why windows end at the last millisecond.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.http import ApiClient, ApiContext, NotFound, pages
from tap_autodesk_exports.autodesk.shared import Freshness, SharedList
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

PAGE = 100
"""The documented default of `limit`; its maximum is not documented."""

LOOKS = Freshness(first=0.5, lists=40, later=2.0)
"""No limit of requests is documented; so many exports as are under way are no reason for more."""

STATUSES = {
    "SUBMITTED": Status.PENDING,
    "COMPLETED": Status.READY,
    "ERROR": Status.FAILED,
    "EXPIRED": Status.GONE,
}

CAUSES_OF_403 = (
    (
        "the user who signed in is no primary or secondary admin of a team with a Business Success "
        "Plan"
    ),
    "the team lacks the benefit 'ReportingAPIAccess': see stream 'insights_contexts'",
    "the app does not offer the API, or the token lacks the scopes data:read and data:write",
)


class Insights:
    """The endpoints that this tap calls."""

    def __init__(self, context: ApiContext) -> None:
        self.clock = context.clock
        self.http = ApiClient(
            api=Api.INSIGHTS,
            title="Insights",
            path="/insights/v1",
            causes_of_403=CAUSES_OF_403,
            limits=(),
            context=context,
        )

    def contexts(self) -> list[dict[str, Any]]:
        """GET /contexts: the teams of the user, with and without reporting access."""
        return list(self.http.get("/contexts"))

    def exports(self, team_id: str | None = None) -> list[dict[str, Any]]:
        """GET /exports: the exports of the last two weeks."""
        only = {"teamId": team_id} if team_id else {}
        return pages(
            lambda offset, limit: self.http.get(
                "/exports", {**only, "offset": offset, "limit": limit}
            ),
            "exports",
            PAGE,
        )

    def newest_exports(self) -> list[dict[str, Any]]:
        """GET /exports: one page, of all teams; the newest come first in the documented example."""
        page = self.http.get("/exports", {"offset": 0, "limit": PAGE})
        return list(page.get("exports") or ())

    def export(self, export_id: str) -> dict[str, Any]:
        """GET /exports/:exportId: one export, with fresh links once it is COMPLETED."""
        found: dict[str, Any] = self.http.get(f"/exports/{export_id}")
        return found

    def create_export(self, body: dict[str, Any]) -> dict[str, Any]:
        """POST /exports."""
        # The language decides how a workbook's sheets are named, and nothing else.
        created: dict[str, Any] = self.http.post(
            "/exports", body, headers={"Accept-Language": "en-US"}
        )
        return created


class InsightsExports:
    """Insights as an `ExportService`. An export's owner is a team ID, or empty for all teams."""

    name = Api.INSIGHTS.value
    attempts = 3
    longest_pause = 30.0

    def __init__(self, insights: Insights) -> None:
        self._insights = insights
        self._exports = SharedList(lambda _: insights.newest_exports(), LOOKS, insights.clock)

    def mark(self, spec: ExportSpec) -> list[str]:
        """Note the IDs of the exports that look like this one, because dates are not echoed."""
        return [
            export["id"]
            for export in self._insights.exports(spec.owner or None)
            if _looks_like(export, spec)
        ]

    def submit(self, pending: PendingExport) -> str:
        """POST the export."""
        spec = pending.spec
        body = dict(spec.body)
        if spec.owner:
            body["teamId"] = spec.owner
        if spec.start and spec.end:
            body |= {"startDate": _millisecond(spec.start), "endDate": _last_of(spec.end)}
        return str(self._insights.create_export(body)["id"])

    def find_lost(self, pending: PendingExport, known: Sequence[str]) -> str | None:
        """Return the one export that looks like this one and was not there before."""
        not_it = {*known, *(pending.mark or ())}
        found = [
            export["id"]
            for export in self._insights.exports(pending.spec.owner or None)
            if _looks_like(export, pending.spec) and export["id"] not in not_it
        ]
        # Two that look alike may differ in their dates: then neither is taken.
        return found[0] if len(found) == 1 else None

    def find_running(self, spec: ExportSpec, known: Sequence[str]) -> PendingExport | None:
        """Return an export that is being made and looks like this one.

        Only of a report without dates: dates are not echoed, so that one cannot be told.
        """
        if spec.start:
            return None
        for export in self._insights.exports(spec.owner or None):
            asked_at = instant(export.get("timestamp"))
            if (
                asked_at
                and _looks_like(export, spec)
                and STATUSES.get(str(export.get("status"))) is Status.PENDING
                and export["id"] not in known
            ):
                return PendingExport(spec, canonical(asked_at), id=str(export["id"]))
        return None

    def poll(self, pending: PendingExport) -> ExportStatus:
        """GET the export, or the list that tells of it."""
        export_id = str(pending.id)
        try:
            export = self._listed(export_id) or self._insights.export(export_id)
        except NotFound:
            return ExportStatus(Status.GONE, "unknown to the server", export_id)
        said = str(export.get("status"))
        status = status_of(said, STATUSES, pending)
        files = tuple(
            _file(number, download) for number, download in enumerate(export.get("downloads") or ())
        )
        return ExportStatus(status, said, export_id, export.get("timestamp"), files)

    def _listed(self, export_id: str) -> dict[str, Any] | None:
        """Return what the list tells of an export, unless its files are there."""
        export = self._exports.listed("", "id", export_id)
        # That the list tells the files as well is not documented.
        ready = export and STATUSES.get(str(export.get("status"))) is Status.READY
        return None if ready else export

    def retry(self, pending: PendingExport) -> bool:  # noqa: ARG002
        """Insights cannot make an export again under its ID."""
        return False

    def covers(self, pending: ExportSpec, wanted: ExportSpec) -> bool:
        """Tell whether both ask for the same reports with the same filters."""
        return pending.body == wanted.body

    def signed_link(self, finished: FinishedExport, file: ExportFile) -> str:
        """GET the export once more: each answer holds new links."""
        export = self._insights.export(finished.export_id)
        number = int(file.name.rpartition("-")[2])
        return str(export["downloads"][number]["downloadURL"])


def _file(number: int, download: dict[str, Any]) -> ExportFile:
    """Return a file; the API gives no names, so it is told by what is inside and its place."""
    kind = str(download.get("type") or "")
    return ExportFile(name=f"{kind}-{number}", kind=kind)


def _looks_like(export: dict[str, Any], spec: ExportSpec) -> bool:
    return (
        sorted(export.get("reports") or ()) == sorted(spec.body["reports"])
        and export.get("outputFormat") == spec.body["outputFormat"]
        and (export.get("teamId") or "") == spec.owner
    )


def _millisecond(canonical: str) -> str:
    """Return a canonical instant as the API's examples write it: `2024-09-01T00:00:00.000Z`."""
    return canonical[:23] + "Z"


def _last_of(canonical_end: str) -> str:
    """Return the last millisecond before an exclusive end."""
    end = dt.datetime.fromisoformat(canonical_end) - dt.timedelta(milliseconds=1)
    return _millisecond(end.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
