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
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.autodesk.http import NotFound
from tap_autodesk_exports.errors import ConfigurationError, TapError
from tap_autodesk_exports.exports.export import ExportSpec
from tap_autodesk_exports.settings import Api
from tap_autodesk_exports.streams.base import Load
from tap_autodesk_exports.streams.extract import Extract
from tap_autodesk_exports.streams.windows import Window, cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tap_autodesk_exports.exports.export import Finished, QuotaUsedUp
    from tap_autodesk_exports.run import Run
    from tap_autodesk_exports.streams.data_connector import TableStream

logger = logging.getLogger("tap-autodesk-exports")

PROJECTS_A_REQUEST = 50
ACTIVITY_DAYS = 30
"""Days in one request with activities. Documented: above 31 the range silently falls back to
yesterday."""
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
        self._instead: dict[str, ExportSpec | None] = {}

    def loads(self, table: TableStream) -> list[Load]:
        """Return what a table loads from which extract.

        Raises:
            ConfigurationError: No account is named.
        """
        return self._plan.get(table.name, [])

    def of(self, finished: Finished) -> Extract:
        """Return the files of a finished extract."""
        key = finished.asked.spec.key
        if key not in self._open:
            users = sum(
                self._used(table, load) == key
                for table in self._tables
                for load in self.loads(table)
            )
            self._open[key] = Extract(self._run, finished, users)
        return self._open[key]

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
        for account in account_ids(self._run):
            for part in _parts(self._run.settings.data_connector_project_ids):
                partition = {"account_id": account} | ({"part": part.name} if part.name else {})
                try:
                    self._plan_part(plan, partition, part)
                except TapError as error:
                    for table in self._tables:
                        spec = ExportSpec(Api.DATA_CONNECTOR.value, account, "extract")
                        plan[table.name].append(Load(spec, partition, error))
        return plan

    def _plan_part(self, plan: Loads, partition: dict[str, str], part: _Part) -> None:
        """Plan the extracts of some projects of one account."""
        if existing := self._given(partition["account_id"], part):
            spec = self._spec(partition, part, {table.service_group for table in self._tables})
            for table in self._tables:
                plan[table.name].append(Load(_use(spec, existing), partition))
            return
        windows = self._windows(partition)
        snapshots = {table.service_group for table in self._tables if not table.is_dated}
        last = windows[-1] if windows else None
        young = self._young_extract(partition, part, snapshots, last) if snapshots else None
        ranges: list[Window | None] = [*windows] or [None]
        for window in ranges:
            dated = [table for table in self._tables if self._needs(table, partition, window)]
            groups = {table.service_group for table in dated}
            served = list(dated)
            if window is last and snapshots and not young:
                groups |= snapshots
                served += [table for table in self._tables if not table.is_dated]
            if groups:
                spec = self._spec(partition, part, groups, window)
                for table in served:
                    plan[table.name].append(Load(spec, partition))
        if young:
            spec = self._spec(partition, part, snapshots)
            for table in self._tables:
                if not table.is_dated:
                    plan[table.name].append(Load(_use(spec, young), partition))

    def _given(self, account: str, part: _Part) -> str | None:
        """Return the extract that the settings ask for: a certain one, or the latest.

        Raises:
            ConfigurationError: There is no such extract.
        """
        settings = self._run.settings
        if job_id := settings.data_connector_job_id:
            return self._pinned(account, job_id)
        if settings.data_connector_extract != "latest":
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

    def _pinned(self, account: str, job_id: str) -> str:
        try:
            job = self._run.data_connector.job(account, job_id)
        except NotFound:
            msg = (
                f"Data Connector: account {account} has no job {job_id} that this user may see. "
                "Check 'data_connector_job_id' and 'data_connector_account_ids': jobs are visible "
                "only to the user who asked for them."
            )
            raise ConfigurationError(msg) from None
        return f"{job['requestId']}/{job_id}"

    def _windows(self, partition: Mapping[str, str]) -> list[Window]:
        """Return the date ranges that the activities and changes of a partition need."""
        dated = [table for table in self._tables if table.is_dated]
        if not dated:
            return []
        _, end = self._period()
        start = min(self._start(table, partition) for table in dated)
        if any(table.is_activity for table in dated):
            return list(cells(start, end, ACTIVITY_DAYS))
        return [Window("changes", start, end)]

    def _period(self) -> tuple[dt.datetime, dt.datetime]:
        return self._run.settings.period(self._run.clock.now())

    def _start(self, table: TableStream, partition: Mapping[str, str]) -> dt.datetime:
        start, _ = self._period()
        bookmark = table.bookmark(partition)
        return max(start, bookmark - OVERLAP) if bookmark else start

    def _needs(
        self, table: TableStream, partition: Mapping[str, str], window: Window | None
    ) -> bool:
        if window is None or not table.is_dated:
            return False
        return self._start(table, partition) < window.end

    def _young_extract(
        self,
        partition: Mapping[str, str],
        part: _Part,
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
        self, account: str, part: _Part, groups: Iterable[str], since: dt.datetime | None
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
        part: _Part,
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


@dataclasses.dataclass(frozen=True)
class _Part:
    """The projects of one request: 50 at most (documented)."""

    name: str
    project_ids: tuple[str, ...]


def _parts(project_ids: Sequence[str]) -> list[_Part]:
    if len(project_ids) <= PROJECTS_A_REQUEST:
        return [_Part("", tuple(project_ids))]
    return [
        _Part(f"projects from {at + 1}", tuple(project_ids[at : at + PROJECTS_A_REQUEST]))
        for at in range(0, len(project_ids), PROJECTS_A_REQUEST)
    ]


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
