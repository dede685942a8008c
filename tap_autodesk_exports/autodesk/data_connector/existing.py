"""Extracts that exist already: whether one covers what is wanted, so that no job is needed.

An extract is used again only where everything that the API says of its request and its job is
understood and covers what is wanted. What is not understood does not cover.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.autodesk.answers import read_each
from tap_autodesk_exports.autodesk.availability import of_one_export
from tap_autodesk_exports.autodesk.data_connector.client import File, Job, Request, export_id
from tap_autodesk_exports.autodesk.data_connector.extracts import may_hold_tables
from tap_autodesk_exports.autodesk.data_connector.scope import ALL, of_activities
from tap_autodesk_exports.autodesk.data_connector.service import COMPLETION_STATUSES, STATUSES
from tap_autodesk_exports.autodesk.http import NotFound
from tap_autodesk_exports.clock import instant
from tap_autodesk_exports.exports.export import NotAvailable, NotUnderstood, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from tap_autodesk_exports.autodesk.data_connector.client import DataConnector
    from tap_autodesk_exports.autodesk.data_connector.scope import Period

ACTIVITIES = "activities"
CLOCKS_DIFFER = dt.timedelta(minutes=10)
"""How far the clocks of a server's own machines may differ."""
AT_ONCE = dt.timedelta(seconds=5)
"""Between two times that a server notes in one step."""
LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)


