"""Which tables there are: bundled with this release, published now, or in the user's catalog.

The tables and their columns come from the registry in `schema/`, made from Autodesk's published
schema (documented: names, order and types; inferred: keys, with a confidence each).
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.data_connector.schema.live import published
from tap_autodesk_exports.autodesk.data_connector.schema.registry import (
    bundled,
    from_catalog,
    renewed,
)
from tap_autodesk_exports.autodesk.personal import is_personal
from tap_autodesk_exports.loading.dataset import Dataset
from tap_autodesk_exports.tables.layout import EXPORT_ID, PROVENANCE, ROW_ID, type_of
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tap_autodesk_exports.autodesk.data_connector.schema.registry import Registry
    from tap_autodesk_exports.settings import Settings

    CatalogSchemas = Callable[[], Mapping[str, Mapping[str, Any]]]
    """Called where they are needed: name of a stream in a catalog -> its JSON schema."""

SURE = frozenset({"verified", "documented"})
"""Confidences of a key in the registry that make it the stream's key."""
NEWEST = (("adsk_updated_at",), ("updated_at", "deleted_at", "created_at"))
"""Columns of change groups that order the versions of a row. `adsk_updated_at` is documented for
that; some groups, and files of before 2026, do not have it (observed)."""
DELETED_AT, SDC_DELETED_AT = "deleted_at", "_sdc_deleted_at"

PUBLISHED_TYPES = {
    Type.STRING: "string",
    Type.UUID: "string: UUID",
    Type.NUMBER: "number",
    Type.INTEGER: "number",
    Type.BOOLEAN: "boolean",
    Type.DATE: "date: string",
    Type.TIME: "time",
    Type.TIME_TEXT: "time",
    Type.TIMESTAMP: "timestamp: SQL",
}
TYPES = {
    "string": Type.STRING,
    "string: UUID": Type.UUID,
    "string: null": Type.STRING,
    "enum: string": Type.STRING,
    "number": Type.NUMBER,
    "boolean": Type.BOOLEAN,
    "date: string": Type.DATE,
    "time": Type.TIME,
    "timestamp: SQL": Type.TIMESTAMP,
}
"""The nine types of the published schema; another one is text. UUIDs stay as they are written."""
PEOPLE = frozenset({"admin_users", "cdcadmin_users", "cdcv2admin_users"})
"""Tables of people."""
OF_PEOPLE = frozenset({"name", "address_line1", "address_line2"})
"""Columns that are personal in those tables, and those of companies and things elsewhere."""
REMEDY = (
    "To have them as columns, set 'data_connector_schema: live' and refresh the catalog: "
    "`meltano run --refresh-catalog …`, or `tap-autodesk-exports --discover`. "
    "`autodesk-exports schema` shows what has changed."
)


@dataclasses.dataclass(frozen=True)
class TableDataset(Dataset):
    """A table of the Data Connector.

    Attributes:
        service_group: The group that must be requested for it.
    """

    api: str = Api.DATA_CONNECTOR
    remedy: str = REMEDY
    service_group: str = ""

    @property
    def is_activity(self) -> bool:
        """Whether it holds events, requested by date."""
        return self.service_group == "activities"

    @property
    def is_delta(self) -> bool:
        """Whether it holds changes of a date range (cdc)."""
        return self.service_group.startswith("cdc")


def datasets(settings: Settings, catalog: CatalogSchemas | None) -> Iterator[TableDataset]:
    """Yield the tables of the service groups in the settings.

    Args:
        settings: The settings.
        catalog: Gives the schemas of the user's catalog; None for discovery.

    Raises:
        TapError: The published schema could not be fetched.
    """
    groups = settings.data_connector_service_groups
    for name, table in _registry(settings, catalog).items():
        if groups is None or table["service_group"] in groups:
            yield _dataset(name, table, with_deletions=settings.data_connector_sdc_deleted_at)


def _registry(settings: Settings, catalog: CatalogSchemas | None) -> Registry:
    """Return the tables: the bundled ones, or for discovery those published now.

    A run has a catalog, so it needs no other schema: tables that only the catalog knows are taken
    from there.
    """
    known = bundled()
    if settings.data_connector_schema == "bundled" or settings.sandbox:
        return known
    if catalog is None:
        groups = {table["service_group"] for table in known.values()}
        return renewed(known, published(settings.api_url, groups))
    others = {
        name: _of_catalog(name, schema)
        for name, schema in catalog().items()
        if name not in known and _is_table(name, schema)
    }
    return known | others


def _is_table(name: str, schema: Mapping[str, Any]) -> bool:
    others = tuple(f"{api}_" for api in Api)
    return EXPORT_ID in (schema.get("properties") or {}) and not name.startswith(others)


def _of_catalog(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    group, _, table = name.partition("_")
    columns = {
        column: PUBLISHED_TYPES[type_of(properties)]
        for column, properties in schema["properties"].items()
        if column not in PROVENANCE
    }
    return from_catalog(group, table, columns)


def _dataset(name: str, table: Mapping[str, Any], *, with_deletions: bool) -> TableDataset:
    """Return a table of the registry as a dataset."""
    group: str = table["service_group"]
    is_delta = group.startswith("cdc")
    # A snapshot each time, unless events or changes of a date range.
    is_dated = is_delta or group == "activities"
    columns = {column: _type(column, type_) for column, type_ in table["columns"].items()}
    copies: dict[str, str] = {}
    if is_delta and with_deletions and DELETED_AT in columns:
        copies[SDC_DELETED_AT] = DELETED_AT
        columns[SDC_DELETED_AT] = Type.TIMESTAMP
    ids = frozenset(name for name, type_ in table["columns"].items() if type_ == "string: UUID")
    is_sure = table["primary_key_confidence"] in SURE
    return TableDataset(
        name=name,
        columns=columns,
        primary_keys=tuple(table["primary_key"]) if is_sure else (ROW_ID,),
        natural_key=tuple(table["primary_key"] or table["columns"]),
        replication_key=table["replication_key"],
        is_dated=is_dated,
        selected_by_default=table["group_in_request_enum"] and not is_dated,
        copies=copies,
        newest=NEWEST if is_delta else (),
        is_personal=functools.partial(_is_personal, name, ids),
        service_group=group,
    )


def _type(column: str, published: str) -> Type:
    """Return the type of a column; a number that identifies something is whole (observed)."""
    is_id = published == "number" and (column == "id" or column.endswith("_id"))
    return Type.INTEGER if is_id else TYPES.get(published, Type.STRING)


def _is_personal(table: str, ids: frozenset[str], column: str) -> bool:
    """Tell whether a column of a table holds personal data.

    IDs that the Data Connector gives people itself (UUIDs) are none, so that tables can be joined
    by them also with `admin_users.id`.
    """
    if column in ids:
        return False
    return is_personal(column) or (table in PEOPLE and column in OF_PEOPLE)
