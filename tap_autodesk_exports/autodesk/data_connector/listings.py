"""What the Data Connector answers at once: the user's requests, jobs and files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.answers import read_each
from tap_autodesk_exports.autodesk.data_connector.client import Job
from tap_autodesk_exports.autodesk.data_connector.scope import as_texts
from tap_autodesk_exports.autodesk.http import NotFound
from tap_autodesk_exports.autodesk.personal import is_personal
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.loading.listing import (
    BOOLEAN,
    NUMBER,
    STRING,
    STRINGS,
    TIMESTAMP,
    Listing,
    list_schema,
)

if TYPE_CHECKING:
    from tap_autodesk_exports.autodesk.data_connector.source import DataConnectorSource

    OfAccount = Callable[[DataConnectorSource, str], Iterable[Any]]
    """Yields the entries of one account."""

SUCCESS = "success"


def _by_account(of_account: OfAccount) -> Callable[[DataConnectorSource], Iterable[Any]]:
    """Return how a list is read account by account; one that fails, fails alone."""

    def read(source: DataConnectorSource) -> Iterable[Any]:
        for account in source.accounts:
            try:
                yield from of_account(source, account)
            except TapError as error:
                yield error

    return read


def _with_projects(entries: Iterable[Any]) -> Iterable[Any]:
    """Yield entries with `projectIdList` as a list, where the API wrote JSON text of one."""
    for entry in entries:
        projects = as_texts(entry.get("projectIdList")) if isinstance(entry, Mapping) else None
        yield entry if projects is None else {**entry, "projectIdList": projects}


def _requests(source: DataConnectorSource, account: str) -> Iterable[Any]:
    return _with_projects(source.client.requests(account))


def _jobs(source: DataConnectorSource, account: str) -> Iterable[Any]:
    return _with_projects(source.client.jobs(account))


def _files(source: DataConnectorSource, account: str) -> Iterable[Any]:
    """Yield the files of the extracts that can still be downloaded."""
    jobs = read_each(source.client.jobs(account), Job.read)
    yield from jobs.unreadable
    for job in jobs.items:
        if job.completion_status != SUCCESS:
            continue
        try:
            listing = source.client.data_listing(account, job.job_id)
        except NotFound:  # past the 30 days for which extracts are kept
            continue
        for file in listing:
            named = isinstance(file, Mapping)
            yield {"account_id": account, "job_id": job.job_id, **file} if named else file


LISTINGS = (
    Listing(
        name="data_connector_requests",
        api=Api.DATA_CONNECTOR,
        primary_keys=("id",),
        schema=list_schema(
            id=STRING,
            accountId=STRING,
            description=STRING,
            isActive=BOOLEAN,
            serviceGroups=STRINGS,
            projectId=STRING,
            projectIdList=STRINGS,
            projectStatus=STRING,
            scheduleInterval=STRING,
            reoccuringInterval=NUMBER,
            effectiveFrom=TIMESTAMP,
            effectiveTo=TIMESTAMP,
            dateRange=STRING,
            startDate=TIMESTAMP,
            endDate=TIMESTAMP,
            sendEmail=BOOLEAN,
            callbackUrl=STRING,
            createdBy=STRING,
            createdByEmail=STRING,
            createdAt=TIMESTAMP,
            updatedBy=STRING,
            updatedAt=TIMESTAMP,
            lastQueuedAt=TIMESTAMP,
        ),
        is_personal=is_personal,
        read=_by_account(_requests),
    ),
    Listing(
        name="data_connector_jobs",
        api=Api.DATA_CONNECTOR,
        primary_keys=("id",),
        schema=list_schema(
            id=STRING,
            requestId=STRING,
            accountId=STRING,
            projectId=STRING,
            projectIdList=STRINGS,
            status=STRING,
            completionStatus=STRING,
            progress=NUMBER,
            startDate=TIMESTAMP,
            endDate=TIMESTAMP,
            sendEmail=BOOLEAN,
            createdBy=STRING,
            createdByEmail=STRING,
            createdAt=TIMESTAMP,
            startedAt=TIMESTAMP,
            completedAt=TIMESTAMP,
            lastDownloadedBy=STRING,
            lastDownloadedAt=TIMESTAMP,
        ),
        is_personal=is_personal,
        read=_by_account(_jobs),
    ),
    Listing(
        name="data_connector_files",
        api=Api.DATA_CONNECTOR,
        primary_keys=("job_id", "name"),
        schema=list_schema(
            account_id=STRING, job_id=STRING, name=STRING, size=NUMBER, createdAt=TIMESTAMP
        ),
        is_personal=is_personal,
        read=_by_account(_files),
    ),
)
