"""Loads from extracts that exist already: the pinned one, and the latest that cover the tables."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any, cast

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.data_connector.chunks import ProjectChunk, partition_of
from tap_autodesk_exports.autodesk.data_connector.existing import Wanted
from tap_autodesk_exports.autodesk.data_connector.pinned_job import error_for, pinned
from tap_autodesk_exports.clock import instant
from tap_autodesk_exports.errors import ConfigurationError, TapError
from tap_autodesk_exports.exports.export import ExportSpec, Loaded
from tap_autodesk_exports.loading.dataset import Load
from tap_autodesk_exports.loading.windows import Window

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tap_autodesk_exports.autodesk.data_connector.catalog import TableDataset
    from tap_autodesk_exports.autodesk.data_connector.client import DataConnector
    from tap_autodesk_exports.autodesk.data_connector.date_ranges import DateRanges
    from tap_autodesk_exports.autodesk.data_connector.existing import ExistingExtracts, Extract
    from tap_autodesk_exports.loading.dataset import Selected
    from tap_autodesk_exports.settings import Settings

    Loads = Iterator[tuple[Sequence[TableDataset], Load]]
    """Some tables, and what they load."""

logger = logging.getLogger("tap-autodesk-exports")


class Reuse:
    """Plans loads that cost no job.

    Args:
        settings: The settings.
        client: The endpoints.
        existing: The extracts that exist already.
        selected: The selected tables.
        ranges: The selected tables that are, and from when on each is wanted.
    """

    def __init__(
        self,
        settings: Settings,
        client: DataConnector,
        existing: ExistingExtracts,
        selected: Sequence[Selected],
        ranges: DateRanges,
    ) -> None:
        self._settings = settings
        self._client = client
        self._existing = existing
        self._selected = {each.name: each for each in selected}
        self._snapshots = [
            cast("TableDataset", each.dataset) for each in selected if not each.dataset.is_dated
        ]
        self._ranges = ranges

    def pinned(self, account: str, projects: ProjectChunk) -> Loads:
        """Plan the extract that the settings name, which may hold more projects than they do.

        A table that it does not cover fails alone.
        """
        partition = partition_of(account, projects.name)
        tables = [*self._snapshots, *self._ranges.tables]
        try:
            job_id = str(self._settings.data_connector_job_id)
            extract = pinned(self._client, account, job_id)
        except TapError as error:
            yield tables, failed(partition, error)
            return
        for table in tables:
            since = self._ranges.start_of(table, partition) if table.is_dated else None
            wanted = self.wanted(projects, [table.service_group], since)
            why = error_for(extract, account, dataclasses.replace(wanted, or_more=True))
            yield from self._loads(extract, partition, [table], why)

    def latest(self, partition: Mapping[str, str], chunk: ProjectChunk) -> Loads:
        """Plan the newest extract that covers all snapshots, and one for each dated table."""
        account = partition["account_id"]
        units = [[table] for table in self._ranges.tables]
        units += [[*self._snapshots]] if self._snapshots else []
        for tables in units:
            table, groups = tables[0], {table.service_group for table in tables}
            since = self._ranges.start_of(table, partition) if table.is_dated else None
            extract = self._existing.newest(account, self.wanted(chunk, groups, since))
            if extract:
                if newer := self._not_newer_in_target(tables, partition, extract):
                    yield from self._loads(extract, partition, newer)
            else:
                what = f"'{table.name}' since {since:%Y-%m-%d}" if since else "all selected tables"
                yield tables, failed(partition, _no_extract(account, what))

    def _not_newer_in_target(
        self, tables: Sequence[TableDataset], partition: Mapping[str, str], extract: Extract
    ) -> list[TableDataset]:
        """Return the tables of which no newer snapshot was loaded: rows never go back in time."""
        found = []
        for table in tables:
            loaded = last_taken([self._selected[table.name]], partition)
            taken = instant(extract.job.taken_at)
            if loaded and taken and taken < loaded:
                logger.info(
                    "%s: extract %s is older than what was loaded, so nothing is sent again.",
                    table.name,
                    extract.job.job_id,
                )
            else:
                found.append(table)
        return found

    def _loads(
        self,
        extract: Extract,
        partition: Mapping[str, str],
        tables: Sequence[TableDataset],
        error: TapError | None = None,
    ) -> Loads:
        """Yield the load of snapshots, or of a dated table, from an extract that exists."""
        groups = {table.service_group for table in tables}
        spec = using(self.spec(partition, ProjectChunk("", ()), groups), extract)
        table = tables[0]
        period = extract.period(table.service_group) if table.is_dated and not error else None
        if period:
            if self._ranges.is_loaded(table, partition, period[1]):
                logger.info(
                    "%s: %s ends before the bookmark; nothing is sent again.",
                    table.name,
                    spec.slot,
                )
                return
            # The others of this extract have other dates, or none.
            slot, dates = f"{spec.slot} {table.service_group}", Window("", *period).dates
            spec = dataclasses.replace(spec, slot=slot, start=dates["start"], end=dates["end"])
        yield tables, Load(spec, partition, error)

    def wanted(
        self, chunk: ProjectChunk, groups: Iterable[str], since: dt.datetime | None = None
    ) -> Wanted:
        """Return what an extract must hold to serve some tables."""
        status = self._settings.data_connector_project_status
        return Wanted(frozenset(groups), chunk.project_ids, status, since)

    def spec(
        self,
        partition: Mapping[str, str],
        chunk: ProjectChunk,
        groups: Iterable[str],
        window: Window | None = None,
    ) -> ExportSpec:
        """Return an extract of some projects and groups."""
        body: dict[str, Any] = {
            "serviceGroups": sorted(groups),
            "projectStatus": self._settings.data_connector_project_status,
        }
        if chunk.project_ids:
            body["projectIdList"] = list(chunk.project_ids)
        names = (chunk.name, window.slot if window else "snapshot")
        return ExportSpec(
            api=Api.DATA_CONNECTOR.value,
            owner=partition["account_id"],
            name="extract",
            slot=" ".join(name for name in names if name),
            body=body,
            **(window.dates if window else {}),
        )


def last_taken(selected: Iterable[Selected], partition: Mapping[str, str]) -> dt.datetime | None:
    """Return when the newest snapshot was taken that was loaded of some tables; None for none."""
    snapshots = (each for each in selected if not each.dataset.is_dated)
    return instant(Loaded.of(each.bookmarks.loaded(partition) for each in snapshots).taken_at)


def using(spec: ExportSpec, existing: Extract) -> ExportSpec:
    """Return a spec for an extract that exists already."""
    return dataclasses.replace(spec, slot=f"extract {existing.job.job_id}", existing=existing.name)


def failed(partition: Mapping[str, str], error: TapError) -> Load:
    """Return a load that is not available."""
    spec = ExportSpec(Api.DATA_CONNECTOR.value, partition["account_id"], "extract")
    return Load(spec, partition, error)


def _no_extract(account: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"Data Connector: account {account} has no successful extract that covers {what}, and "
        "'data_connector_extract: latest' requests no new one. Set it to 'auto', or select fewer "
        "tables."
    )
