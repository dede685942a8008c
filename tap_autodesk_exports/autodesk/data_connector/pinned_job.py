"""The one extract that `data_connector_job_id` names, for every table of a run."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

from tap_autodesk_exports.autodesk.http import NotFound
from tap_autodesk_exports.errors import ConfigurationError

if TYPE_CHECKING:
    from tap_autodesk_exports.autodesk.data_connector.client import DataConnector, Job

KEPT = dt.timedelta(days=30)
"""How long an extract can be downloaded (documented)."""
ALL = "all"
"""The service group that stands for the others."""


@dataclasses.dataclass(frozen=True)
class PinnedJob:
    """A job that exists, and what was requested.

    Attributes:
        account: Its account.
        job_id: Its ID.
        request_id: ID of its request.
        groups: Service groups of the request; none where the request cannot be seen any more.
    """

    account: str
    job_id: str
    request_id: str
    groups: frozenset[str]

    @property
    def existing(self) -> str:
        """Its extract, as an `ExportSpec` takes it."""
        return f"{self.request_id}/{self.job_id}"

    def error_for(self, group: str) -> ConfigurationError | None:
        """Return why a table of a service group cannot be loaded from it.

        That a file is missing there does not mean that the table is empty.
        """
        if not self.groups or self.groups & {group, ALL}:
            return None
        return ConfigurationError(
            f"Data Connector: job {self.job_id} of account {self.account} was not requested for "
            f"the service group '{group}'. Select none of its tables, or name another job in "
            "'data_connector_job_id'."
        )


def pinned(client: DataConnector, account: str, job_id: str) -> PinnedJob:
    """Find a job.

    Raises:
        ConfigurationError: There is no such job, or it has no files.
        TapError: The API could not be used.
    """
    try:
        job = client.job(account, job_id)
    except NotFound:
        msg = (
            f"Data Connector: account {account} has no job {job_id} that this user may see. "
            "Check 'data_connector_job_id' and 'data_connector_account_ids': jobs are visible "
            "only to the user who requested them."
        )
        raise ConfigurationError(msg) from None
    if why := _without_files(job, client.clock.now()):
        msg = (
            f"Data Connector: job {job_id} of account {account} {why}. Name another one in "
            "'data_connector_job_id', or leave it out."
        )
        raise ConfigurationError(msg)
    try:
        groups = client.request(account, job.request_id).service_groups
    except NotFound:
        groups = frozenset()
    return PinnedJob(account, job_id, job.request_id, groups)


def _without_files(job: Job, now: dt.datetime) -> str | None:
    """Return why a job's files are not available, as the rest of a sentence."""
    if job.status != "complete":
        return None
    if job.completion_status != "success":
        return f"ended as '{job.completion_status}' and has no files"
    if job.completed_at and now - job.completed_at > KEPT:
        return f"ended at {job.completed_at:%Y-%m-%d}, and files are kept for {KEPT.days} days"
    return None
