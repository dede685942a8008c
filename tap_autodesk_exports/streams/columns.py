"""Columns in a stream's JSON schema: those of the files, and those that every exported row has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.tables.types import Type, json_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

PROVENANCE: dict[str, dict[str, Any]] = {
    "_export_id": {"type": ["string"]},
    "_exported_at": {"type": ["string"], "format": "date-time"},
    "_rescued_data": {"type": ["object", "null"], "additionalProperties": True},
    "_row_id": {"type": ["string"]},
}
"""The columns that every exported row carries besides those of its file."""


def type_of(schema: Mapping[str, Any]) -> Type:
    """Return the type that a column's JSON schema asks for; text where it asks for none of ours."""
    names = schema.get("type", "string")
    names = {names} if isinstance(names, str) else set(names)
    if names & {"number", "integer"}:
        return Type.NUMBER
    if "boolean" in names:
        return Type.BOOLEAN
    formats = {"date": Type.DATE, "time": Type.TIME, "date-time": Type.TIMESTAMP}
    return formats.get(str(schema.get("format")), Type.STRING)


def export_schema(
    columns: Mapping[str, Type], constants: Mapping[str, Type] | None = None
) -> dict[str, Any]:
    """Return the schema of an exported stream.

    Args:
        columns: Columns of the file.
        constants: Columns that are the same for all rows of an export.
    """
    properties: dict[str, Any] = {
        name: json_schema(type_) for name, type_ in {**(constants or {}), **columns}.items()
    }
    return {"type": "object", "properties": properties | PROVENANCE}
