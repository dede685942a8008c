"""Streams of Data Connector: a table each, and one extract of an account for all of them.

The tables and their columns come from the registry in `schemas/`, made from Autodesk's published
schema (documented: names, order and types; inferred: keys, with a confidence each).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tap_autodesk_exports.autodesk.data_connector import project_id_list
from tap_autodesk_exports.autodesk.http import NotFound
from tap_autodesk_exports.exports.export import QuotaUsedUp
from tap_autodesk_exports.files.convert import as_csv
from tap_autodesk_exports.schemas.live import published
from tap_autodesk_exports.schemas.registry import bundled, from_catalog, renewed
from tap_autodesk_exports.settings import Api
from tap_autodesk_exports.streams.exported import ExportStream, Load
from tap_autodesk_exports.streams.extracts import account_ids
from tap_autodesk_exports.streams.lists import (
    BOOLEAN,
    NUMBER,
    STRING,
    STRINGS,
    TIMESTAMP,
    ListStream,
    list_schema,
)
from tap_autodesk_exports.tables.layout import EXPORT_ID, PROVENANCE, export_schema, type_of
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from singer_sdk.singerlib import Catalog, CatalogEntry

    from tap_autodesk_exports.exports.export import FinishedExport
    from tap_autodesk_exports.schemas.registry import Registry
    from tap_autodesk_exports.settings import Settings
    from tap_autodesk_exports.tap import TapAutodeskExports

SURE = frozenset({"verified", "documented"})
"""Confidences of a key in the registry that make it the stream's key."""
SUCCESS = "success"
DELETED_AT, SDC_DELETED_AT = "deleted_at", "_sdc_deleted_at"

PUBLISHED_TYPES = {
    Type.STRING: "string",
    Type.NUMBER: "number",
    Type.BOOLEAN: "boolean",
    Type.DATE: "date: string",
    Type.TIME: "time",
    Type.TIMESTAMP: "timestamp: SQL",
}
TYPES = {
    "string": Type.STRING,
    "string: UUID": Type.STRING,
    "string: null": Type.STRING,
    "enum: string": Type.STRING,
    "number": Type.NUMBER,
    "boolean": Type.BOOLEAN,
    "date: string": Type.DATE,
    "time": Type.TIME,
    "timestamp: SQL": Type.TIMESTAMP,
}
"""The nine types of the published schema; another one is text. UUIDs stay as they are written."""


def registry(settings: Settings, catalog: Catalog | None) -> Registry:
    """Return the tables: the bundled ones, or for discovery those published now.

    A run has a catalog, so it needs no other schema: tables that only the catalog knows are taken
    from there.

    Raises:
        TapError: The published schema cannot be had.
    """
    known = bundled()
    if settings.data_connector_schema == "bundled" or settings.sandbox:
        return known
    if catalog is not None:
        others = (entry for entry in catalog.streams if entry.tap_stream_id not in known)
        return known | {
            entry.tap_stream_id: _of_entry(entry) for entry in others if _is_table(entry)
        }
    groups = {table["service_group"] for table in known.values()}
    return renewed(known, published(settings.api_url, groups))


def _is_table(entry: CatalogEntry) -> bool:
    return EXPORT_ID in (entry.schema.properties or {}) and not entry.tap_stream_id.startswith(
        (f"{Api.INSIGHTS}_", f"{Api.TOKENFLEX}_")
    )


def _of_entry(entry: CatalogEntry) -> dict[str, Any]:
    group, _, table = entry.tap_stream_id.partition("_")
    properties = entry.schema.to_dict()["properties"]
    columns = {
        name: PUBLISHED_TYPES[type_of(schema)]
        for name, schema in properties.items()
        if name not in PROVENANCE
    }
    return from_catalog(group, table, columns)


