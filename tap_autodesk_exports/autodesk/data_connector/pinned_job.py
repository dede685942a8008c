"""The one extract that `data_connector_job_id` names, for every table of a run."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from tap_autodesk_exports.autodesk.data_connector.existing import Extract
from tap_autodesk_exports.autodesk.http import NotFound
from tap_autodesk_exports.errors import ConfigurationError

if TYPE_CHECKING:
    from tap_autodesk_exports.autodesk.data_connector.client import DataConnector, Job
    from tap_autodesk_exports.autodesk.data_connector.existing import Wanted

KEPT = dt.timedelta(days=30)
"""How long an extract can be downloaded (documented)."""


def pinned(client: DataConnector, account: str, job_id: str) -> Extract:
    """Find a job and its request.

    Raises:
        ConfigurationError: There is no such job, it has no files, or what it was requested for
            cannot be seen.
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
        request = client.request(account, job.request_id)
    except NotFound:
        msg = (
            f"Data Connector: the request of job {job_id} of account {account} is gone, so there "
            "is no telling which part of the account the job covers. Name another one in "
            "'data_connector_job_id', or leave it out."
        )
        raise ConfigurationError(msg) from None
    return Extract(request, job)


def error_for(extract: Extract, account: str, wanted: Wanted) -> ConfigurationError | None:
    """Return why what is wanted cannot be loaded from a pinned job; None where it can.

    That a file is missing there does not mean that the table is empty.
    """
    why = wanted.lacks(extract)
    if why is None:
        return None
    return ConfigurationError(
        f"Data Connector: job {extract.job.job_id} of account {account} {why}. Name another job in "
        "'data_connector_job_id', or select only what it covers: its service groups, its projects "
        "in 'data_connector_project_ids', and their status in 'data_connector_project_status'."
    )


def _without_files(job: Job, now: dt.datetime) -> str | None:
    """Return why a job's files are not available, as the rest of a sentence."""
    if job.status != "complete":
        return None
    if job.completion_status != "success":
        return f"ended as '{job.completion_status}' and has no files"
    if job.completed_at and now - job.completed_at > KEPT:
        return f"ended at {job.completed_at:%Y-%m-%d}, and files are kept for {KEPT.days} days"
    return None
