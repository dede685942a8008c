"""The Insights API (Business Success Plan Reporting), version 1, as documented.

Assumed: links last 5 minutes ("a few minutes" documented), JSON files are arrays of objects, an
EXCEL export is one download of the type of its first report, 400 and 403 carry `developerMessage`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import shutil
import threading
import uuid
from typing import TYPE_CHECKING, Any, NoReturn

import flask

from tap_autodesk_exports.sandbox.clock import instant, iso
from tap_autodesk_exports.sandbox.data.reports import COLUMNS, Reports, Scope
from tap_autodesk_exports.sandbox.insights.behaviour import InsightsBehaviour
from tap_autodesk_exports.sandbox.insights.export import Export
from tap_autodesk_exports.sandbox.insights.files import CONTENT_TYPES, write
from tap_autodesk_exports.sandbox.paging import cut
from tap_autodesk_exports.sandbox.record import Posted
from tap_autodesk_exports.sandbox.timeline import Files, Outcome, Phase

if TYPE_CHECKING:
    from pathlib import Path

    from tap_autodesk_exports.sandbox.data.world import Team
    from tap_autodesk_exports.sandbox.services import Services
    from tap_autodesk_exports.sandbox.storage import StoredFile

LINK_SECONDS = 300
MAX_REPORT_DAYS = 365
DEFAULT_LIMIT = 100
FILTERS = frozenset(
    {"groupId", "productLineCode", "source", "assigned", "userStatus", "userId", "versionId"}
)
STATUSES = {
    Outcome.SUCCESS: "COMPLETED",
    Outcome.EXPIRED: "EXPIRED",
    Outcome.UNKNOWN_STATUS: "ARCHIVING",
}


class Insights(InsightsBehaviour):
    """The API's state and its routes below `/insights/v1`."""

    def __init__(self, services: Services, folder: Path) -> None:
        super().__init__()
        self._services = services
        self._folder = folder
        self._lock = threading.Lock()
        self._exports: dict[str, Export] = {}
        self._reports = Reports(services.world, services.names)
        self.blueprint = self._routes()

    def _routes(self) -> flask.Blueprint:
        blueprint = flask.Blueprint("insights", __name__, url_prefix="/insights/v1")
        read, write_scope = "data:read", "data:write"
        for rule, name, view, method, scope in (
            ("/contexts", "contexts", self._contexts, "GET", read),
            ("/exports", "submit", self._submit, "POST", write_scope),
            ("/exports", "list", self._list, "GET", read),
            ("/exports/<export_id>", "export", self._get, "GET", read),
        ):
            guarded = self._services.guarded(view, scope)
            blueprint.add_url_rule(rule, name, guarded, methods=[method])
        return blueprint

    def _contexts(self) -> flask.Response:
        teams = self._services.world.teams
        self._services.record.add_list("insights", "contexts", len(teams))
        return flask.jsonify(
            [
                {
                    "contextId": team.id,
                    "alias": self._services.names.team(team),
                    "reportingBenefits": list(team.benefits),
                }
                for team in teams
            ]
        )

    def _submit(self) -> flask.Response:
        body = flask.request.get_json(silent=True)
        if not isinstance(body, dict):
            _refuse(400, "The request body is not a JSON object.")
        _check(body)
        now = self._services.clock.now()
        export = Export(
            id=str(uuid.uuid4()),
            body=body,
            teams=self._teams(body.get("teamId")),
            language=flask.request.headers.get("Accept-Language", "en"),
            timeline=self._services.timeline("insights"),
        )
        with self._lock:
            self._exports[export.id] = export
        self._services.record.add(Posted("insights", export.id, body.get("teamId"), body, now))
        return flask.jsonify(self._shape(export))

    def _teams(self, team_id: str | None) -> list[Team]:
        teams = [team for team in self._services.world.teams if team.reports]
        if team_id is None:
            return teams
        chosen = [team for team in teams if team.id == team_id]
        if not chosen:
            _refuse(403, "The user has no access to the reporting of this team.")
        return chosen

    def _kept(self) -> list[Export]:
        """Return the exports that are not deleted yet, newest first."""
        oldest = self._services.clock.now() - dt.timedelta(days=self.kept_days)
        with self._lock:
            exports = list(self._exports.values())
        return [export for export in reversed(exports) if export.timeline.created >= oldest]

    def _list(self) -> flask.Response:
        arguments = flask.request.args
        team = arguments.get("teamId")
        shown = self._services.clock.now() - dt.timedelta(seconds=self.listed_after)
        found = [
            self._shape(export)
            for export in self._kept()
            if export.timeline.created <= shown and team in {None, export.body.get("teamId")}
        ]
        offset = max(0, arguments.get("offset", 0, type=int))
        limit = max(1, arguments.get("limit", DEFAULT_LIMIT, type=int))
        page, total = cut(found, offset, limit, self.paging)
        endpoint = "exports" if team is None else "exports of a team"
        if offset == 0:
            self._services.record.add_list("insights", endpoint, len(found))
        pagination = {"offset": offset, "limit": limit, "totalResults": total}
        return flask.jsonify({"exports": page, "pagination": pagination})

    def _get(self, export_id: str) -> flask.Response:
        found = [export for export in self._kept() if export.id == export_id]
        if not found:
            _refuse(404, "The export does not exist.")
        if status := found[0].timeline.flaws.id_status:
            _refuse(status, "The export cannot be read.")
        with self._lock:
            found[0].looks += found[0].timeline.succeeded(self._services.clock.now())
        return flask.jsonify(self._shape(found[0]))

    def _shape(self, export: Export) -> dict[str, Any]:
        """Return the documented object; dates and filters are not echoed."""
        now = self._services.clock.now()
        ended = export.timeline.phase(now) is Phase.ENDED
        status = STATUSES.get(export.timeline.outcome, "ERROR") if ended else "SUBMITTED"
        team_id = export.body.get("teamId")
        links: list[dict[str, str]] | None = []
        if export.timeline.succeeded(now):
            links = self._links(export)
        return {
            "id": export.id,
            "timestamp": iso(export.timeline.created, "seconds"),
            "downloads": links,
            "status": status,
            "outputFormat": export.body["outputFormat"],
            "teamId": team_id,
            "teamName": self._services.names.team(export.teams[0]) if team_id else None,
            "reports": export.body["reports"],
        }

    def _links(self, export: Export) -> list[dict[str, str]] | None:
        match export.timeline.flaws.files:
            case Files.NONE:
                return []
            case Files.NULL:
                return None
        with self._lock:
            if export.files is None:
                export.files = self._make(export)
            files = list(export.files)
        if self.downloads == "moved":
            files = [(report, _moved(file, export.looks)) for report, file in files]
        if self.downloads in {"other_order", "moved"} and export.looks % 2 == 0:
            files.reverse()
        elif self.downloads == "late" and export.looks <= 1:
            files = files[:1]
        return [
            {"type": report, "downloadURL": self._services.storage.link(file, LINK_SECONDS)}
            for report, file in files
        ]

    def _make(self, export: Export) -> list[tuple[str, StoredFile]]:
        """Write the files, with the data known when the export ended."""
        body = export.body
        scope = Scope(
            teams=export.teams,
            now=export.timeline.ended,
            period=_period(body),
            filters=body.get("filters") or {},
            mixed_access=self.mixed_access,
            token_rows=not self.token_rows_until
            or export.timeline.ended < instant(self.token_rows_until),
        )
        tables = {report: list(self._reports.lines(report, scope)) for report in body["reports"]}
        folder = self._folder / export.id
        folder.mkdir(parents=True, exist_ok=True)
        return write(export, tables, folder, self._services.names, self)


