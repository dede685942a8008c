"""Data Connector API v1, as documented.

Documented: the endpoints, `reoccuringInterval` with one r, no job for some minutes after a request,
`status` queued/running/complete and then `completionStatus` success/failed/cancelled, 404 for the
listing of a job that did not succeed, links of 60 seconds, 60 requests a minute, 24 jobs in rolling
24 hours answered by 429 on POST. Observed: `projectIdList` as a list and as JSON text.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.http import ApiClient, ApiContext, ApiError, NotFound, pages
from tap_autodesk_exports.autodesk.shared import Freshness, SharedList
from tap_autodesk_exports.clock import canonical, instant
from tap_autodesk_exports.exports.export import (
    ExportFile,
    ExportSpec,
    ExportStatus,
    FinishedExport,
    PendingExport,
    QuotaUsedUp,
    Status,
    status_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


LIMITS = ((60, 60.0),)
JOBS_A_DAY = 24
PAGE = 100
"""The default of `limit` is 20; its maximum is not documented."""
TOO_MANY_REQUESTS = 429
_PREFIX = "tap-autodesk-exports"
CLOCK_SKEW = dt.timedelta(minutes=10)
"""A request begins so long ago, which means at once (documented): a moment that is still to come by
the server's clock would hold its job back."""
APPEARS_WITHIN = dt.timedelta(minutes=10)
"""How long a request may be without a job before it is asked for by itself, which costs one of the
minute's requests. Documented: "a few minutes"."""
LOOKS = Freshness(first=1.0, lists=20, later=2.0)
"""Later on, looks take half of the minute's requests at most: the rest is for links. Jobs take
minutes."""

STATUSES = {
    "queued": Status.PENDING,
    "running": Status.PENDING,
    "complete": Status.READY,
}
COMPLETION_STATUSES = {
    "success": Status.READY,
    "failed": Status.FAILED,
    "cancelled": Status.CANCELLED,
}

CAUSES_OF_403 = (
    "an account admin has not added the app as a custom integration of the account",
    (
        "the user who signed in has no executive overview of the account; a project admin must "
        "list projects in 'data_connector_project_ids', and one without admin rights is enough for "
        "a refusal"
    ),
    "the token is two-legged or lacks the scopes data:create, data:read and data:write",
)


class DataConnector:
    """The endpoints that this tap calls. An account's ID has no `b.` prefix."""

    def __init__(self, context: ApiContext) -> None:
        self.clock = context.clock
        self.http = ApiClient(
            api=Api.DATA_CONNECTOR,
            title="Data Connector",
            path="/data-connector/v1",
            causes_of_403=CAUSES_OF_403,
            limits=LIMITS,
            context=context,
        )

    def requests(self, account: str) -> list[dict[str, Any]]:
        """GET /accounts/:a/requests: the user's own requests, newest first."""
        return self._list(f"/accounts/{account}/requests")

    def request(self, account: str, request_id: str) -> dict[str, Any]:
        """GET /accounts/:a/requests/:r."""
        found: dict[str, Any] = self.http.get(f"/accounts/{account}/requests/{request_id}")
        return found

    def create_request(
        self, account: str, body: dict[str, Any], *, patient: bool = True
    ) -> dict[str, Any]:
        """POST /accounts/:a/requests."""
        created: dict[str, Any] = self.http.post(
            f"/accounts/{account}/requests", body, patient=patient
        )
        return created

    def request_jobs(self, account: str, request_id: str) -> list[dict[str, Any]]:
        """GET /accounts/:a/requests/:r/jobs: newest first; empty for some time after the POST."""
        return self._list(f"/accounts/{account}/requests/{request_id}/jobs")

    def jobs(self, account: str) -> list[dict[str, Any]]:
        """GET /accounts/:a/jobs: the user's own jobs, newest first."""
        return self._list(f"/accounts/{account}/jobs")

    def newest_jobs(self, account: str) -> list[dict[str, Any]]:
        """GET /accounts/:a/jobs: one page of the user's own jobs, the newest."""
        return list(self._page(f"/accounts/{account}/jobs", 0, PAGE)["results"])

    def jobs_since(self, account: str, since: dt.datetime) -> list[dt.datetime]:
        """Return when the user's own jobs of an account began, from an instant on, oldest first."""
        begun = (instant(job.get("createdAt")) for job in self.jobs(account))
        return sorted(at for at in begun if at and at > since)

    def job(self, account: str, job_id: str) -> dict[str, Any]:
        """GET /accounts/:a/jobs/:j."""
        found: dict[str, Any] = self.http.get(f"/accounts/{account}/jobs/{job_id}")
        return found

    def data_listing(self, account: str, job_id: str) -> list[dict[str, Any]]:
        """GET …/data-listing: the files of a job that succeeded."""
        return list(self.http.get(f"/accounts/{account}/jobs/{job_id}/data-listing"))

    def data(self, account: str, job_id: str, name: str) -> dict[str, Any]:
        """GET …/data/:name: name, size and a signed link of a file."""
        found: dict[str, Any] = self.http.get(f"/accounts/{account}/jobs/{job_id}/data/{name}")
        return found

    def newest_extract(
        self,
        account: str,
        *,
        service_groups: Iterable[str],
        project_ids: Sequence[str],
        project_status: str,
        since: dt.datetime | None,
    ) -> str | None:
        """Return the newest successful extract that covers what is wanted, as `request/job`.

        Args:
            account: Account ID.
            service_groups: Groups that it must hold.
            project_ids: Exactly the projects that it must have been asked for; empty for all.
            project_status: The status of projects that it must have been asked for.
            since: The earliest begin of its job; None for any that can still be downloaded.
        """
        wanted = set(service_groups)
        covering = {
            request["id"]
            for request in self.requests(account)
            if wanted <= {str(group).lower() for group in request.get("serviceGroups") or ()}
            and sorted(project_id_list(request)) == sorted(project_ids)
            and (request.get("projectStatus") or "all") == project_status
        }
        for job in self.jobs(account) if covering else ():
            begun = instant(job.get("startedAt") or job.get("createdAt"))
            old = since and (begun is None or begun < since)
            if job.get("requestId") in covering and _ending(job) is Status.READY and not old:
                return f"{job['requestId']}/{job['id']}"
        return None

    def _list(self, path: str) -> list[dict[str, Any]]:
        return pages(lambda offset, limit: self._page(path, offset, limit), "results", PAGE)

    def _page(self, path: str, offset: int, limit: int) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(
            path, {"offset": offset, "limit": limit, "sort": "desc", "sortFields": "-createdAt"}
        )
        return found


