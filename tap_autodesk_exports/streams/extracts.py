"""Which Data Connector extracts the selected tables need: as few jobs as possible for all of them.

An account has 24 jobs a day, so one job serves every selected table of it. Snapshots take an
extract that is young enough where there is one. Activities and changes (cdc) need date ranges: a
job for each, the last of which brings the snapshots too.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import logging
import threading
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.data_connector import JOBS_A_DAY, extract_files
from tap_autodesk_exports.errors import ConfigurationError, TapError
from tap_autodesk_exports.exports.export import ExportSpec
from tap_autodesk_exports.schemas.registry import bundled
from tap_autodesk_exports.streams.exported import Load
from tap_autodesk_exports.streams.extract import Extract
from tap_autodesk_exports.streams.parts import (
    WHOLE,
    Part,
    partition_of,
    parts_of,
    tell_new_parts,
)
from tap_autodesk_exports.streams.pinned import pinned
from tap_autodesk_exports.streams.quota import Job, afford
from tap_autodesk_exports.streams.windows import Window, grid, spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tap_autodesk_exports.exports.export import FinishedExport, QuotaUsedUp
    from tap_autodesk_exports.run import Run
    from tap_autodesk_exports.streams.data_connector import TableStream

logger = logging.getLogger("tap-autodesk-exports")

ACTIVITY_DAYS = 30
"""Days in one request with activities. Documented: above 31 the range silently falls back to
yesterday."""
DAY = dt.timedelta(hours=24)
FIRST_DAY = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
"""Before everything that an account can hold."""
OVERLAP = dt.timedelta(days=1)
"""How far behind the bookmark events are read again. Documented: they arrive up to 20 minutes
late."""

Loads = dict[str, list[Load]]
"""Name of a stream -> what it loads, oldest first."""


class Extracts:
    """The extracts of this run.

    Args:
        run: The run.
        tables: The selected tables of all accounts.
    """

    def __init__(self, run: Run, tables: Sequence[TableStream]) -> None:
        self._run = run
        self._tables = tables
        self._open: dict[str, Extract] = {}
        self._opening = threading.Lock()
        self._instead: dict[str, ExportSpec | None] = {}
        self._told: set[str] = set()

    def loads(self, table: TableStream) -> list[Load]:
        """Return what a table loads from which extract.

        Raises:
            ConfigurationError: No account is named.
        """
        return self._plan.get(table.name, [])

    def of(self, finished: FinishedExport) -> Extract:
        """Return the files of a finished extract; also asked for by what fetches ahead."""
        key = finished.pending.spec.key
        with self._opening:
            if key not in self._open:
                users = sum(
                    load.error is None and self._used(table, load) == key
                    for table in self._tables
                    for load in self.loads(table)
                )
                self._open[key] = Extract(self._run, finished, users)
                self._tell_new_tables(finished)
            return self._open[key]

    def _tell_new_tables(self, finished: FinishedExport) -> None:
        """Name the files of selected service groups that are tables of no stream, once."""
        known = {*bundled(), *self._tables[0].tap.streams}
        groups = {table.service_group for table in self._tables}
        names = {file.name.removesuffix(".csv") for file in extract_files(finished)}
        new = sorted(
            name for name in names - known - self._told if name.partition("_")[0] in groups
        )
        if not new:
            return
        self._told.update(new)
        logger.warning(
            "The Data Connector has tables that no stream knows, so they are not loaded: %s. To "
            "have them as streams, set 'data_connector_schema: live' and refresh the catalog: "
            "`meltano run --refresh-catalog …`, or `tap-autodesk-exports --discover`. "
            "`autodesk-exports schema` shows what has changed.",
            ", ".join(new),
        )

    def instead_of(self, spec: ExportSpec, error: QuotaUsedUp) -> ExportSpec | None:
        """Return the newest extract that is there for the snapshots of one that is not to be had.

        None where there is none, or the settings do not leave the choice to the tap (`auto`).
        """
        if self._run.settings.data_connector_extract != "auto":
            return None
        if spec.key not in self._instead:
            self._instead[spec.key] = self._older(spec, error)
        return self._instead[spec.key]

    def _older(self, spec: ExportSpec, error: QuotaUsedUp) -> ExportSpec | None:
        existing = self._run.data_connector.newest_extract(
            spec.owner,
            service_groups={table.service_group for table in self._tables if not table.is_dated},
            project_ids=spec.body.get("projectIdList", ()),
            project_status=spec.body["projectStatus"],
            since=None,
        )
        if existing is None:
            return None
        older = _use(spec, existing)
        logger.warning("%s The newest extract is loaded instead (%s).", error, existing)
        self._run.runner.start(older)
        return older

    def _used(self, table: TableStream, load: Load) -> str:
        """Return the key of the export that a table is loaded from in the end."""
        older = None if table.is_dated else self._instead.get(load.spec.key)
        return (older or load.spec).key

    @functools.cached_property
    def _plan(self) -> Loads:
        plan: Loads = {table.name: [] for table in self._tables}
        settings = self._run.settings
        for account in account_ids(self._run):
            if settings.data_connector_job_id:
                self._plan_pinned(plan, account, settings.data_connector_job_id)
                continue
            jobs: list[Job] = []
            parts = parts_of(settings.data_connector_project_ids)
            tell_new_parts(account, parts, self._tables)
            for part in parts:
                partition = partition_of(account, part.name)
                try:
                    jobs += self._jobs(plan, partition, part)
                except TapError as error:
                    self._fail(plan, partition, error)
            try:
                jobs = self._affordable(account, jobs)
            except TapError as error:
                for name in {job.part.name: None for job in jobs}:
                    self._fail(plan, partition_of(account, name), error)
                continue
            for job in jobs:
                spec = self._spec(job.partition, job.part, job.groups, job.window)
                for table in job.tables:
                    plan[table.name].append(Load(spec, job.partition))
        return plan

    def _plan_pinned(self, plan: Loads, account: str, job_id: str) -> None:
        """Plan a certain extract, whatever projects it was asked for; it costs no job."""
        partition = partition_of(account, WHOLE.name)
        try:
            found = pinned(self._run, account, job_id)
        except TapError as error:
            self._fail(plan, partition, error)
            return
        groups = {table.service_group for table in self._tables}
        spec = _use(self._spec(partition, WHOLE, groups), found.existing)
        errors = {group: found.error_for(group) for group in groups}
        for table in self._tables:
            plan[table.name].append(Load(spec, partition, errors[table.service_group]))

    def _fail(self, plan: Loads, partition: dict[str, str], error: TapError) -> None:
        spec = ExportSpec(Api.DATA_CONNECTOR.value, partition["account_id"], "extract")
        for table in self._tables:
            plan[table.name].append(Load(spec, partition, error))

    def _jobs(self, plan: Loads, partition: dict[str, str], part: Part) -> list[Job]:
        """Return the jobs that some projects of an account need; plan what is there already."""
        if existing := self._latest(partition["account_id"], part):
            spec = self._spec(partition, part, {table.service_group for table in self._tables})
            for table in self._tables:
                plan[table.name].append(Load(_use(spec, existing), partition))
            return []
        jobs = [
            Job(partition, part, window, tuple(tables))
            for window, tables in self._windows(partition)
        ]
        snapshots = tuple(table for table in self._tables if not table.is_dated)
        if not snapshots:
            return jobs
        alone = Job(partition, part, None, snapshots=snapshots)
        if self._is_pending(alone):
            return [*jobs, alone]
        last = jobs.pop() if jobs else Job(partition, part, None)
        groups = {table.service_group for table in snapshots}
        if young := self._young_extract(partition, part, groups, last.window):
            spec = _use(self._spec(partition, part, groups), young)
            for table in snapshots:
                plan[table.name].append(Load(spec, partition))
            return [*jobs, last] if last.dated else jobs
        return [*jobs, dataclasses.replace(last, snapshots=snapshots)]

    def _affordable(self, account: str, jobs: list[Job]) -> list[Job]:
        """Return those jobs that the day's quota allows, and tell about the others.

        Raises:
            TapError: The account's jobs cannot be listed.
        """
        if len(jobs) <= 1:
            return jobs  # if there is no room for one, the server says so
        since = self._run.clock.now() - DAY
        free = JOBS_A_DAY - len(self._run.data_connector.jobs_since(account, since))
        chosen = afford(jobs, free, self._is_pending)
        if left := sum(bool(job.dated) for job in jobs) - sum(bool(job.dated) for job in chosen):
            a_day = max(1, JOBS_A_DAY - sum(bool(job.snapshots) for job in jobs))
            logger.warning(
                "Data Connector: account %s has %d of its %d jobs in 24 hours left, so the oldest "
                "date ranges are loaded first and %d are left for later runs; days needed at a "
                "run a day: %d.",
                account,
                max(0, free),
                JOBS_A_DAY,
                left,
                -(-left // a_day),
            )
        return chosen

    def _is_pending(self, job: Job) -> bool:
        """Tell whether a job was asked for by an earlier run, so that it costs nothing more."""
        spec = self._spec(job.partition, job.part, job.groups, job.window)
        return self._run.ledger.pending(spec.key) is not None

    def _latest(self, account: str, part: Part) -> str | None:
        """Return the latest extract, where the settings ask for it.

        Raises:
            ConfigurationError: There is none.
        """
        if self._run.settings.data_connector_extract != "latest":
            return None
        found = self._newest(account, part, {table.service_group for table in self._tables}, None)
        if found is None:
            msg = (
                f"Data Connector: account {account} has no successful extract that covers all "
                "selected tables, and 'data_connector_extract: latest' asks for no new one. Set it "
                "to 'auto', or select fewer tables."
            )
            raise ConfigurationError(msg)
        return found

    def _windows(self, partition: Mapping[str, str]) -> list[tuple[Window, list[TableStream]]]:
        """Return the date ranges that a partition needs, and the tables that each serves.

        Changes have no longest range (none is documented), so they take one job, and none of their
        own where the last range of the activities covers them.
        """
        activities = [table for table in self._tables if table.is_activity]
        changes = [table for table in self._tables if table.is_delta]
        found: list[tuple[Window, list[TableStream]]] = []
        if not (activities or changes):
            return found
        _, end = self._run.settings.period(self._run.clock.now())
        if activities:
            start = min(self._start(table, partition) for table in activities)
            found = [
                (window, [t for t in activities if self._start(t, partition) < window.end])
                for window in spans(start, end, ACTIVITY_DAYS, OVERLAP)
            ]
        if changes:
            start = min(self._start(table, partition) for table in changes)
            if found and found[-1][0].start <= start:
                found[-1][1].extend(changes)
            elif start < end:
                found.insert(0, (Window("changes", start, end), changes))
        return found

    def _start(self, table: TableStream, partition: Mapping[str, str]) -> dt.datetime:
        """Return from where a table is read: its bookmark less the overlap, or the very begin.

        Changes since the first day are all rows, so the first run has them whatever the start date
        is: a table of which some rows are missing is of no use.
        """
        settings = self._run.settings
        bookmark = table.bookmark(partition)
        if table.is_delta:
            return bookmark - OVERLAP if bookmark else FIRST_DAY
        start, _ = settings.period(self._run.clock.now(), bookmark, OVERLAP)
        if bookmark or settings.start_date:
            return start
        # The default begin moves from day to day; its cell of the grid does so only rarely.
        return grid(start, ACTIVITY_DAYS - OVERLAP.days)

    def _young_extract(
        self,
        partition: Mapping[str, str],
        part: Part,
        groups: set[str],
        last: Window | None,
    ) -> str | None:
        """Return an extract that is young enough, unless one is pending that will be younger."""
        settings = self._run.settings
        if settings.data_connector_extract != "auto":
            return None
        if self._run.ledger.pending(self._spec(partition, part, groups, last).key):
            return None
        age = dt.timedelta(hours=settings.data_connector_max_age_hours)
        since = self._run.clock.now() - age
        return self._newest(partition["account_id"], part, groups, since)

    def _newest(
        self, account: str, part: Part, groups: Iterable[str], since: dt.datetime | None
    ) -> str | None:
        return self._run.data_connector.newest_extract(
            account,
            service_groups=groups,
            project_ids=part.project_ids,
            project_status=self._run.settings.data_connector_project_status,
            since=since,
        )

    def _spec(
        self,
        partition: Mapping[str, str],
        part: Part,
        groups: Iterable[str],
        window: Window | None = None,
    ) -> ExportSpec:
        body: dict[str, Any] = {
            "serviceGroups": sorted(groups),
            "projectStatus": self._run.settings.data_connector_project_status,
        }
        if part.project_ids:
            body["projectIdList"] = list(part.project_ids)
        names = (part.name, window.slot if window else "snapshot")
        return ExportSpec(
            api=Api.DATA_CONNECTOR.value,
            owner=partition["account_id"],
            name="extract",
            slot=" ".join(name for name in names if name),
            body=body,
            **(window.dates if window else {}),
        )


def _use(spec: ExportSpec, existing: str) -> ExportSpec:
    """Return a spec for an extract that is there already."""
    return dataclasses.replace(
        spec, slot=f"extract {existing.rpartition('/')[2]}", existing=existing
    )


def account_ids(run: Run) -> Sequence[str]:
    """Return the accounts of the settings.

    Raises:
        ConfigurationError: There is none.
    """
    if not run.settings.data_connector_account_ids:
        msg = (
            "Setting 'data_connector_account_ids' is missing: name the accounts to extract (a hub "
            "ID without its 'b.'), or leave 'data_connector' out of 'apis'."
        )
        raise ConfigurationError(msg)
    return run.settings.data_connector_account_ids
