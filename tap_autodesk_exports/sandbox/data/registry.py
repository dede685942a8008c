"""The bundled registry of Data Connector tables, as the sandbox reads it."""

from __future__ import annotations

import dataclasses
import functools
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of an extract; `columns` maps name to type in the order of the file."""

    name: str
    group: str
    columns: Mapping[str, str]
    key: tuple[str, ...]
    replication_key: str | None
    soft_delete: str | None
    in_enum: bool
    links: Mapping[str, str]
    enums: Mapping[str, tuple[str, ...]]

    @property
    def short(self) -> str:
        """Name within the service group."""
        return self.name.removeprefix(f"{self.group}_")


SCHEMA_PACKAGE = "tap_autodesk_exports.autodesk.data_connector.schema"
"""Where `data_connector.json` is."""
SECOND = "cdcv2admin"
"""A change group of 2025-11-17 (documented, beta): the 13 tables of `cdcadmin`, which have
`adsk_row_id`, `created_at`, `updated_at` and `deleted_at`, but no `adsk_updated_at`."""


@functools.cache
def load() -> Mapping[str, Table]:
    """Return all tables by the stem of their file, in order of name: the bundled ones, and SECOND.

    The latter's columns follow from those of `cdcadmin` as long as they are not bundled.
    """
    text = resources.files(SCHEMA_PACKAGE).joinpath("data_connector.json")
    raw: dict[str, dict[str, Any]] = json.loads(text.read_text(encoding="utf-8"))
    tables = {name: _table(name, entry) for name, entry in raw.items()}
    if not any(table.group == SECOND for table in tables.values()):
        first = [table for table in tables.values() if table.group == "cdcadmin"]
        tables |= {f"{SECOND}_{table.short}": _second(table) for table in first}
    return dict(sorted(tables.items()))


def _second(table: Table) -> Table:
    return dataclasses.replace(
        table,
        name=f"{SECOND}_{table.short}",
        group=SECOND,
        columns={name: kind for name, kind in table.columns.items() if name != "adsk_updated_at"},
        replication_key="updated_at",
        in_enum=False,
    )


def mirrored(name: str) -> str:
    """Return the table whose changes a table of a change group holds."""
    return name.removeprefix("cdc").removeprefix("v2")


def _table(name: str, entry: Mapping[str, Any]) -> Table:
    return Table(
        name=name,
        group=entry["service_group"],
        columns=entry["columns"],
        key=tuple(entry["primary_key"] or ()),
        replication_key=entry["replication_key"],
        soft_delete=entry["soft_delete"],
        in_enum=entry["group_in_request_enum"],
        links=entry.get("foreign_keys", {}),
        enums={column: tuple(values) for column, values in entry.get("enums", {}).items()},
    )