class DataConnectorExports:
    """Data Connector as an `ExportService`.

    An export's owner is an account ID. Its ID is that of the request, followed by `/` and that of
    the job where one job is meant; rows carry the job's ID.
    """

    name = Api.DATA_CONNECTOR.value
    attempts = 2
    longest_pause = 30.0

    def __init__(self, data_connector: DataConnector) -> None:
        self._data_connector = data_connector
        self._jobs = SharedList(data_connector.newest_jobs, LOOKS, data_connector.clock)
        self._there_before: dict[str, list[dict[str, Any]]] = {}

    def mark(self, spec: ExportSpec) -> None:  # noqa: ARG002
        """Note nothing: the description tells this tap's requests apart."""
        return

    def submit(self, pending: PendingExport) -> str:
        """POST a request that is carried out once, at once."""
        spec = pending.spec
        asked_at = dt.datetime.fromisoformat(pending.asked_at)
        body: dict[str, Any] = {
            "description": _description(pending),
            "isActive": True,
            "sendEmail": False,
            "scheduleInterval": "ONE_TIME",
            "effectiveFrom": canonical(asked_at - CLOCK_SKEW),
            **spec.body,
        }
        if spec.start and spec.end:
            body |= {"dateRange": "CUSTOM", "startDate": spec.start, "endDate": spec.end}
        try:
            created = self._data_connector.create_request(spec.owner, body, patient=False)
        except ApiError as error:
            if error.status != TOO_MANY_REQUESTS:
                raise
            if used_up := self._quota_used_up(spec.owner):
                raise QuotaUsedUp(used_up) from None
            created = self._data_connector.create_request(spec.owner, body)
        return str(created["id"])

    def find_lost(self, pending: PendingExport, known: Sequence[str]) -> str | None:
        """Return the request whose description is the one that was sent."""
        for request in self._data_connector.requests(pending.spec.owner):
            if request.get("description") == _description(pending) and request["id"] not in known:
                return str(request["id"])
        return None

    def find_running(self, spec: ExportSpec, known: Sequence[str]) -> PendingExport | None:
        """Return a request of this tap for the same, whose job is not complete."""
        begin = f"{_PREFIX} {spec.name} {spec.content} "
        requests = [
            request
            for request in self._requests_before(spec.owner)
            if str(request.get("description")).startswith(begin) and request["id"] not in known
        ]
        if not requests:
            return None
        complete = {
            job.get("requestId")
            for job in self._jobs.of(spec.owner)
            if STATUSES.get(str(job.get("status")).lower()) is not Status.PENDING
        }
        for request in requests:
            pending = _asked(request, spec)
            young = self._data_connector.clock.now() - dt.timedelta(days=1)
            if (
                pending
                and request["id"] not in complete
                and dt.datetime.fromisoformat(pending.asked_at) > young
            ):
                return pending
        return None

    def _requests_before(self, account: str) -> list[dict[str, Any]]:
        """Return the requests that were there when this run first asked for them.

        Those of this run are in the ledger: one list serves all that an account is asked for.
        """
        if account not in self._there_before:
            self._there_before[account] = self._data_connector.requests(account)
        return self._there_before[account]

    def poll(self, pending: PendingExport) -> ExportStatus:
        """GET the job, once there is one; a complete one is listed with its files."""
        request_id, _, job_id = str(pending.id).partition("/")
        try:
            job = self._job(pending, request_id, job_id)
        except NotFound:
            return ExportStatus(Status.GONE, "unknown to the server", job_id or request_id)
        if job is None:
            return ExportStatus(Status.PENDING, "waiting for its job", request_id)
        said = str(job.get("status"))
        status = status_of(said, STATUSES, pending)
        if status is Status.READY:
            said = str(job.get("completionStatus"))
            status = status_of(said, COMPLETION_STATUSES, pending)
        if status is not Status.READY:
            return ExportStatus(status, said, job["id"])
        try:
            listing = self._data_connector.data_listing(pending.spec.owner, job["id"])
        except NotFound:
            return ExportStatus(Status.GONE, "without files", job["id"])
        return ExportStatus(
            status,
            said,
            job["id"],
            exported_at=job.get("startedAt") or job.get("createdAt"),
            files=tuple(ExportFile(str(file["name"]), size=_size(file)) for file in listing),
        )

    def retry(self, pending: PendingExport) -> bool:  # noqa: ARG002
        """A job cannot be started again; a new request costs one of the day's jobs."""
        return False

    def covers(self, pending: ExportSpec, wanted: ExportSpec) -> bool:
        """Tell whether the pending request holds at least the wanted service groups."""
        return set(pending.body["serviceGroups"]) >= set(wanted.body["serviceGroups"]) and {
            **pending.body,
            "serviceGroups": None,
        } == {**wanted.body, "serviceGroups": None}

    def signed_link(self, finished: FinishedExport, file: ExportFile) -> str:
        """GET a link that must be followed within 60 seconds."""
        data = self._data_connector.data(finished.pending.spec.owner, finished.export_id, file.name)
        return str(data["signedUrl"])

    def _job(self, pending: PendingExport, request_id: str, job_id: str) -> dict[str, Any] | None:
        account = pending.spec.owner
        if job_id:
            return self._data_connector.job(account, job_id)
        jobs = [job for job in self._jobs.of(account) if job.get("requestId") == request_id]
        at = instant(pending.asked_at)
        if not jobs and at and self._data_connector.clock.now() - at > APPEARS_WITHIN:
            # Behind the first page, or late; a 404 where the request itself is gone.
            jobs = self._data_connector.request_jobs(account, request_id)
        return jobs[0] if jobs else None

    def _quota_used_up(self, account: str) -> str | None:
        """Return the sentence for a used-up day's quota, or None where a 429 had another cause."""
        now = self._data_connector.clock.now()
        day = dt.timedelta(hours=24)
        begun = self._data_connector.jobs_since(account, now - day)
        if len(begun) < JOBS_A_DAY:
            return None
        free = begun[-JOBS_A_DAY] + day
        return (
            f"Data Connector: account {account} has used its {JOBS_A_DAY} jobs of the last 24 "
            f"hours; the next one can be asked for at {free:%Y-%m-%d %H:%M} UTC. Run again then, "
            "or load an extract that is there with 'data_connector_extract: latest'."
        )


