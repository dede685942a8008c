"""Data Connector as an `ExportService`: how an extract is requested, found, polled and fetched."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.answers import read_each
from tap_autodesk_exports.autodesk.data_connector.client import JOBS_A_DAY, File, Job, Request
from tap_autodesk_exports.autodesk.http import ApiError, NotFound
from tap_autodesk_exports.autodesk.shared_list import Freshness, SharedList
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
    from collections.abc import Iterator, Sequence

    from tap_autodesk_exports.autodesk.data_connector.client import DataConnector

TOO_MANY_REQUESTS = 429
_PREFIX = "tap-autodesk-exports"
CLOCK_SKEW = dt.timedelta(minutes=10)
"""A request starts so long ago, which means at once (documented): a moment that is still to come by
the server's clock would hold its job back."""
APPEARS_WITHIN = dt.timedelta(minutes=10)
"""How long a request may be without a job before it is polled by itself, which costs one of the
minute's requests. Documented: "a few minutes"."""
POLLS = Freshness(first=1.0, lists=20, later=2.0)
"""Later on, polls take half of the minute's requests at most: the rest is for links. Jobs take
minutes."""
DAY = dt.timedelta(days=1)

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


class DataConnectorService:
    """Data Connector as an `ExportService`.

    An export's owner is an account ID. Its ID is that of the request, followed by `/` and that of
    the job where one job is meant; rows carry the job's ID.
    """

    name = Api.DATA_CONNECTOR.value
    attempts = 2
    longest_pause = 30.0

    def __init__(self, data_connector: DataConnector) -> None:
        self._data_connector = data_connector
        self._listed = SharedList(data_connector.newest_jobs, POLLS, data_connector.clock)
        self._there_before: dict[str, tuple[Request, ...]] = {}

    def mark(self, spec: ExportSpec) -> None:  # noqa: ARG002
        """Note nothing: the description identifies this tap's requests."""
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
            "effectiveFrom": canonical(self._at_once(asked_at)),
            **spec.body,
        }
        if spec.start and spec.end:
            body |= {"dateRange": "CUSTOM", "startDate": spec.start, "endDate": spec.end}
        try:
            return self._data_connector.create_request(spec.owner, body, patient=False)
        except ApiError as error:
            if error.status != TOO_MANY_REQUESTS:
                raise
            if used_up := self._quota_used_up(spec.owner):
                raise QuotaUsedUp(used_up) from None
            return self._data_connector.create_request(spec.owner, body)

    def _at_once(self, asked_at: dt.datetime) -> dt.datetime:
        """Return a moment that both clocks have passed: a later one would hold the job back."""
        return min(asked_at, self._data_connector.server_time.at(asked_at)) - CLOCK_SKEW

    def find_lost(self, pending: PendingExport, known: Sequence[str]) -> str | None:
        """Return the request whose description is the one that was sent."""
        for request in self._requests(pending.spec.owner):
            is_it = request.description == _description(pending)
            if is_it and request.request_id not in known:
                return request.request_id
        return None

    def find_running(self, spec: ExportSpec, known: Sequence[str]) -> PendingExport | None:
        """Return a request of this tap for the same, whose job is not complete."""
        start = f"{_PREFIX} {spec.name} {spec.content} "
        requests = [
            request
            for request in self._requests_before(spec.owner)
            if request.description.startswith(start) and request.request_id not in known
        ]
        if not requests:
            return None
        jobs = read_each(self._listed.of(spec.owner), Job.read).items
        complete = {
            job.request_id for job in jobs if STATUSES.get(job.status) is not Status.PENDING
        }
        young = self._data_connector.clock.now() - DAY
        for request in requests:
            pending = _as_pending(request, spec)
            if (
                pending
                and request.request_id not in complete
                and dt.datetime.fromisoformat(pending.asked_at) > young
            ):
                return pending
        return None

    def _requests(self, account: str) -> tuple[Request, ...]:
        """Return the requests that can be read; the others are none of this tap's."""
        return read_each(self._data_connector.requests(account), Request.read).items

    def _requests_before(self, account: str) -> tuple[Request, ...]:
        """Return the requests that were there when this run first listed them.

        Those of this run are in the ledger: one list serves all exports of an account.
        """
        if account not in self._there_before:
            self._there_before[account] = self._requests(account)
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
        said, state = job.status, status_of(job.status, STATUSES, pending)
        if state is Status.READY:
            said = job.completion_status
            state = status_of(said, COMPLETION_STATUSES, pending)
        if state is not Status.READY:
            return ExportStatus(state, said, job.job_id, percent=job.percent)
        try:
            listing = self._data_connector.data_listing(pending.spec.owner, job.job_id)
        except NotFound:
            return ExportStatus(Status.GONE, "without files", job.job_id)
        files = read_each(listing, File.read)
        if files.unreadable:
            raise files.unreadable[0]
        return ExportStatus(
            state,
            said,
            job.job_id,
            exported_at=job.taken_at,
            files=tuple(ExportFile(file.name, size=file.size) for file in files.items),
        )

    def retry(self, pending: PendingExport) -> bool:  # noqa: ARG002
        """A job cannot be started again; a new request costs one of the day's jobs."""
        return False

    def covers(self, pending: ExportSpec, wanted: ExportSpec) -> bool:
        """Tell whether the pending request holds at least the wanted service groups."""
        others = {**pending.body, "serviceGroups": None} == {**wanted.body, "serviceGroups": None}
        return others and set(pending.body["serviceGroups"]) >= set(wanted.body["serviceGroups"])

    def signed_link(self, finished: FinishedExport, file: ExportFile) -> str:
        """GET a link that must be followed within 60 seconds."""
        account = finished.pending.spec.owner
        return self._data_connector.signed_link(account, finished.export_id, file.name)

    def _job(self, pending: PendingExport, request_id: str, job_id: str) -> Job | None:
        account = pending.spec.owner
        if job_id:
            return self._data_connector.job(account, job_id)
        listed = read_each(self._listed.of(account), Job.read).items
        jobs = [job for job in listed if job.request_id == request_id]
        at = instant(pending.asked_at)
        if not jobs and at and self._data_connector.clock.now() - at > APPEARS_WITHIN:
            # Behind the first page, or late; a 404 where the request itself is gone.
            jobs = [Job.read(e) for e in self._data_connector.request_jobs(account, request_id)]
        return jobs[0] if jobs else None

    def _quota_used_up(self, account: str) -> str | None:
        """Return the sentence for a used-up day's quota, or None where a 429 had another cause."""
        now = self._data_connector.clock.now()
        started = self._data_connector.jobs_since(account, now - DAY)
        if len(started) < JOBS_A_DAY:
            return None
        free = started[-JOBS_A_DAY] + DAY
        return (
            f"Data Connector: account {account} has used its {JOBS_A_DAY} jobs of the last 24 "
            f"hours; the next one can be requested at {free:%Y-%m-%d %H:%M} UTC. Run again then, "
            "or load an existing extract with 'data_connector_extract: latest'."
        )


def extract_files(finished: FinishedExport) -> Iterator[ExportFile]:
    """Yield the CSV files of an extract, tables and others."""
    return (file for file in finished.files if file.name.lower().endswith(".csv"))


def _description(pending: PendingExport) -> str:
    """Return a description that no other request has: what for, and the microsecond of asking."""
    spec = pending.spec
    return f"{_PREFIX} {spec.name} {spec.content} {spec.slot} {pending.asked_at}"


def _as_pending(request: Request, spec: ExportSpec) -> PendingExport | None:
    """Read a request of this tap; None where its dates do not serve."""
    asked_at = request.description.rpartition(" ")[2]
    if instant(asked_at) is None:
        return None
    if spec.start is None or spec.end is None:
        return PendingExport(spec, asked_at, id=request.request_id)
    if request.start is None or request.end is None or canonical(request.start) > spec.start:
        return None
    start, end = canonical(request.start), canonical(request.end)
    requested = dataclasses.replace(spec, start=start, end=end)
    return PendingExport(requested, asked_at, id=request.request_id)
