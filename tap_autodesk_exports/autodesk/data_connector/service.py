"""Data Connector as an `ExportService`: how an extract is requested, found, polled and fetched."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.answers import read_each
from tap_autodesk_exports.autodesk.availability import of_one_export
from tap_autodesk_exports.autodesk.data_connector.client import File, Job, Request, export_id
from tap_autodesk_exports.autodesk.http import ApiError, NotFound
from tap_autodesk_exports.autodesk.shared_list import Freshness, SharedList
from tap_autodesk_exports.clock import canonical, instant, pause
from tap_autodesk_exports.exports.export import (
    YOUNG,
    ExportFile,
    ExportSpec,
    ExportStatus,
    FinishedExport,
    NoFiles,
    PendingExport,
    QuotaUsedUp,
    Status,
    status_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_autodesk_exports.autodesk.data_connector.client import DataConnector
    from tap_autodesk_exports.autodesk.data_connector.quota import JobQuota

logger = logging.getLogger("tap-autodesk-exports")

TOO_MANY_REQUESTS = 429
MOST_WAITS = 3
"""How often a run waits for the moment at which a job is free."""
PATIENCE = 90.0
"""Seconds in which a request is repeated that was refused for no reason that can be seen."""
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
KEPT = dt.timedelta(days=30)
"""How long an extract can be downloaded (documented)."""

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
    kept = KEPT

    def __init__(
        self, data_connector: DataConnector, quota: JobQuota, young: dt.timedelta = YOUNG
    ) -> None:
        self._data_connector = data_connector
        self._quota = quota
        self._young = young
        self._has_waited = False
        self._listed = SharedList(data_connector.newest_jobs, POLLS, data_connector.clock)

    def mark(self, pending: PendingExport) -> str:
        """Note the description that identifies this request."""
        return _description(pending)

    def submit(self, pending: PendingExport) -> str:
        """POST a request that is carried out once, at once."""
        spec = pending.spec
        self._quota.check(spec.key)
        asked_at = dt.datetime.fromisoformat(pending.asked_at)
        body: dict[str, Any] = {
            "description": _description_of(pending),
            "isActive": True,
            "sendEmail": False,
            "scheduleInterval": "ONE_TIME",
            "effectiveFrom": canonical(self._at_once(asked_at)),
            **spec.body,
        }
        if spec.start and spec.end:
            body |= {"dateRange": "CUSTOM", "startDate": spec.start, "endDate": spec.end}
        request_id = self._create(spec.owner, body)
        self._quota.requested(spec.owner)
        return export_id(request_id)

    def _create(self, account: str, body: dict[str, Any]) -> str:
        """POST a request, once a job is free for it.

        Raises:
            QuotaUsedUp: None is free soon.
        """
        for _ in range(MOST_WAITS):
            try:
                return self._data_connector.create_request(account, body, patience=0)
            except ApiError as error:
                if error.status != TOO_MANY_REQUESTS:
                    raise
            seconds = self._quota.wait_after_refusal(account)
            if seconds is None:
                break
            logger.info("Waiting %.0f s for a job to be free in account %s.", seconds, account)
            pause(self._data_connector.clock, seconds, self._data_connector.stop)
        return self._create_patiently(account, body)

    def _create_patiently(self, account: str, body: dict[str, Any]) -> str:
        """POST a request that was refused for no reason that the lists of jobs show.

        A limit of requests is over after a minute. What is still refused then has used up a quota:
        by jobs in other accounts of the user, or of others in this account. That is waited for
        once in a run.
        """
        patience = 0 if self._has_waited else PATIENCE
        try:
            return self._data_connector.create_request(account, body, patience=patience)
        except ApiError as error:
            if error.status != TOO_MANY_REQUESTS:
                raise
            self._has_waited = True
            msg = (
                f"{error} The jobs of 24 hours are probably used up, by jobs that this run cannot "
                "see: the user's own in other accounts, or those of others in this account."
            )
            raise QuotaUsedUp(msg) from None

    def _at_once(self, asked_at: dt.datetime) -> dt.datetime:
        """Return a moment that both clocks have passed: a later one would hold the job back."""
        return min(asked_at, self._data_connector.server_time.at(asked_at)) - CLOCK_SKEW

    def find_lost(self, pending: PendingExport, known: Sequence[str]) -> str | None:
        """Return the request whose description is the one that was sent."""
        description = _description_of(pending)
        # Those of this run are among the newest; those of an earlier one were there at first.
        for read in (self._data_connector.newest_requests, self._data_connector.first_requests):
            for request in read_each(read(pending.spec.owner), Request.read).items:
                found = export_id(request.request_id)
                if request.description == description and found not in known:
                    return found
        return None

    def find_existing(self, wanted: PendingExport, known: Sequence[str]) -> PendingExport | None:
        """Return the newest request of this tap for the same.

        One whose job is complete must be young, successful, and of the same state: what was loaded
        is not used again. So it was where a later request is of another state.
        """
        spec = wanted.spec
        # Requests of this run are in the ledger: one list serves all extracts of an account.
        entries = self._data_connector.first_requests(spec.owner)
        there = {known_id.partition("/")[0] for known_id in known}
        alike = [
            request
            for request in read_each(entries, Request.read).items
            if is_requested_for(request, spec)
        ]
        requests = [request for request in alike if export_id(request.request_id) not in there]
        if not requests:
            return None
        newest = max(alike, key=_asked_at)
        is_unloaded = newest.description == _description(
            dataclasses.replace(wanted, asked_at=_asked_at(newest))
        )
        jobs = read_each(self._listed.of(spec.owner), Job.read).items
        of_request = {job.request_id: job for job in reversed(jobs)}
        found = [
            pending
            for request in requests
            if (
                pending := self._as_wanted(
                    request, of_request.get(request.request_id), wanted, is_unloaded=is_unloaded
                )
            )
        ]
        return max(found, key=lambda pending: pending.asked_at, default=None)

    def _as_wanted(
        self, request: Request, job: Job | None, wanted: PendingExport, *, is_unloaded: bool
    ) -> PendingExport | None:
        """Read a request of this tap; None where it does not serve."""
        asked_at = _asked_at(request)
        at = instant(asked_at)
        if at is None:
            return None
        age = self._data_connector.server_time.age(instant(request.created_at), at)
        if job and STATUSES.get(job.status) is not Status.PENDING:
            is_successful = COMPLETION_STATUSES.get(job.completion_status) is Status.READY
            of_this_state = _description(dataclasses.replace(wanted, asked_at=asked_at))
            is_unloaded = is_unloaded and request.description == of_this_state
            if not (is_successful and is_unloaded and age < self._young):
                return None
        elif age > DAY:
            return None
        spec = _with_its_dates(wanted.spec, request, at)
        groups, projects = wanted.spec.body["serviceGroups"], wanted.spec.body.get("projectIdList")
        scopes = [request.scope, *([job.scope] if job else [])]
        if spec is None or any(scope.may_lack(groups, projects or ()) for scope in scopes):
            return None
        found = export_id(request.request_id)
        return dataclasses.replace(wanted, spec=spec, asked_at=asked_at, id=found)

    def poll(self, pending: PendingExport) -> ExportStatus:
        """GET the job, once there is one; a complete one is listed with its files."""
        request_id, job_id = map(unquote, (*str(pending.id).split("/", 1), "")[:2])
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
            with of_one_export():
                listing = self._data_connector.data_listing(pending.spec.owner, job.job_id)
                files = read_each(listing, File.read)
                if files.unreadable:
                    raise files.unreadable[0]
        except NotFound:
            return ExportStatus(Status.GONE, "without files", job.job_id)
        if not files.items:
            msg = f"The {pending.spec.title} ({job.job_id}) ended as '{said}' and lists no file."
            raise NoFiles(msg)
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
        groups = pending.body.get("serviceGroups")
        held = set(map(str, groups)) if isinstance(groups, list) else set()
        return others and held >= set(wanted.body["serviceGroups"])

    def signed_link(self, finished: FinishedExport, file: ExportFile) -> str:
        """GET a link that must be followed within 60 seconds."""
        account = finished.pending.spec.owner
        with of_one_export(is_there=True):
            return self._data_connector.signed_link(account, finished.export_id, file.name)

    def _job(self, pending: PendingExport, request_id: str, job_id: str) -> Job | None:
        """Return the job of a request; None where there is none yet.

        Raises:
            NotFound: The job or the request is gone.
            NotAvailable: The server refuses to show it.
        """
        account = pending.spec.owner
        if job_id:
            with of_one_export():
                return self._data_connector.job(account, job_id)
        listed = read_each(self._listed.of(account), Job.read).items
        jobs = [job for job in listed if job.request_id == request_id]
        at = instant(pending.asked_at)
        if not jobs and at and self._data_connector.clock.now() - at > APPEARS_WITHIN:
            # Behind the first page, or late; a 404 where the request itself is gone.
            with of_one_export():
                entries = self._data_connector.request_jobs(account, request_id)
                jobs = [Job.read(entry) for entry in entries]
        return jobs[0] if jobs else None


def extract_files(finished: FinishedExport) -> Iterator[ExportFile]:
    """Yield the CSV files of an extract, tables and others."""
    return (file for file in finished.files if file.name.lower().endswith(".csv"))


def is_requested_for(request: Request, spec: ExportSpec) -> bool:
    """Tell whether this tap made a request for this, whatever its dates."""
    return request.description.startswith(f"{_PREFIX} {spec.name} {spec.content} ")


def _description_of(pending: PendingExport) -> str:
    """Return the description that a request was given, maybe by an earlier release."""
    return pending.mark if isinstance(pending.mark, str) else _description(pending)


def _description(pending: PendingExport) -> str:
    """Return a description that no other request has.

    Says what it is for, from which state, and the microsecond of the request.
    """
    spec = pending.spec
    base = f" {pending.base}" if pending.base else ""
    return f"{_PREFIX} {spec.name} {spec.content} {spec.slot}{base} {pending.asked_at}"


def _asked_at(request: Request) -> str:
    """Return when a request was made, as its description says."""
    return request.description.rpartition(" ")[2]


def _with_its_dates(spec: ExportSpec, request: Request, asked_at: dt.datetime) -> ExportSpec | None:
    """Return what is wanted with the dates of a request; None where they do not serve."""
    if spec.start is None or spec.end is None:
        return spec
    if request.start is None or request.end is None:
        return None
    start, end = canonical(request.start), canonical(request.end)
    if start > spec.start or end <= spec.start or not spec.ends_by(end, asked_at):
        return None
    return dataclasses.replace(spec, start=start, end=end)