@dataclasses.dataclass(frozen=True)
class Extract:
    """An extract that exists: a job and the request that it belongs to."""

    request: Request
    job: Job

    @property
    def name(self) -> str:
        """Its name, as an `ExportSpec` takes it: `request/job`."""
        return self.job.extract

    @property
    def is_of_the_request(self) -> bool:
        """Whether the job did what its request says now, and not what it said before a change.

        Documented: PATCH changes groups, projects and dates of a request. Not documented: whether
        the server itself notes its jobs as changes. So none counts up to the job's end, and none
        that comes with the queueing of a later job.
        """
        if not self.request.updated_at:
            return True
        changed, queued = instant(self.request.updated_at), instant(self.request.queued_at)
        if changed and queued and dt.timedelta(0) <= changed - queued <= AT_ONCE:
            return True
        times = (instant(self.job.created_at), instant(self.job.started_at), self.job.completed_at)
        last = max(filter(None, times), default=None)
        return bool(changed and last and changed - last <= CLOCKS_DIFFER)

    def period(self, service_group: str) -> Period | None:
        """Return the days of which it holds the activities or changes; None where that is unclear.

        What the request and the job say must both hold.
        """
        created, taken = instant(self.job.created_at), instant(self.job.taken_at)
        if created is None or taken is None:
            return None
        said = [scope for scope in (self.request.scope, self.job.scope) if scope.is_dated]
        if not said:
            return of_activities(None, created) if service_group == ACTIVITIES else None
        periods = [scope.period(created) for scope in said]
        if service_group == ACTIVITIES:
            periods = [period and of_activities(period, created) for period in periods]
        known = [period for period in periods if period]
        if len(known) < len(said):
            return None
        return max(start for start, _ in known), min(taken, *(end for _, end in known))


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What an extract must hold.

    Attributes:
        service_groups: At least these groups.
        project_ids: Exactly these projects; empty for all of the account.
        project_status: Exactly this status of projects.
        since: For tables that are dated: from when on.
        or_more: Whether an extract of more projects will do, whose rows are loaded too.
    """

    service_groups: frozenset[str]
    project_ids: tuple[str, ...]
    project_status: str
    since: dt.datetime | None = None
    or_more: bool = False

    def lacks(self, extract: Extract) -> str | None:
        """Return why an extract does not cover what is wanted, as a clause; None where it does."""
        asked, done = extract.request.scope, extract.job.scope
        if not extract.is_of_the_request:
            return "is older than the last change of its request, which may have said less before"
        if unclear := sorted({*asked.unclear, *done.unclear}):
            fields = ", ".join(f"'{name}'" for name in unclear)
            return f"may be limited by {fields}, which this release of the tap does not understand"
        if missing := self._groups_missing_in(extract):
            groups = ", ".join(f"'{group}'" for group in missing)
            return f"was not requested for the service group{'s' * (len(missing) > 1)} {groups}"
        if {asked.project_status or ALL, done.project_status or asked.project_status or ALL} != {
            self.project_status
        }:
            return f"is not of projects with the status '{self.project_status}'"
        return self._projects_other_in(extract) or self._dates_missing_in(extract)

    def _groups_missing_in(self, extract: Extract) -> list[str]:
        # A request names at least one group (documented), a job none.
        said = [extract.request.scope.service_groups]
        said += [groups] if (groups := extract.job.scope.service_groups) else []
        return sorted(
            group
            for group in self.service_groups
            if not all(group in groups or ALL in groups for groups in said)
        )

    def _projects_other_in(self, extract: Extract) -> str | None:
        wanted = frozenset(project.lower() for project in self.project_ids)
        # A job may be limited further than its request says, but says so itself only sometimes.
        said = (extract.request.scope.project_ids, extract.job.scope.project_ids)
        limits = [limit for limit in said if limit]
        if not limits:
            return None if self.or_more or not wanted else "is of all projects"
        is_enough = all(limit >= wanted if self.or_more else limit == wanted for limit in limits)
        return None if wanted and is_enough else "is limited to some projects"

    def _dates_missing_in(self, extract: Extract) -> str | None:
        if self.since is None:
            return None
        for group in self.service_groups:
            period = extract.period(group)
            if period is None:
                return "does not say of which days it is"
            if not period[0] <= self.since < period[1]:
                days = " to ".join(f"{at:%Y-%m-%d %H:%M}" for at in period)
                return f"is of {days}, and {self.since:%Y-%m-%d %H:%M} is not among that"
        return None


class ExistingExtracts:
    """The user's own extracts of each account, listed once in a run.

    Args:
        client: The endpoints.
        given_up: Returns the IDs of extracts and requests that must not be used.
    """

    def __init__(
        self,
        client: DataConnector,
        given_up: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self._client = client
        self._given_up = given_up
        self._requests: dict[str, dict[str, Request]] = {}
        self._jobs: dict[str, Sequence[Job]] = {}
        self._files: dict[str, bool] = {}

    def newest(
        self, account: str, wanted: Wanted, since: dt.datetime | None = None
    ) -> Extract | None:
        """Return the newest extract that covers what is wanted.

        One whose files are gone is passed over, and one that was of no use before.

        Args:
            account: Account ID.
            wanted: What it must hold.
            since: The earliest start of its job; None for any that can still be downloaded.

        Raises:
            TapError: The API could not be used.
        """
        for extract in self._covering(account, wanted):
            started = instant(extract.job.taken_at)
            if since and (started is None or started < since):
                continue
            if self._has_files(account, extract.job):
                return extract
        return None

    def last_taken(self, account: str, wanted: Wanted) -> dt.datetime:
        """Return when the newest extract was taken that covers what is wanted; long ago for none.

        Raises:
            TapError: The API could not be used.
        """
        newest = next(self._covering(account, wanted), None)
        return _taken(newest.job) if newest else LONG_AGO

    def _covering(self, account: str, wanted: Wanted) -> Iterator[Extract]:
        """Yield the successful extracts that cover what is wanted, newest first."""
        requests = self._requests_of(account)
        for job in self._jobs_of(account) if requests else ():
            request = requests.get(job.request_id)
            if not request or not is_successful(job) or self._is_yet_to_come(job):
                continue
            if {request.scope.account, job.scope.account} - {"", account.lower()}:
                continue
            if {job.extract, export_id(job.request_id)} & {*self._given_up()}:
                continue
            extract = Extract(request, job)
            if wanted.lacks(extract) is None:
                yield extract

    def _is_yet_to_come(self, job: Job) -> bool:
        """Tell whether a job says that it began later than now: then its dates mean nothing."""
        now = self._client.server_time.now()
        return _taken(job) - now > CLOCKS_DIFFER

    def _has_files(self, account: str, job: Job) -> bool:
        if job.job_id not in self._files:
            listing: Iterable[Any] = ()
            # A 404 is documented for the listing of an extract whose files are gone.
            with contextlib.suppress(NotFound, NotAvailable, NotUnderstood), of_one_export():
                listing = self._client.data_listing(account, job.job_id)
            names = [file.name for file in read_each(listing, File.read).items]
            self._files[job.job_id] = may_hold_tables(names)
        return self._files[job.job_id]

    def _requests_of(self, account: str) -> dict[str, Request]:
        if account not in self._requests:
            entries = self._client.first_requests(account)
            found: Iterable[Request] = read_each(entries, Request.read).items
            self._requests[account] = {request.request_id: request for request in found}
        return self._requests[account]

    def _jobs_of(self, account: str) -> Sequence[Job]:
        """Return the jobs of an account that can be read, newest first."""
        if account not in self._jobs:
            jobs = read_each(self._client.first_jobs(account), Job.read).items
            self._jobs[account] = sorted(jobs, key=_taken, reverse=True)
        return self._jobs[account]

    def look(self, account: str) -> None:
        """List the jobs of an account, so that the server says what time it is.

        Raises:
            TapError: They cannot be listed.
        """
        self._jobs_of(account)


def _taken(job: Job) -> dt.datetime:
    return instant(job.taken_at) or LONG_AGO


def is_successful(job: Job) -> bool:
    """Tell whether a job is complete and has files."""
    return (
        STATUSES.get(job.status) is Status.READY
        and COMPLETION_STATUSES.get(job.completion_status) is Status.READY
    )
