"""How many jobs may be requested: 24 in a day for an account, and for a user."""

from __future__ import annotations

import collections
import contextlib
import datetime as dt
from typing import TYPE_CHECKING

from tap_autodesk_exports.autodesk.answers import read_each
from tap_autodesk_exports.autodesk.data_connector.client import JOBS_A_DAY, Job
from tap_autodesk_exports.clock import instant
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.exports.export import QuotaUsedUp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tap_autodesk_exports.autodesk.data_connector.client import DataConnector

DAY = dt.timedelta(days=1)
SOON = dt.timedelta(minutes=15)
"""A job that is free within this time counts as free, and its request waits for that moment: a run
that starts each day at the same minute finds the jobs of the day before just short of a day old."""


class JobQuota:
    """The jobs of the last 24 hours: of an account, and of the user in all accounts of the run.

    Documented: 24 for each, in rolling 24 hours. A user sees only their own jobs, so the count may
    fall short: what the server answers prevails.

    Args:
        client: The endpoints.
        accounts: The accounts of the run.
    """

    def __init__(self, client: DataConnector, accounts: Sequence[str]) -> None:
        self._client = client
        self._accounts = accounts
        self._listed: dict[str, dt.datetime] = {}
        self._requested: dict[str, list[dt.datetime]] = collections.defaultdict(list)
        self._refused: dict[str, str] = {}

    @property
    def is_shared(self) -> bool:
        """Whether several accounts share the user's jobs."""
        return len(self._accounts) > 1

    # Before anything is requested

    def free(self, account: str) -> int:
        """Return how many jobs an account may have now, or soon.

        Raises:
            TapError: Its jobs cannot be listed.
        """
        return JOBS_A_DAY - _since(self._soon(), self._known(account))

    def free_of_user(self) -> int:
        """Return how many jobs the user may have now, or soon."""
        return JOBS_A_DAY - _since(self._soon(), self._of_user())

    def refuse(self, key: str, account: str) -> None:
        """Have a job not requested, because others of the user come first.

        Args:
            key: Key of the export.
            account: Its account.
        """
        free_at = self._free_at(self._of_user())
        when = f"{free_at:%Y-%m-%d %H:%M} UTC" if free_at else "tomorrow"
        self._refused[key] = (
            f"Data Connector: no extract of account {account} is requested in this run. The user "
            f"who signed in may have {JOBS_A_DAY} jobs in 24 hours, of all accounts together, and "
            f"accounts whose extract is older come first. The next jobs are free at {when}."
        )

    def check(self, key: str) -> None:
        """Raise where a job is not to be requested.

        Raises:
            QuotaUsedUp: Others come first.
        """
        if why := self._refused.get(key):
            raise QuotaUsedUp(why)

    # Once something is requested

    def requested(self, account: str) -> None:
        """Note a job that this run has requested."""
        self._requested[account].append(self._now())

    def wait_after_refusal(self, account: str) -> float | None:
        """Return the seconds until the server, which answered 429, accepts a job; None: unknown.

        Raises:
            QuotaUsedUp: It takes longer than a run waits.
            TapError: The account's jobs cannot be listed.
        """
        now = self._now()
        listed = self._client.jobs_since(account, now - DAY)
        known = max(listed, self._known(account), key=len)
        whose = f"account {account} has used its"
        free_at = self._free_at(known)
        if free_at is None:
            whose = "the user who signed in has used the"
            free_at = self._free_at(self._of_user())
        if free_at is None:
            return None
        if free_at - now > SOON:
            msg = (
                f"Data Connector: {whose} {JOBS_A_DAY} jobs of the last 24 hours; the next one can "
                f"be requested at {free_at:%Y-%m-%d %H:%M} UTC. Run again then, or load an "
                "existing extract with 'data_connector_extract: latest'."
            )
            raise QuotaUsedUp(msg)
        return (free_at - now).total_seconds() + 1

    # Counted

    def _now(self) -> dt.datetime:
        return self._client.server_time.now()

    def _soon(self) -> dt.datetime:
        return self._now() - DAY + SOON

    def _known(self, account: str) -> list[dt.datetime]:
        """Return when the jobs of an account were created, those of this run included."""
        jobs = read_each(self._client.first_jobs(account), Job.read).items
        listed_at = self._listed.setdefault(account, self._now())
        created = (instant(job.created_at) for job in jobs)
        since = (at for at in self._requested[account] if at > listed_at)
        return [*filter(None, created), *since]

    def _of_user(self) -> list[dt.datetime]:
        found: list[dt.datetime] = []
        for account in self._accounts:
            with contextlib.suppress(TapError):  # it fails alone, where its tables are planned
                found += self._known(account)
        return found

    def _free_at(self, created: Iterable[dt.datetime]) -> dt.datetime | None:
        """Return when one of the jobs is a day old, so that another one may follow; None: now."""
        counted = sorted(at for at in created if at > self._now() - DAY)
        return counted[-JOBS_A_DAY] + DAY if len(counted) >= JOBS_A_DAY else None


def _since(start: dt.datetime, created: Iterable[dt.datetime]) -> int:
    return sum(at > start for at in created)
