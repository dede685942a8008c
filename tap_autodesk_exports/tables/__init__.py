"""A CSV file becomes a typed table: no Autodesk, no network."""

from tap_autodesk_exports.tables.cells import value as sql_value
from tap_autodesk_exports.tables.encoding import Encoding
from tap_autodesk_exports.tables.engine import Engine
from tap_autodesk_exports.tables.layout import TableSchema
from tap_autodesk_exports.tables.table import Table
from tap_autodesk_exports.tables.types import Column, Type, json_schema

__all__ = [
    "Column",
    "Encoding",
    "Engine",
    "Table",
    "TableSchema",
    "Type",
    "json_schema",
    "sql_value",
]
