"""The tables of the Data Connector: those that come with this release, and how others differ.

A registry is a mapping from the name of a stream, which is that of the table's file, to what is
known of the table: service group, name, columns with their published types in the order of the
file, key and how sure it is, replication, the column that marks deleted rows.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.json_reading import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Table = dict[str, Any]
Registry = dict[str, Table]

PUBLISHED = "2026-03-18"
"""The day of the published schema that the bundled registry was made from."""
DELETED = "deleted_at"
VERSION_TIME = "adsk_updated_at"
UPDATED = "updated_at"


@functools.cache
def bundled() -> Registry:
    """Return the registry that comes with this release."""
    text = resources.files("tap_autodesk_exports.autodesk.data_connector.schema").joinpath(
        "data_connector.json"
    )
    tables: Registry = read_json(text.read_text(encoding="utf-8"))
    return tables


def renewed(known: Registry, published: Mapping[str, Mapping[str, Mapping[str, str]]]) -> Registry:
    """Return a registry with the published columns.

    What is not published (keys, replication) is taken from what is known of the table, or follows
    from its service group where the table is new.

    Args:
        known: A registry.
        published: Service group -> table -> column -> type.
    """
    documented = {table["service_group"] for table in known.values() if _in_enum(table)}
    versioned = {
        table["service_group"] for table in known.values() if VERSION_TIME in table["columns"]
    }
    renewed_tables: Registry = {}
    for group, tables in published.items():
        for table, columns in tables.items():
            name = f"{group}_{table}"
            whole = _with_versions(columns) if group in versioned else dict(columns)
            before = known.get(name) or _inferred(group, table, whole, in_enum=group in documented)
            renewed_tables[name] = {**before, "columns": whole}
            if not set(before["primary_key"] or ()) <= set(whole):
                renewed_tables[name] |= {"primary_key": [], "primary_key_confidence": "none"}
            if before["replication_key"] not in whole:
                renewed_tables[name] |= {"replication": "FULL_TABLE", "replication_key": None}
    return dict(sorted(renewed_tables.items()))


def _with_versions(columns: Mapping[str, str]) -> dict[str, str]:
    """Return the published columns of a table of changes as its files have them.

    The published form lacks `adsk_updated_at`, which the files and the schema inside an extract
    have at their end (observed).
    """
    return {**columns, VERSION_TIME: columns.get(VERSION_TIME, "timestamp: SQL")}


def from_catalog(group: str, table: str, columns: Mapping[str, str]) -> Table:
    """Return a table that only a catalog knows, which was discovered from another schema.

    Args:
        group: Service group.
        table: Name of the table.
        columns: Columns, with types as they are published.
    """
    return _inferred(group, table, columns, in_enum=True)


def _in_enum(table: Table) -> bool:
    return bool(table["group_in_request_enum"])


def _inferred(group: str, table: str, columns: Mapping[str, str], *, in_enum: bool) -> Table:
    """Return what follows from a new table's service group, as for its neighbours."""
    key, confidence, replication_key = [], "none", None
    if group.startswith("cdc"):
        by = VERSION_TIME if VERSION_TIME in columns else UPDATED
        key, confidence, replication_key = ["adsk_row_id"], "documented", by
    elif group == "activities":
        key, confidence, replication_key = ["activity_id"], "inferred", "created_at"
    elif "id" in columns:
        key, confidence = ["id"], "inferred"
    if not {*key, *([replication_key] if replication_key else [])} <= set(columns):
        key, confidence, replication_key = [], "none", None
    return {
        "service_group": group,
        "table": table,
        "group_in_request_enum": in_enum,
        "columns": dict(columns),
        "primary_key": key,
        "primary_key_confidence": confidence,
        "replication": "INCREMENTAL" if replication_key else "FULL_TABLE",
        "replication_key": replication_key,
        "soft_delete": DELETED if DELETED in columns else None,
    }


def differences(old: Registry, new: Registry) -> Iterator[str]:
    """Yield a line for each table and column that was added, removed or changed."""
    for name in sorted({*old, *new}):
        if name not in old:
            yield f"+ {name} ({len(new[name]['columns'])} columns)"
            continue
        if name not in new:
            yield f"- {name} ({len(old[name]['columns'])} columns)"
            continue
        before, after = old[name]["columns"], new[name]["columns"]
        for column in dict.fromkeys([*after, *before]):
            if column not in before:
                yield f"+ {name}.{column}: {after[column]}"
            elif column not in after:
                yield f"- {name}.{column}: {before[column]}"
            elif before[column] != after[column]:
                yield f"~ {name}.{column}: {before[column]} -> {after[column]}"


def as_text(tables: Registry) -> str:
    """Write a registry as its file holds it: JSON, a table on each line."""
    lines = (
        f"{json.dumps(name)}: {json.dumps(table, ensure_ascii=False)}"
        for name, table in tables.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"
