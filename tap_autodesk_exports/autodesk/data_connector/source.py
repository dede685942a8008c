"""Data Connector in a run: which extracts to request, and which of their files hold a table."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from typing import TYPE_CHECKING, cast

from typing_extensions import override

from tap_autodesk_exports.autodesk.data_connector.chunks import left_out
from tap_autodesk_exports.autodesk.data_connector.client import DataConnector
from tap_autodesk_exports.autodesk.data_connector.existing import ExistingExtracts, Wanted
from tap_autodesk_exports.autodesk.data_connector.extracts import OpenExtracts
from tap_autodesk_exports.autodesk.data_connector.planner import ExtractPlanner
from tap_autodesk_exports.autodesk.data_connector.quota import JobQuota
from tap_autodesk_exports.autodesk.data_connector.reuse import last_taken, using
from tap_autodesk_exports.autodesk.data_connector.schema.registry import bundled
from tap_autodesk_exports.autodesk.data_connector.service import (
    DataConnectorService,
    extract_files,
)
from tap_autodesk_exports.errors import ConfigurationError, TapError
from tap_autodesk_exports.exports.export import YOUNG
from tap_autodesk_exports.files.convert import as_csv
from tap_autodesk_exports.loading.dataset import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tap_autodesk_exports.autodesk.context import RunContext
    from tap_autodesk_exports.autodesk.data_connector.catalog import TableDataset
    from tap_autodesk_exports.exports.export import (
        ExportFile,
        ExportSpec,
        FinishedExport,
        QuotaUsedUp,
    )
    from tap_autodesk_exports.loading.dataset import Dataset, Load, Selected

logger = logging.getLogger("tap-autodesk-exports")


class DataConnectorSource(Source):
    """Data Connector as a `Source`: one extract of an account serves many tables."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._settings = context.settings
        self.client = DataConnector(context.api, context.settings.requests_per_minute)
        young = min(YOUNG, dt.timedelta(hours=self._settings.data_connector_max_age_hours))
        self._quota = JobQuota(self.client, self._settings.data_connector_account_ids)
        self.service = DataConnectorService(self.client, self._quota, young)
        self._existing = ExistingExtracts(self.client, context.ledger.given_up_ids)
        self._extracts = OpenExtracts(
            self._fetch, context.workspace, self._settings.requests_per_minute
        )
        self._selected: Sequence[Selected] = ()
        self._tables: list[TableDataset] = []
        self._instead: dict[str, ExportSpec | None] = {}
        self._reported: set[str] = set()
        self._looked_through: set[str] = set()
        self._deferred: set[str] = set()
        self._left_out: dict[str, str] = {}

    @property
    def accounts(self) -> Sequence[str]:
        """The accounts of the settings.

        Raises:
            ConfigurationError: There is none.
        """
        if not self._settings.data_connector_account_ids:
            msg = (
                "Setting 'data_connector_account_ids' is missing: name the accounts to extract (a "
                "hub ID without its 'b.'), or leave 'data_connector' out of 'apis'."
            )
            raise ConfigurationError(msg)
        return self._settings.data_connector_account_ids

    @override
    def plan(self, selected: Sequence[Selected]) -> Mapping[str, list[Load] | TapError]:
        """Name the extracts that the tables need, for each account."""
        self._selected = selected
        self._tables = [cast("TableDataset", each.dataset) for each in selected]
        if self._settings.data_connector_extract == "auto" or any(
            table.is_dated for table in self._tables
        ):
            self._ask_the_time()
        planner = ExtractPlanner(self._context, self.client, self._existing, self._quota, selected)
        status = self._settings.data_connector_project_status
        for each in selected:
            if why := left_out(planner.chunks, status, self.accounts, each.bookmarks):
                self._left_out[each.name] = why
        plan = planner.plan(self.accounts)
        self._deferred = planner.deferred
        for name, loads in plan.items():
            self._extracts.expect(name, loads)
        return plan

    def _ask_the_time(self) -> None:
        """Have the server answer once before date ranges are made and ages are told from now."""
        for account in self.accounts:
            with contextlib.suppress(TapError):  # it fails again where it is needed
                self._existing.look(account)
                return

    @override
    def fetch(self, dataset: Dataset, finished: FinishedExport, folder: Path) -> Path | None:
        """Fetch a table's file, alone or out of the ZIP of all of them."""
        self._report_new_tables(finished)
        path = self._extracts.of(finished).table(dataset.name, folder)
        if path is None:
            logger.warning(
                "%s: extract %s has no file of this table, not even an empty one: no rows are "
                "loaded from it, and none are removed.",
                dataset.name,
                finished.export_id,
            )
            return None
        return as_csv(path, folder)

    def _fetch(self, finished: FinishedExport, file: ExportFile, folder: Path) -> Path:
        return self._context.downloader.fetch(self.service, finished, file, folder)

    def _report_new_tables(self, finished: FinishedExport) -> None:
        """Name the files of selected service groups that belong to no known table, once."""
        if finished.export_id in self._looked_through:
            return
        self._looked_through.add(finished.export_id)
        known = {*bundled(), *self._context.streams}
        groups = {table.service_group for table in self._tables}
        names = {file.name.removesuffix(".csv") for file in extract_files(finished)}
        new = sorted(
            name for name in names - known - self._reported if name.partition("_")[0] in groups
        )
        if not new:
            return
        self._reported.update(new)
        logger.warning(
            "The Data Connector has tables that no stream knows, so they are not loaded: %s. To "
            "have them as streams, set 'data_connector_schema: live' and refresh the catalog: "
            "`meltano run --refresh-catalog …`, or `tap-autodesk-exports --discover`. "
            "`autodesk-exports schema` shows what has changed.",
            ", ".join(new),
        )

    @override
    def instead_of(self, dataset: Dataset, load: Load, error: QuotaUsedUp) -> ExportSpec | None:
        """Return the newest extract for the snapshots of one that is not available.

        None where there is none, or the settings do not leave the choice to the tap (`auto`).
        """
        if self._settings.data_connector_extract != "auto" or dataset.is_dated:
            return None
        if load.spec.key not in self._instead:
            self._instead[load.spec.key] = self._older(load, error)
        return self._instead[load.spec.key]

    def _older(self, load: Load, error: QuotaUsedUp) -> ExportSpec | None:
        spec = load.spec
        snapshots = frozenset(t.service_group for t in self._tables if not t.is_dated)
        projects = tuple(spec.body.get("projectIdList", ()))
        wanted = Wanted(snapshots, projects, spec.body["projectStatus"])
        since = last_taken(self._selected, load.partition)
        existing = self._existing.newest(spec.owner, wanted, since)
        if existing is None:
            return None
        older = using(spec, existing)
        logger.warning("%s The newest extract is loaded instead (%s).", error, existing.name)
        self._extracts.replace(spec, older)
        return older

    @override
    def incomplete(self, dataset: Dataset) -> str | None:
        if dataset.name in self._deferred:
            return "later runs load more date ranges of it"
        return None

    @override
    def left_out(self, selected: Selected, loads: Iterable[Load]) -> str | None:
        return self._left_out.get(selected.name) or super().left_out(selected, loads)

    @override
    def damaged(self, dataset: Dataset, finished: FinishedExport) -> None:
        self._extracts.of(finished).damaged(dataset.name)

    @override
    def release(self, spec: ExportSpec) -> None:
        self._extracts.close(spec)
