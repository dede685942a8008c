"""The one extract that `data_connector_job_id` names, for every table of a run."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

from tap_autodesk_exports.autodesk.http import NotFound
from tap_autodesk_exports.clock import instant
from tap_autodesk_exports.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tap_autodesk_exports.run import Run

KEPT = dt.timedelta(days=30)
"""How long an extract can be downloaded (documented)."""
ALL = "all"
"""The service group that stands for the others."""


@dataclasses.dataclass(frozen=True)
class Pinned:
    """A job that is there, and what it was asked for.

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
            f"Data Connector: job {self.job_id} of account {self.account} was not asked for the "
            f"service group '{group}'. Select none of its tables, or name another job in "
            "'data_connector_job_id'."
        )


def pinned(run: Run, account: str, job_id: str) -> Pinned:
    """Find a job.

    Raises:
        ConfigurationError: There is no such job, or it has no files.
        TapError: The API could not be used.
    """
    try:
        job = run.data_connector.job(account, job_id)
    except NotFound:
        msg = (
            f"Data Connector: account {account} has no job {job_id} that this user may see. "
            "Check 'data_connector_job_id' and 'data_connector_account_ids': jobs are visible "
            "only to the user who asked for them."
        )
        raise ConfigurationError(msg) from None
    if why := _without_files(job, run.clock.now()):
        msg = (
            f"Data Connector: job {job_id} of account {account} {why}. Name another one in "
            "'data_connector_job_id', or leave it out."
        )
        raise ConfigurationError(msg)
    request_id = str(job["requestId"])
    try:
        request = run.data_connector.request(account, request_id)
    except NotFound:
        request = {}
    groups = frozenset(str(group).lower() for group in request.get("serviceGroups") or ())
    return Pinned(account, job_id, request_id, groups)


def _without_files(job: Mapping[str, Any], now: dt.datetime) -> str | None:
    """Return what became of a job whose files cannot be had, as the rest of a sentence."""
    if str(job.get("status")).lower() != "complete":
        return None
    if str(said := job.get("completionStatus")).lower() != "success":
        return f"ended as '{said}' and has no files"
    completed = instant(job.get("completedAt"))
    if completed and now - completed > KEPT:
        return f"ended at {completed:%Y-%m-%d}, and files are kept for {KEPT.days} days"
    return None
