"""Which extracts the selected tables need: as few jobs as possible for all of them.

An account has 24 jobs a day, and so has a user in all accounts together. So one job serves every
selected table of an account. Snapshots use an extract that is young enough where there is one.
Activities and changes (cdc) need date ranges: a job for each, the last of which brings the
snapshots too.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from typing import TYPE_CHECKING, cast

from tap_autodesk_exports.autodesk.data_connector.chunks import (
    ProjectChunk,
    chunks_of_run,
    partition_of,
    warn_of_new_chunks,
)
from tap_autodesk_exports.autodesk.data_connector.client import JOBS_A_DAY
from tap_autodesk_exports.autodesk.data_connector.date_ranges import DateRanges
from tap_autodesk_exports.autodesk.data_connector.needed import NeededJob, afford, share_out
from tap_autodesk_exports.autodesk.data_connector.reuse import Reuse, failed, last_taken, using
from tap_autodesk_exports.autodesk.data_connector.service import is_requested_for
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.exports.export import Loaded
from tap_autodesk_exports.loading.dataset import Load

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tap_autodesk_exports.autodesk.context import RunContext
    from tap_autodesk_exports.autodesk.data_connector.catalog import TableDataset
    from tap_autodesk_exports.autodesk.data_connector.client import DataConnector
    from tap_autodesk_exports.autodesk.data_connector.existing import ExistingExtracts, Extract
    from tap_autodesk_exports.autodesk.data_connector.needed import Shares
    from tap_autodesk_exports.autodesk.data_connector.quota import JobQuota
    from tap_autodesk_exports.exports.export import ExportSpec
    from tap_autodesk_exports.loading.dataset import Selected
    from tap_autodesk_exports.loading.windows import Window

logger = logging.getLogger("tap-autodesk-exports")

Plan = dict[str, list[Load]]
"""Name of a table -> what it loads, oldest first."""


class ExtractPlanner:
    """Plans the extracts of a run.

    Args:
        context: What the run shares.
        client: The endpoints.
        existing: The extracts that exist already.
        quota: The jobs of the last 24 hours.
        selected: The selected tables.

    Attributes:
        chunks: The projects of the run.
        deferred: Names of the tables of which later runs load some date ranges.
    """

    def __init__(
        self,
        context: RunContext,
        client: DataConnector,
        existing: ExistingExtracts,
        quota: JobQuota,
        selected: Sequence[Selected],
    ) -> None:
        self._settings = context.settings
        self._ledger = context.ledger
        self._now = context.earlier.now()
        self._client = client
        self._existing = existing
        self._quota = quota
        self._selected = selected
        self._tables = [cast("TableDataset", each.dataset) for each in selected]
        self._snapshots = tuple(table for table in self._tables if not table.is_dated)
        dated = [
            (table, each.bookmarks)
            for table, each in zip(self._tables, selected, strict=True)
            if table.is_dated
        ]
        self._ranges = DateRanges(dated, self._settings, self._now)
        self._reuse = Reuse(self._settings, client, existing, selected, self._ranges)
        self.chunks = chunks_of_run(self._settings)
        self._plan: Plan = {}
        self.deferred: set[str] = set()

    def plan(self, accounts: Iterable[str]) -> Plan:
        """Return what each table loads from which extract, account by account."""
        self._plan = {table.name: [] for table in self._tables}
        needed: list[NeededJob] = []
        for account in accounts:
            if self._settings.data_connector_job_id:
                for tables, load in self._reuse.pinned(account, self.chunks[0]):
                    self._add(tables, load)
            else:
                needed += self._needed(account)
        for job in self._affordable(needed):
            self._add(job.tables, Load(self._spec(job), job.partition))
        return self._plan

    def _needed(self, account: str) -> list[NeededJob]:
        """Return the jobs that an account needs; plan what exists already."""
        jobs: list[NeededJob] = []
        warn_of_new_chunks(account, self.chunks, self._selected)
        for chunk in self.chunks:
            partition = partition_of(account, chunk.name)
            try:
                jobs += self._jobs(partition, chunk)
            except TapError as error:
                self._fail(partition, error)
        return jobs

    def _spec(self, job: NeededJob) -> ExportSpec:
        return self._reuse.spec(job.partition, job.chunk, job.groups, job.window)

    def _add(self, tables: Iterable[TableDataset], load: Load) -> None:
        for table in tables:
            self._plan[table.name].append(load)

    def _fail(self, partition: Mapping[str, str], error: TapError) -> None:
        self._add(self._tables, failed(partition, error))

    # The jobs of some projects

    def _jobs(self, partition: Mapping[str, str], chunk: ProjectChunk) -> list[NeededJob]:
        """Return the jobs that some projects of an account need; plan what exists already."""
        if self._settings.data_connector_extract == "latest":
            for tables, load in self._reuse.latest(partition, chunk):
                self._add(tables, load)
            return []
        jobs = [
            NeededJob(partition, chunk, window, tuple(tables))
            for window, tables in self._ranges.of(partition)
        ]
        if not self._snapshots:
            return jobs
        alone = NeededJob(partition, chunk, None, snapshots=self._snapshots)
        if self._is_pending(alone):
            return [*jobs, alone]
        last = jobs.pop() if jobs else NeededJob(partition, chunk, None)
        groups = {table.service_group for table in self._snapshots}
        if young := self._young_extract(partition, chunk, groups, last.window):
            whole = dataclasses.replace(last, snapshots=self._snapshots)
            if last.dated and self._is_left_over(young, whole):
                return [*jobs, whole]
            spec = using(self._reuse.spec(partition, chunk, groups), young)
            self._add(self._snapshots, Load(spec, partition))
            return [*jobs, last] if last.dated else jobs
        return [*jobs, dataclasses.replace(last, snapshots=self._snapshots)]

    def _young_extract(
        self,
        partition: Mapping[str, str],
        chunk: ProjectChunk,
        groups: set[str],
        last: Window | None,
    ) -> Extract | None:
        """Return an extract that is young enough, unless one is pending that will be younger."""
        if self._settings.data_connector_extract != "auto":
            return None
        if self._ledger.pending(self._reuse.spec(partition, chunk, groups, last).key):
            return None
        age = dt.timedelta(hours=self._settings.data_connector_max_age_hours)
        wanted = self._reuse.wanted(chunk, groups)
        now = self._client.server_time.latest()  # jobs have its time
        since = max(filter(None, [now - age, last_taken(self._selected, partition)]))
        return self._existing.newest(partition["account_id"], wanted, since)

    def _is_left_over(self, extract: Extract, job: NeededJob) -> bool:
        """Tell whether a run whose state was lost requested an extract for all of a job.

        Then it holds the dates as well, and is found by what it was requested for.
        """
        loaded = Loaded.of(each.bookmarks.loaded(job.partition) for each in self._selected)
        is_for_it = is_requested_for(extract.request, self._spec(job))
        return is_for_it and extract.job.job_id not in loaded.marks

    # The jobs that the quotas allow

    def _affordable(self, jobs: list[NeededJob]) -> list[NeededJob]:
        """Return those jobs that the day's quotas allow, and warn about the others.

        Snapshots that must wait stay, with a job that is not requested: an older extract serves.
        """
        if sum(not self._is_pending(job) for job in jobs) <= 1:
            return jobs  # if there is no room for one, the server says so
        of_account: dict[str, list[NeededJob]] = {}
        for job in jobs:
            of_account.setdefault(job.account, []).append(job)
        free: dict[str, int] = {}
        for account, needed in of_account.items():
            try:
                free[account] = self._quota.free(account)
            except TapError as error:
                for name in {job.chunk.name: None for job in needed}:
                    self._fail(partition_of(account, name), error)
        asked = [job for job in jobs if job.account in free and not self._is_pending(job)]
        free_of_user = self._quota.free_of_user()
        shares = share_out(asked, free, free_of_user, self._last_taken)
        return [
            job
            for account in free
            for job in self._chosen(of_account[account], shares, free[account], free_of_user)
        ]

    def _last_taken(self, job: NeededJob) -> dt.datetime:
        """Return when the last extract was taken that holds a job's snapshots."""
        groups = {table.service_group for table in job.snapshots}
        wanted = self._reuse.wanted(job.chunk, groups)
        return self._existing.last_taken(job.account, wanted)

    def _chosen(
        self, jobs: list[NeededJob], shares: Shares, free: int, free_of_user: int
    ) -> list[NeededJob]:
        """Return what an account loads of what it needs."""
        account = jobs[0].account
        asked = [job for job in jobs if not self._is_pending(job)]
        snapshots = sum(bool(job.snapshots) for job in asked)
        chosen = afford(jobs, snapshots + shares.dated[account], self._is_pending)
        refused = {job.chunk for job in shares.refused if job.account == account}
        for at, job in enumerate(chosen):
            if job.snapshots and job.chunk in refused:
                chosen[at] = dataclasses.replace(job, window=None, dated=())
                self._quota.refuse(self._spec(chosen[at]).key, account)
        kept = {(job.chunk.name, table.name, job.window) for job in chosen for table in job.dated}
        for job in jobs:
            tables = {table.name for table in job.dated}
            self.deferred |= {n for n in tables if (job.chunk.name, n, job.window) not in kept}
        if left := sum(bool(job.dated) for job in jobs) - sum(bool(job.dated) for job in chosen):
            is_of_user = self._quota.is_shared and free_of_user <= free
            whose = "is of a user who has" if is_of_user else "has"
            logger.warning(
                "Data Connector: account %s %s %d of its %d jobs in 24 hours left, so the oldest "
                "date ranges are loaded first and %d are left for later runs; days needed at one "
                "run a day: %d.",
                account,
                whose,
                max(0, min(free, free_of_user)),
                JOBS_A_DAY,
                left,
                -(-left // max(1, JOBS_A_DAY - snapshots)),
            )
        return chosen

    def _is_pending(self, job: NeededJob) -> bool:
        """Tell whether a job was requested by an earlier run, so that it costs nothing more."""
        spec = self._spec(job)
        pending = self._ledger.pending(spec.key)
        loaded = Loaded.of(
            each.bookmarks.loaded(job.partition)
            for each in self._selected
            if each.dataset in job.tables
        )
        return pending is not None and not (
            loaded.overtakes(pending, spec) or loaded.outlasts(pending, self._now)
        )