class TableStream(ExportStream):
    """A table of the Data Connector."""

    api = Api.DATA_CONNECTOR
    remedy = (
        "To have them as columns, set 'data_connector_schema: live' and refresh the catalog: "
        "`meltano run --refresh-catalog …`, or `tap-autodesk-exports --discover`. "
        "`autodesk-exports schema` shows what has changed."
    )

    def __init__(self, tap: TapAutodeskExports, name: str, table: Mapping[str, Any]) -> None:
        self.service_group: str = table["service_group"]
        self.is_delta = self.service_group.startswith("cdc")
        self.is_activity = self.service_group == "activities"
        # A snapshot each time, unless events or changes of a date range.
        self.is_dated = self.is_delta or self.is_activity
        self.selected_by_default = table["group_in_request_enum"] and not self.is_dated
        self.natural_key = tuple(table["primary_key"] or table["columns"])
        columns = {
            column: TYPES.get(type_, Type.STRING) for column, type_ in table["columns"].items()
        }
        marks = tap.settings.data_connector_sdc_deleted_at
        if self.is_delta and marks and DELETED_AT in columns:
            self.copies = {SDC_DELETED_AT: DELETED_AT}
            columns[SDC_DELETED_AT] = Type.TIMESTAMP
        super().__init__(tap, name=name, schema=export_schema(columns))
        sure = table["primary_key_confidence"] in SURE
        self.primary_keys = tuple(table["primary_key"]) if sure else ("_row_id",)
        self.replication_key = table["replication_key"]
        if self.is_delta:
            self.newest = self.replication_key

    @override
    def plan(self) -> list[Load]:
        return self.tap.extracts.loads(self)

    @override
    def fetch(self, finished: FinishedExport, folder: Path) -> Path | None:
        path = self.tap.extracts.of(finished).table(self.name, folder)
        if path is None:
            self.logger.warning(
                "Extract %s has no file for this table, so it is taken as empty.",
                finished.export_id,
            )
            return None
        return as_csv(path, folder)

    @override
    def _finished(self, load: Load) -> FinishedExport:
        try:
            return super()._finished(load)
        except QuotaUsedUp as error:
            older = None if self.is_dated else self.tap.extracts.instead_of(load.spec, error)
            if older is None:
                raise
            return self.run.runner.result(older)

    @override
    def damaged(self, finished: FinishedExport) -> None:
        self.tap.extracts.of(finished).damaged(self.name)

    @override
    def done_with(self, finished: FinishedExport) -> None:
        self.tap.extracts.of(finished).done()


class Requests(ListStream):
    """The user's own data requests."""

    api = Api.DATA_CONNECTOR
    name = "data_connector_requests"
    primary_keys = ("id",)
    entry_schema = list_schema(
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
    )

    @override
    def entries(self) -> Iterable[Mapping[str, Any]]:
        for account in account_ids(self.run):
            for request in self.run.data_connector.requests(account):
                yield {**request, "projectIdList": project_id_list(request)}


class Jobs(ListStream):
    """The user's own jobs."""

    api = Api.DATA_CONNECTOR
    name = "data_connector_jobs"
    primary_keys = ("id",)
    entry_schema = list_schema(
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
    )

    @override
    def entries(self) -> Iterable[Mapping[str, Any]]:
        for account in account_ids(self.run):
            for job in self.run.data_connector.jobs(account):
                yield {**job, "projectIdList": project_id_list(job)}


class Files(ListStream):
    """The files of the extracts that can still be downloaded."""

    api = Api.DATA_CONNECTOR
    name = "data_connector_files"
    primary_keys = ("job_id", "name")
    entry_schema = list_schema(
        account_id=STRING, job_id=STRING, name=STRING, size=NUMBER, createdAt=TIMESTAMP
    )

    @override
    def entries(self) -> Iterable[Mapping[str, Any]]:
        client = self.run.data_connector
        for account in account_ids(self.run):
            for job in client.jobs(account):
                if str(job.get("completionStatus")).lower() != SUCCESS:
                    continue
                try:
                    listing = client.data_listing(account, job["id"])
                except NotFound:  # past the 30 days for which extracts are kept
                    continue
                for file in listing:
                    yield {"account_id": account, "job_id": job["id"], **file}


STREAMS = (Requests, Jobs, Files)
