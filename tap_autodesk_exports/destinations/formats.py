"""Files that hold all rows of a stream: how they are written, and read again to be merged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

from tap_autodesk_exports.destinations.duckdb_file import DIALECT
from tap_autodesk_exports.destinations.layout import identifier, literal
from tap_autodesk_exports.destinations.sql_store import as_text
from tap_autodesk_exports.files.csv_dialect import read_header
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb

    from tap_autodesk_exports.destinations.layout import Layout

_LONGEST = 32 << 20
"""Bytes of the longest row that is read again out of a CSV file."""


class Format(Protocol):
    """A file format.

    Attributes:
        exact_numbers: Whether any number is stored as it is.
        has_columns: Whether rows are columns; else each is one text.
    """

    exact_numbers: bool
    has_columns: bool

    def columns(self, database: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:
        """Return name -> SQL type of a file's columns; empty where each line has its own."""

    def empty(self, layout: Layout) -> str:
        """Return a query for no rows, in the form of the file."""

    def new(self, pieces: Sequence[Path], layout: Layout) -> str:
        """Return a query for rows that come as Parquet files, in the form of the file."""

    def old(self, path: Path, names: Sequence[str]) -> str:
        """Return a query for the rows of a file with these columns, in the same form."""

    def key(self, layout: Layout) -> list[str]:
        """Return SQL of the parts of a row's key, over rows of either form."""

    def copy(self, query: str, path: Path, *, compressed: bool) -> str:
        """Return the statement that writes rows of that form to a file."""


def _rows(pieces: Sequence[Path]) -> str:
    files = ", ".join(literal(str(piece)) for piece in pieces)
    return f"read_parquet([{files}], hive_partitioning = false)"


class Parquet:
    """Parquet, with columns of real types."""

    exact_numbers = False
    has_columns = True

    def columns(self, database: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:
        """Return the columns with the types that they have."""
        query = f"DESCRIBE FROM {_rows([path])}"
        return {name: sql for name, sql, *_ in database.execute(query).fetchall()}

    def empty(self, layout: Layout) -> str:
        """Select nulls of the columns' types."""
        outputs = ", ".join(
            f"CAST(NULL AS {DIALECT.sql_type(type_, layout.numbers)}) AS {identifier(name)}"
            for name, type_ in layout.types.items()
        )
        return f"SELECT {outputs} WHERE false"

    def new(self, pieces: Sequence[Path], layout: Layout) -> str:
        """Select the columns by their names in the file."""
        outputs = ", ".join(
            f"{identifier(name)} AS {identifier(own)}" for name, own in layout.names.items()
        )
        return f"SELECT {outputs} FROM {_rows(pieces)}"

    def old(self, path: Path, names: Sequence[str]) -> str:  # noqa: ARG002
        """Select all that the file has."""
        return f"SELECT * FROM {_rows([path])}"

    def key(self, layout: Layout) -> list[str]:
        """The columns of the key."""
        return [identifier(name) for name in layout.key]

    def copy(self, query: str, path: Path, *, compressed: bool) -> str:  # noqa: ARG002
        """Write Parquet with zstd."""
        return (
            f"COPY ({query}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd,"
            " COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 20480)"
        )


class Csv:
    """CSV: a comma, double quotes, a line feed; null is nothing, an empty text is `""`."""

    exact_numbers = True
    has_columns = True

    def columns(self, database: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:  # noqa: ARG002
        """Return the header; every value is a text."""
        return dict.fromkeys(read_header(path).names, "VARCHAR")

    def empty(self, layout: Layout) -> str:
        """Select null texts."""
        outputs = ", ".join(f"CAST(NULL AS VARCHAR) AS {identifier(n)}" for n in layout.types)
        return f"SELECT {outputs} WHERE false"

    def new(self, pieces: Sequence[Path], layout: Layout) -> str:
        """Select texts as RECORD messages show them."""
        outputs = ", ".join(
            f"{as_text(identifier(name), type_)} AS {identifier(layout.names[name])}"
            for name, type_ in layout.columns.items()
        )
        return f"SELECT {outputs} FROM {_rows(pieces)}"

    def old(self, path: Path, names: Sequence[str]) -> str:
        """Read all cells as text."""
        columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
        return (
            f"SELECT * FROM read_csv({literal(str(path))}, auto_detect = false, header = true,"
            f" columns = {{{columns}}}, delim = ',', quote = '\"', escape = '\"', nullstr = '',"
            f" allow_quoted_nulls = false, new_line = '\\n', max_line_size = {_LONGEST},"
            f" buffer_size = {_LONGEST}, strict_mode = true)"
        )

    def key(self, layout: Layout) -> list[str]:
        """The columns of the key."""
        return [identifier(name) for name in layout.key]

    def copy(self, query: str, path: Path, *, compressed: bool) -> str:  # noqa: ARG002
        """Write CSV."""
        return f"COPY ({query}) TO {literal(str(path))} (FORMAT csv, HEADER, DELIMITER ',')"


class JsonLines:
    """JSON lines: the records of the tap's RECORD messages."""

    exact_numbers = True
    has_columns = False

    def columns(self, database: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:  # noqa: ARG002
        """Return none: a line has what columns it has."""
        return {}

    def empty(self, layout: Layout) -> str:  # noqa: ARG002
        """Select no line."""
        return "SELECT CAST(NULL AS VARCHAR) AS line WHERE false"

    def new(self, pieces: Sequence[Path], layout: Layout) -> str:
        """Put each line together."""
        members = []
        for at, (name, type_) in enumerate(layout.columns.items()):
            text = as_text(identifier(name), type_)
            bare = type_.is_number or type_ is Type.BOOLEAN or name in layout.lists
            value = text if bare else f"CAST(to_json({text}) AS VARCHAR)"
            head = ("," if at else "{") + json.dumps(layout.names[name], ensure_ascii=False) + ":"
            members += [literal(head), f"coalesce({value}, 'null')"]
        # In one step: each `||` would hold another copy of a long cell.
        return f"SELECT concat({', '.join(members)}, '}}') AS line FROM {_rows(pieces)}"

    def old(self, path: Path, names: Sequence[str]) -> str:  # noqa: ARG002
        """Read the lines as they stand."""
        return (
            f"SELECT line FROM read_csv({literal(str(path))}, auto_detect = false, header = false,"
            " columns = {'line': 'VARCHAR'}, delim = E'\\x01', quote = '', escape = '',"
            f" new_line = '\\n', max_line_size = {_LONGEST}, buffer_size = {_LONGEST})"
        )

    def key(self, layout: Layout) -> list[str]:
        """The members of the key."""
        return [
            f"json_extract_string(line, {literal('$.' + json.dumps(name))})" for name in layout.key
        ]

    def copy(self, query: str, path: Path, *, compressed: bool) -> str:
        """Write lines."""
        compression = ", COMPRESSION gzip" if compressed else ""
        return (
            f"COPY ({query}) TO {literal(str(path))} (FORMAT csv, HEADER false, QUOTE '',"
            f" ESCAPE '', DELIMITER E'\\x01'{compression})"
        )
