"""Extracts that exist already: whether one covers what is wanted, so that no job is needed.

An extract is used again only where everything that the API says of its request and its job is
understood and covers what is wanted. What is not understood does not cover.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tap_autodesk_exports.autodesk.answers import read_each
from tap_autodesk_exports.autodesk.data_connector.client import Job, Request
from tap_autodesk_exports.autodesk.data_connector.service import COMPLETION_STATUSES, STATUSES
from tap_autodesk_exports.autodesk.http import NotFound
from tap_autodesk_exports.clock import instant
from tap_autodesk_exports.exports.export import Status

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence

    from tap_autodesk_exports.autodesk.data_connector.client import DataConnector

ALL = "all"
"""The service group that stands for all others (documented)."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What an extract must hold.

    Attributes:
        service_groups: At least these groups.
        project_ids: Exactly these projects; empty for all of the account.
        project_status: Exactly this status of projects.
    """

    service_groups: frozenset[str]
    project_ids: tuple[str, ...]
    project_status: str

    def is_covered_by(self, request: Request, job: Job) -> bool:
        """Tell whether an extract holds all that is wanted, and of no other projects."""
        groups = request.service_groups
        return (
            (self.service_groups <= groups or ALL in groups)
            and request.project_status == self.project_status
            and self._are_its_projects(request, job)
        )

    def _are_its_projects(self, request: Request, job: Job) -> bool:
        # A job may be limited further than its request says, but says so itself only sometimes.
        limits = [request.project_ids, job.project_ids]
        if None in limits:
            return False
        wanted = sorted(self.project_ids)
        return all(sorted(limit) == wanted for limit in limits if limit) and (
            any(limits) or not wanted
        )


class ExistingExtracts:
    """The user's own extracts of each account, listed once in a run.

    Args:
        client: The endpoints.
    """

    def __init__(self, client: DataConnector) -> None:
        self._client = client
        self._requests: dict[str, dict[str, Request]] = {}
        self._jobs: dict[str, Sequence[Job]] = {}

    def newest(self, account: str, wanted: Wanted, since: dt.datetime | None) -> str | None:
        """Return the newest extract that covers what is wanted, as `request/job`.

        One whose files are gone is passed over.

        Args:
            account: Account ID.
            wanted: What it must hold.
            since: The earliest start of its job; None for any that can still be downloaded.

        Raises:
            TapError: The API could not be used.
        """
        requests = self._requests_of(account)
        for job in self._jobs_of(account) if requests else ():
            request = requests.get(job.request_id)
            started = instant(job.taken_at)
            is_old = since and (started is None or started < since)
            if (
                request
                and not is_old
                and is_successful(job)
                and wanted.is_covered_by(request, job)
                and self._has_files(account, job)
            ):
                return job.extract
        return None

    def _has_files(self, account: str, job: Job) -> bool:
        try:
            return bool(self._client.data_listing(account, job.job_id))
        except NotFound:
            return False

    def _requests_of(self, account: str) -> dict[str, Request]:
        if account not in self._requests:
            found: Iterable[Request] = read_each(self._client.requests(account), Request.read).items
            self._requests[account] = {request.request_id: request for request in found}
        return self._requests[account]

    def _jobs_of(self, account: str) -> Sequence[Job]:
        """Return the jobs of an account that can be read, newest first."""
        if account not in self._jobs:
            self._jobs[account] = read_each(self._client.jobs(account), Job.read).items
        return self._jobs[account]

    def created_since(self, account: str, since: dt.datetime) -> int:
        """Return how many jobs of an account were created since an instant."""
        created = (instant(job.created_at) for job in self._jobs_of(account))
        return sum(at is not None and at > since for at in created)


def is_successful(job: Job) -> bool:
    """Tell whether a job is complete and has files."""
    return (
        STATUSES.get(job.status) is Status.READY
        and COMPLETION_STATUSES.get(job.completion_status) is Status.READY
    )