def project_id_list(request: dict[str, Any]) -> list[str]:
    """Return the projects of a request: a list, or JSON text of one (both occur)."""
    value = request.get("projectIdList") or []
    if isinstance(value, str):
        value = json.loads(value)
    return [str(project) for project in value]


def extract_files(finished: FinishedExport) -> Iterator[ExportFile]:
    """Yield the CSV files of an extract, tables and others."""
    return (file for file in finished.files if file.name.lower().endswith(".csv"))


def _ending(job: dict[str, Any]) -> Status | None:
    if str(job.get("status")).lower() != "complete":
        return None
    return COMPLETION_STATUSES.get(str(job.get("completionStatus")).lower())


def _size(file: dict[str, Any]) -> int | None:
    """Return a listed size: a number, or text of one (both occur in the documentation)."""
    size = str(file.get("size", ""))
    return int(size) if size.isdigit() else None


def _description(pending: PendingExport) -> str:
    """Return a description that no other request has: what for, and the microsecond of asking."""
    spec = pending.spec
    return f"{_PREFIX} {spec.name} {spec.content} {spec.slot} {pending.asked_at}"


def _asked(request: dict[str, Any], spec: ExportSpec) -> PendingExport | None:
    """Read a request of this tap; None where its dates do not serve."""
    start, end = instant(request.get("startDate")), instant(request.get("endDate"))
    asked_at = str(request["description"]).rpartition(" ")[2]
    if instant(asked_at) is None:
        return None
    if spec.start is None or spec.end is None:
        return PendingExport(spec, asked_at, id=str(request["id"]))
    if start is None or end is None or canonical(start) > spec.start:
        return None
    asked_for = dataclasses.replace(spec, start=canonical(start), end=canonical(end))
    return PendingExport(asked_for, asked_at, id=str(request["id"]))
