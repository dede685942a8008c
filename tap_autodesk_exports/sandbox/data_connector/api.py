"""The Data Connector API, version 1, as documented.

Documented: no job for a moment after a request; `queued`, `running`, `complete`, and only then a
completion status; a bare array as data listing, 404 without a successful job; links that must be
followed within 60 s; 24 jobs in 24 hours for an account, and as many for a user; extracts kept for
30 days. Assumed: the wording of errors, 403 for an account that the user cannot see, and that
undocumented service groups pass.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import threading
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn

import flask

from tap_autodesk_exports.sandbox.clock import instant, iso
from tap_autodesk_exports.sandbox.credentials import USER_ID
from tap_autodesk_exports.sandbox.data import registry
from tap_autodesk_exports.sandbox.data.rows import Snapshot
from tap_autodesk_exports.sandbox.data.tables import Tables
from tap_autodesk_exports.sandbox.data_connector import documents, extract, ranges
from tap_autodesk_exports.sandbox.data_connector.behaviour import DataConnectorBehaviour
from tap_autodesk_exports.sandbox.data_connector.jobs import Job, Request, shape_job, shape_request
from tap_autodesk_exports.sandbox.data_connector.quota import DAY, Jobs
from tap_autodesk_exports.sandbox.record import Posted
from tap_autodesk_exports.sandbox.timeline import Files, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tap_autodesk_exports.sandbox.data.registry import Table
    from tap_autodesk_exports.sandbox.data.world import World
    from tap_autodesk_exports.sandbox.services import Services

LINK_SECONDS = 60
MAX_PROJECTS = 50
INTERVALS = {"DAY": DAY, "WEEK": 7 * DAY, "MONTH": 30 * DAY, "YEAR": 365 * DAY}
"""Schedules; a month and a year are taken as 30 and 365 days here."""
CHANGEABLE = frozenset(
    {"description", "isActive", "sendEmail", "scheduleInterval", "reoccuringInterval",
     "effectiveFrom", "effectiveTo", "serviceGroups", "projectIdList", "callbackUrl", "startDate",
     "endDate"}
)  # fmt: skip


class DataConnector(DataConnectorBehaviour):
    """The API's state and its routes below `/data-connector/v1`.

    Args:
        services: What all APIs share.
        folder: Where files are kept.
        source: A folder of real CSV files to serve instead of made-up ones.
        worlds: The accounts, each with its own world.

    Attributes:
        tables: The tables of each account, by its ID.
    """

    def __init__(
        self, services: Services, folder: Path, source: Path | None, worlds: Iterable[World]
    ) -> None:
        super().__init__()
        self._services = services
        self._worlds = {world.account_id: world for world in worlds}
        self._folder = folder
        self._source = source
        self._lock = threading.RLock()
        self._requests: dict[str, Request] = {}
        self._created = Jobs()
        self.change_schema(registry.load())
        self.blueprint = self._routes()

    def change_schema(self, tables: Mapping[str, Table]) -> None:
        """Make future extracts and `/doc/schema` show these tables and columns."""
        self.registry = tables
        self.tables = {account: Tables(world, tables) for account, world in self._worlds.items()}

    def _routes(self) -> flask.Blueprint:
        blueprint = flask.Blueprint("data_connector", __name__, url_prefix="/data-connector/v1")
        read, write, create = "data:read", "data:write", "data:create"
        account = "/accounts/<account>"
        request, job = f"{account}/requests/<request_id>", f"{account}/jobs/<job_id>"
        for rule, name, view, method, scope in (
            (f"{account}/requests", "submit", self._submit, "POST", create),
            (f"{account}/requests", "requests", self._list_requests, "GET", read),
            (request, "request", self._get_request, "GET", read),
            (request, "change", self._change, "PATCH", write),
            (request, "delete", self._delete, "DELETE", write),
            (f"{request}/jobs", "request_jobs", self._request_jobs, "GET", read),
            (f"{account}/jobs", "jobs", self._list_jobs, "GET", read),
            (job, "job", self._get_job, "GET", write),
            (job, "cancel", self._cancel, "DELETE", write),
            (f"{job}/data-listing", "listing", self._listing, "GET", read),
            (f"{job}/data/<path:name>", "link", self._link, "GET", read),
        ):
            guarded = self._services.guarded(view, scope)
            blueprint.add_url_rule(rule, name, guarded, methods=[method])
        documents.Documents(lambda: self.registry, self).add_to(blueprint)
        return blueprint

    # Requests.

    def _submit(self, account: str) -> flask.Response:
        self._check_account(account)
        body = flask.request.get_json(silent=True)
        if not isinstance(body, dict):
            _refuse(400, "The request body is not a JSON object.")
        now = self._services.clock.now()
        request = self._read(account, body, now)
        with self._lock:
            if request.next_job is not None and not self._have_room(account, now):
                _refuse(429, "Quota limit exceeded.")
            self._requests[request.id] = request
            self._spawn(now)
        self._services.record.add(Posted("data_connector", request.id, account, body, now))
        return _created(shape_request(request, self.project_lists))

    def add_extract(
        self,
        body: Mapping[str, Any],
        *,
        account: str | None = None,
        created: dt.datetime | None = None,
        request: Mapping[str, Any] | None = None,
        job: Mapping[str, Any] | None = None,
    ) -> tuple[str, str]:
        """Add an extract that was not requested here, such as one made in the product.

        Args:
            body: What a request for it would have posted.
            account: The account; the first one by default.
            created: When it was made; now by default.
            request: Fields that the request shows instead of its own.
            job: Fields that the job shows instead of its own.

        Returns:
            The IDs of the request and of its job.
        """
        now = created or self._services.clock.now()
        made = Request(
            id=str(uuid.uuid4()),
            account=account or next(iter(self._worlds)),
            body={"effectiveFrom": iso(now), "serviceGroups": ["all"], **body},
            groups=self._covered_groups(body.get("serviceGroups") or ["all"]),
            projects=list(body.get("projectIdList") or []),
            created=now,
            updated=now,
            next_job=None,
            shown=dict(request or {}),
        )
        if made.is_legacy:
            made.projects = [body["projectId"]]
        timeline = dataclasses.replace(self._services.timeline("data_connector"), created=now)
        period = ranges.asked(made.body, now)
        made.jobs.append(Job(str(uuid.uuid4()), made, timeline, period, shown=dict(job or {})))
        with self._lock:
            self._requests[made.id] = made
            self._created.add(now, made.account, USER_ID)
        return made.id, made.jobs[0].id

    def _covered_groups(self, given: list[str]) -> tuple[str, ...]:
        """Return the groups that a request delivers; `all` means every group but changes."""
        if given != ["all"]:
            return tuple(given)
        known = dict.fromkeys(table.group for table in self.registry.values())
        return tuple(group for group in known if not group.startswith("cdc"))

    def _read(self, account: str, body: dict[str, Any], now: dt.datetime) -> Request:
        interval = body.get("scheduleInterval", "ONE_TIME")
        if interval != "ONE_TIME" and (interval not in INTERVALS or not body.get("effectiveTo")):
            _refuse(400, "Bad scheduleInterval, or a schedule without effectiveTo.")
        if interval != "ONE_TIME" and not body.get("reoccuringInterval"):
            _refuse(400, "reoccuringInterval is required for a schedule.")
        try:
            begin = instant(body["effectiveFrom"])
            ranges.asked(body, now)
        except (KeyError, TypeError, ValueError) as error:
            _refuse(400, f"Bad date: {error}")
        return Request(
            id=str(uuid.uuid4()),
            account=account,
            body=body,
            groups=self._groups(body.get("serviceGroups")),
            projects=self._projects(account, body),
            created=now,
            updated=now,
            next_job=max(begin, now) if body.get("isActive", True) else None,
        )

    def _groups(self, given: Any) -> tuple[str, ...]:  # noqa: ANN401
        known = tuple(dict.fromkeys(table.group for table in self.registry.values()))
        if not isinstance(given, list) or not given or not set(given) <= {*known, "all"}:
            _refuse(400, "Bad service groups")
        if "all" in given and given != ["all"]:
            _refuse(400, "Bad service groups")
        return self._covered_groups(given)

    def _projects(self, account: str, body: dict[str, Any]) -> list[str]:
        """Return the projects of a request, in whichever form they come; empty: all."""
        given = body.get("projectIdList") or []
        if isinstance(given, str):
            try:
                given = json.loads(given)
            except ValueError:
                _refuse(400, "Bad projectIdList")
        if not given and body.get("projectId"):
            given = [body["projectId"]]
        known = {project.id for project in self._worlds[account].projects}
        if len(given) > MAX_PROJECTS:
            _refuse(400, f"projectIdList holds more than {MAX_PROJECTS} projects.")
        if self._source is None and not set(given) <= known:
            _refuse(403, "The user is no administrator of these projects.")
        if body.get("projectStatus", "all") not in {"all", "active", "archived"}:
            _refuse(400, "Bad projectStatus")
        return list(given)

    def _have_room(self, account: str, now: dt.datetime) -> bool:
        """Tell whether account and user may have one more job."""
        quotas = {account: self.jobs_per_day, USER_ID: self.jobs_per_user}
        return self._created.have_room(now, quotas)

    def _spawn(self, now: dt.datetime) -> None:
        """Start the jobs that are due; a schedule waits while the day's quota is used up."""
        for request in self._requests.values():
            while request.next_job is not None and request.next_job <= now:
                if not self._have_room(request.account, now):
                    break
                timeline = dataclasses.replace(
                    self._services.timeline("data_connector"), created=request.next_job
                )
                period = ranges.asked(request.body, request.next_job)
                request.jobs.append(Job(str(uuid.uuid4()), request, timeline, period))
                self._created.add(request.next_job, request.account, USER_ID)
                request.next_job = self._after(request)

    @staticmethod
    def _after(request: Request) -> dt.datetime | None:
        interval = INTERVALS.get(request.body.get("scheduleInterval", "ONE_TIME"))
        if interval is None or request.next_job is None:
            return None
        following = request.next_job + interval * abs(int(request.body["reoccuringInterval"]))
        return following if following <= instant(request.body["effectiveTo"]) else None

    def _request(self, account: str, request_id: str) -> Request:
        self._check_account(account)
        with self._lock:
            self._spawn(self._services.clock.now())
            request = self._requests.get(request_id)
        if request is None or request.account != account:
            _refuse(404, "The requested resource does not exist.")
        if status := next((job.timeline.flaws.id_status for job in request.jobs), 0):
            _refuse(status, "The request cannot be read.")
        return request

    def _list_requests(self, account: str) -> flask.Response:
        self._check_account(account)
        with self._lock:
            self._spawn(self._services.clock.now())
            shown = self._services.clock.now() - dt.timedelta(seconds=self.listed_after)
            shapes = [
                shape_request(request, self.project_lists)
                for request in self._requests.values()
                if request.account == account and request.created <= shown
            ]
        return self._paged("requests", shapes)

    def _get_request(self, account: str, request_id: str) -> flask.Response:
        return flask.jsonify(shape_request(self._request(account, request_id), self.project_lists))

    def _change(self, account: str, request_id: str) -> flask.Response:
        request = self._request(account, request_id)
        body = flask.request.get_json(silent=True)
        if not isinstance(body, dict) or not set(body) <= CHANGEABLE:
            _refuse(400, "The request body holds what cannot be changed.")
        now = self._services.clock.now()
        changed = self._read(account, {**request.body, **body}, now)
        before = dataclasses.replace(request)
        for job in request.jobs:  # a job stays what it was requested for
            job.request = before if job.request is request else job.request
        request.body, request.groups, request.projects, request.updated = (
            changed.body, changed.groups, changed.projects, now,
        )  # fmt: skip
        if not request.body.get("isActive", True):
            request.next_job = None
        return flask.jsonify(shape_request(request, self.project_lists))

    def _delete(self, account: str, request_id: str) -> flask.Response:
        self._request(account, request_id)
        with self._lock:
            self._requests.pop(request_id, None)
        return flask.Response(status=204)

    # Jobs.

    def _all_jobs(self, account: str) -> list[Job]:
        requests = (one for one in self._requests.values() if one.account == account)
        return [job for request in requests for job in request.jobs]

    def _visible(self, jobs: Iterable[Job]) -> list[dict[str, Any]]:
        now = self._services.clock.now()
        return [
            shape_job(job, now, self.project_lists)
            for job in jobs
            if job.timeline.phase(now) is not Phase.ABSENT
        ]

    def _request_jobs(self, account: str, request_id: str) -> flask.Response:
        return self._paged("request_jobs", self._visible(self._request(account, request_id).jobs))

    def _list_jobs(self, account: str) -> flask.Response:
        self._check_account(account)
        project = flask.request.args.get("projectId")
        shown = self._services.clock.now() - dt.timedelta(seconds=self.listed_after)
        with self._lock:
            self._spawn(self._services.clock.now())
            jobs = [
                job
                for job in self._all_jobs(account)
                if (project is None or project in job.request.projects)
                and job.timeline.created <= shown
            ]
        return self._paged("jobs", self._visible(jobs))

    def _job(self, account: str, job_id: str) -> Job:
        self._check_account(account)
        now = self._services.clock.now()
        with self._lock:
            found = [job for job in self._all_jobs(account) if job.id == job_id]
        if not found or found[0].timeline.phase(now) is Phase.ABSENT:
            _refuse(404, "The requested resource does not exist.")
        if status := found[0].timeline.flaws.id_status:
            _refuse(status, "The job cannot be read.")
        return found[0]

    def _get_job(self, account: str, job_id: str) -> flask.Response:
        job = self._job(account, job_id)
        return flask.jsonify(shape_job(job, self._services.clock.now(), self.project_lists))

    def _cancel(self, account: str, job_id: str) -> flask.Response:
        self._job(account, job_id).timeline.cancel(self._services.clock.now())
        return flask.Response(status=204)

    # Files.

    def _extract(self, account: str, job_id: str) -> extract.Extract:
        job = self._job(account, job_id)
        timeline, now = job.timeline, self._services.clock.now()
        kept = now <= timeline.ended + dt.timedelta(days=self.kept_days)
        if not timeline.succeeded(now) or not kept or timeline.flaws.files is Files.GONE:
            _refuse(404, "The requested resource does not exist.")
        with job.making:
            if job.extract is None:
                job.extract = self._make(job)
        return job.extract

    def _make(self, job: Job) -> extract.Extract:
        folder = self._folder / job.id
        content = extract.Content(
            job_id=job.id,
            groups=job.request.groups,
            zip_files=self.zip_files,
            single_files=self.single_files,
            flaws=job.timeline.flaws,
        )
        if self._source is not None:
            return extract.copy(content, self._source, folder)
        snapshot = Snapshot(
            now=job.timeline.ended,
            projects=self._covered(job.request),
            activities=ranges.activities(job.asked, job.timeline.created),
            changes=ranges.changes(job.asked, job.timeline.created),
            versions=self.change_versions,
        )
        return extract.make(content, snapshot, job.asked, self.tables[job.request.account], folder)

    def _covered(self, request: Request) -> frozenset[str] | None:
        status = request.body.get("projectStatus", "all")
        if status == "all":
            return frozenset(request.projects) or None
        return frozenset(
            project.id
            for project in self._worlds[request.account].projects
            if project.status == status and (not request.projects or project.id in request.projects)
        )

    def _listing(self, account: str, job_id: str) -> flask.Response:
        sizes = self._extract(account, job_id).sizes
        timeline = self._job(account, job_id).timeline
        if timeline.flaws.files is Files.NULL:
            return flask.jsonify(None)
        if timeline.flaws.files is Files.NONE:
            sizes = {}
        sizes = extract.listed(sizes, self.listing)
        created = iso(timeline.ended)
        entries = [
            {"name": name, "createdAt": created, "size": size} for name, size in sizes.items()
        ]
        self._services.record.add_list("data_connector", "listing", len(entries))
        return flask.jsonify(entries)

    def _link(self, account: str, job_id: str, name: str) -> flask.Response:
        found = self._extract(account, job_id)
        job = self._job(account, job_id)
        name = name.removeprefix(extract.FOLDER) if self.listing == "folder" else name
        if name not in found.files or job.timeline.flaws.files is not Files.THERE:
            _refuse(404, "The requested resource does not exist.")
        job.downloaded = self._services.clock.now()
        return flask.jsonify(
            {
                "name": name,
                "size": found.sizes[name],
                "signedUrl": self._services.storage.link(found.files[name], LINK_SECONDS),
            }
        )

    # Shared by the routes.

    def _check_account(self, account: str) -> None:
        if account not in self._worlds or account in self.closed:
            detail = (
                "The app is not a custom integration of this account, or the user lacks a role."
            )
            _refuse(403, detail)

    def _paged(self, endpoint: str, entries: list[dict[str, Any]]) -> flask.Response:
        try:
            page = ranges.page(entries, flask.request.args, self.paging)
        except ValueError:
            _refuse(400, "limit and offset must be numbers.")
        if page["pagination"]["offset"] == 0:
            self._services.record.add_list("data_connector", endpoint, len(entries))
        return flask.jsonify(page)


def _created(body: dict[str, Any]) -> flask.Response:
    response = flask.jsonify(body)
    response.status_code = 201
    return response


def _refuse(status: int, detail: str) -> NoReturn:
    """Answer the current request with an error."""
    body = {"title": HTTPStatus(status).phrase, "detail": detail}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        body = {"developerMessage": detail}
    response = flask.jsonify(body)
    response.status_code = status
    flask.abort(response)
