"""The columns of a table: what the catalog knows, the file's header, the stream's JSON schema."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.tables.types import Column, Type, json_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from tap_autodesk_exports.tables.hashing import Hashing

    KeyPart = str | tuple[str, ...]
    """A column of a key, or several of which the first with a value counts."""

EXPORT_ID, EXPORTED_AT = "_export_id", "_exported_at"
RESCUED_DATA, ROW_ID = "_rescued_data", "_row_id"
PROVENANCE: dict[str, dict[str, Any]] = {
    EXPORT_ID: {"type": ["string"]},
    EXPORTED_AT: {"type": ["string"], "format": "date-time"},
    RESCUED_DATA: {"type": ["object", "null"], "additionalProperties": True},
    ROW_ID: {"type": ["string"]},
}
"""The columns that every exported row carries in addition to those of its file."""


@dataclasses.dataclass(frozen=True)
class TableSchema:
    """What the catalog knows of a file."""

    columns: tuple[Column, ...]
    """The columns in order. The file may hold them in another order, lack some and have more."""
    key: tuple[KeyPart, ...] = ()
    """Names of the natural key, from which `_row_id` is made; may name constants. Of several names
    in one part, the first with a value counts (see `alternatives`). Empty: all `columns`."""
    constants: Mapping[str, tuple[Type, str | None]] = dataclasses.field(default_factory=dict)
    """Columns with one value for the whole file, such as a team: its type and its text."""
    rename: Callable[[str], str] = str
    """From a name in the header to the name of a column; two spellings may give one name."""
    unique: bool = False
    """Whether `key` is the key of the table: equal rows are one, different ones an error."""
    newest: tuple[tuple[str, ...], ...] = ()
    """With `unique`: the columns that tell versions of a row apart; the newest one counts. Of
    several in one part, the latest value of a row counts; a part decides where those before it,
    as far as the file has them, do not."""
    copies: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Those of `columns` that are in no file and repeat another one: name -> name of that one."""
    hashing: Hashing | None = None
    """Which values are replaced by a hash; `_row_id` is made from the values themselves."""

    @functools.cached_property
    def emitted(self) -> tuple[Column, ...]:
        """All columns of a record, in order."""
        return (
            *self.columns,
            *(Column(name, type_) for name, (type_, _) in self.constants.items()),
            Column(EXPORT_ID),
            Column(EXPORTED_AT, Type.TIMESTAMP),
            Column(RESCUED_DATA),
            Column(ROW_ID),
        )

    @functools.cached_property
    def types(self) -> dict[str, Type]:
        """The type of every column of a record."""
        return {column.name: column.type for column in self.emitted}

    def is_hashed(self, name: str) -> bool:
        """Tell whether the values of a column, known or not, are hashed."""
        return self.hashing is not None and self.hashing.applies(name)

    @functools.cached_property
    def natural_key(self) -> tuple[KeyPart, ...]:
        """The parts that make up `_row_id`."""
        return self.key or tuple(column.name for column in self.columns)

    @functools.cached_property
    def key_columns(self) -> tuple[str, ...]:
        """The columns of all parts of the key."""
        parts = [(part,) if isinstance(part, str) else part for part in self.natural_key]
        return tuple(name for part in parts for name in part)


@dataclasses.dataclass(frozen=True)
class HeaderMatch:
    """Which cell of a row (c0, c1, …) belongs to which name."""

    known: dict[str, str]
    """Columns of the schema."""
    unknown: dict[str, str]
    """The others, under names that are theirs alone."""


def match_header(path: Path, header: Collection[str], schema: TableSchema) -> HeaderMatch:
    """Find the schema's columns in a header.

    A name that comes again is an unknown column `name#2`; a column without a name is
    `column_<position>`, counted from 1.

    Raises:
        FileError: The header has none of the schema's columns: this is another file.
    """
    names = {column.name for column in schema.columns}
    known: dict[str, str] = {}
    unknown: dict[str, str] = {}
    for at, raw in enumerate(header):
        name = schema.rename(raw) if raw else f"column_{at + 1}"
        if name in names and name not in known:
            known[name] = f"c{at}"
            continue
        unique, repeated = name, 1
        while unique in known or unique in unknown:
            repeated += 1
            unique = f"{name}#{repeated}"
        unknown[unique] = f"c{at}"
    if names and not known:
        # Without its header, the first line would be a row.
        shown = "not shown, as some columns are hashed" if schema.hashing else _some(list(header))
        raise FileError(
            path,
            f"has none of the expected columns ({_some(sorted(names))}); its header is {shown}.",
        )
    known |= {copy: known[name] for copy, name in schema.copies.items() if name in known}
    return HeaderMatch(known, unknown)


def _some(names: list[str]) -> str:
    shown = ", ".join(f"'{name[:60]}'" for name in names[:5])
    return shown + (", …" if len(names) > 5 else "")  # noqa: PLR2004


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
