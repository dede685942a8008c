"""A file becomes a typed table: no Autodesk, no network."""

from tap_autodesk_exports.tables.batches import Encoding
from tap_autodesk_exports.tables.engine import Engine
from tap_autodesk_exports.tables.errors import FileError
from tap_autodesk_exports.tables.files import Archive, ArchiveMember, Kind, as_csv, kind_of
from tap_autodesk_exports.tables.layout import Layout
from tap_autodesk_exports.tables.table import Table
from tap_autodesk_exports.tables.types import Column, Type, json_schema

__all__ = [
    "Archive",
    "ArchiveMember",
    "Column",
    "Encoding",
    "Engine",
    "FileError",
    "Kind",
    "Layout",
    "Table",
    "Type",
    "as_csv",
    "json_schema",
    "kind_of",
]