def _moved(file: StoredFile, looks: int) -> StoredFile:
    """Return a file at another place for each look."""
    path = file.path.with_name(f"{looks}-{file.path.name}")
    shutil.copyfile(file.path, path)
    return dataclasses.replace(file, path=path)


def _refuse(status: int, message: str) -> NoReturn:
    """Answer the current request with an error."""
    response = flask.jsonify({"developerMessage": message})
    response.status_code = status
    flask.abort(response)


def _check(body: dict[str, Any]) -> None:
    reports = body.get("reports")
    if body.get("outputFormat") not in CONTENT_TYPES:
        _refuse(400, "outputFormat must be one of CSV, EXCEL, JSON.")
    if not isinstance(reports, list) or not reports or not set(reports) <= set(COLUMNS):
        _refuse(400, f"reports must be an array of {', '.join(COLUMNS)}.")
    if {"USAGE", "USAGE_REPORT"} & set(reports):
        _check_dates(body, reports)
    if "USAGE_REPORT" in reports and body.get("usageReports") != ["USAGE_REPORT_BY_PRODUCT"]:
        _refuse(400, "usageReports must be [USAGE_REPORT_BY_PRODUCT].")
    filters = body.get("filters") or {}
    if not isinstance(filters, dict) or not set(filters) <= FILTERS:
        _refuse(400, f"filters must be an object of {', '.join(sorted(FILTERS))}.")


def _check_dates(body: dict[str, Any], reports: list[str]) -> None:
    try:
        start, end = instant(body["startDate"]), instant(body["endDate"])
    except (KeyError, TypeError, ValueError):
        _refuse(400, "startDate and endDate are required for usage.")
    if end < start:
        _refuse(400, "endDate is before startDate.")
    if "USAGE_REPORT" in reports and (end - start).days > MAX_REPORT_DAYS:
        _refuse(400, "startDate and endDate should be within 1 year (365 days).")


def _period(body: dict[str, Any]) -> tuple[dt.datetime, dt.datetime] | None:
    if not {"USAGE", "USAGE_REPORT"} & set(body["reports"]):
        return None
    return instant(body["startDate"]), instant(body["endDate"])
