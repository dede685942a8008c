"""What the doctor tries of the Data Connector."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.answers import read_each
from tap_autodesk_exports.autodesk.data_connector.client import JOBS_A_DAY, DataConnector, Job
from tap_autodesk_exports.autodesk.findings import Finding, Verdict, failure
from tap_autodesk_exports.clock import instant
from tap_autodesk_exports.errors import TapError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_autodesk_exports.autodesk.http import ApiContext
    from tap_autodesk_exports.settings import Settings


def check(context: ApiContext, settings: Settings) -> Iterator[Finding]:
    """Try to list the requests and jobs of each account."""
    if not settings.data_connector_account_ids:
        yield Finding(
            Api.DATA_CONNECTOR,
            "account",
            Verdict.FAILS,
            "none is set",
            "",
            "set 'data_connector_account_ids' to the account's ID (a hub's ID without `b.`)",
        )
    client = DataConnector(context, settings.requests_per_minute)
    for account in settings.data_connector_account_ids:
        yield from _account(client, account, settings)


def _account(data_connector: DataConnector, account: str, settings: Settings) -> Iterator[Finding]:
    api, step = Api.DATA_CONNECTOR, "account"
    try:
        requests = data_connector.requests(account)
        jobs = read_each(data_connector.jobs(account), Job.read)
    except TapError as error:
        cause = (
            "custom integration missing: an account admin has not added the app to the account; "
            "or role missing: the user has no executive overview of the account and is no project "
            "admin; or the ID is not an account's"
        )
        remedy = (
            "let an account admin add the app under Account Admin > Custom Integrations, give the "
            "user executive overview, and check the ID (a hub's ID without `b.`)"
        )
        yield failure(api, step, error, cause, remedy)
        return
    seen = f"{account}: {len(requests)} requests of this user"
    yield Finding(api, step, Verdict.WORKS, seen)
    yield from (failure(api, step, unreadable) for unreadable in jobs.unreadable)
    yield _jobs_left(data_connector, jobs.items)
    if settings.data_connector_project_ids:
        yield Finding(
            api,
            "projects",
            Verdict.NOTE,
            f"{len(settings.data_connector_project_ids)} listed; a request for them is refused "
            "whole where the user is no admin of a single one",
        )


def _jobs_left(data_connector: DataConnector, jobs: Sequence[Job]) -> Finding:
    """Say how many jobs of the last 24 hours are left (documented: 24 an account and a user)."""
    api, step, day = Api.DATA_CONNECTOR, "jobs left", dt.timedelta(hours=24)
    since = data_connector.clock.now() - day
    begun = sorted(at for job in jobs if (at := instant(job.created_at)) and at > since)
    left = max(JOBS_A_DAY - len(begun), 0)
    seen = f"{left} of {JOBS_A_DAY} in the last 24 hours (jobs of other users are not seen)"
    if left:
        return Finding(api, step, Verdict.WORKS, seen)
    free = begun[-JOBS_A_DAY] + day
    return Finding(
        api,
        step,
        Verdict.NOTE,
        seen,
        "the day's quota is used up",
        f"wait until {free:%Y-%m-%d %H:%M} UTC, or load an existing extract with "
        "'data_connector_extract' latest",
    )
