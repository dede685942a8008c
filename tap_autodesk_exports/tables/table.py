"""A CSV file as a typed table, and its rows as Singer RECORD lines.

DuckDB reads the file, types it, and puts each line together; Python only hands the lines on. The
file is read once, whole, before the first row goes out.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.tables import dialect
from tap_autodesk_exports.tables.batches import (
    COLUMN_MEMORY,
    Encoding,
    write_json_lines,
    write_parquet,
)
from tap_autodesk_exports.tables.engine import one_row
from tap_autodesk_exports.tables.errors import FileError
from tap_autodesk_exports.tables.keys import unique
from tap_autodesk_exports.tables.layout import (
    EXPORT_ID,
    EXPORTED_AT,
    match_header,
)
from tap_autodesk_exports.tables.lines import fetch
from tap_autodesk_exports.tables.reading import read
from tap_autodesk_exports.tables.rows import Rows
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from types import TracebackType

    import duckdb

    from tap_autodesk_exports.tables.batches import Create
    from tap_autodesk_exports.tables.engine import Engine
    from tap_autodesk_exports.tables.layout import Layout
    from tap_autodesk_exports.tables.types import Column

_CELL = 16
"""Bytes that a cell takes in memory besides its text."""


class Table:
    """A CSV file, checked as a whole and typed by a layout.

    Every row carries the columns of the layout (null where the file lacks one), its constants, and

    - `_export_id`, `_exported_at`: of which export, taken when;
    - `_rescued_data`: null, or an object from column name to raw text, with the cells that do not
      fit the type of their column, and with the values of columns that the layout does not know;
    - `_row_id`: 32 hex digits, the MD5 of the natural key and of a counter among the rows that
      share it. The same row gets the same id in every export, wherever it stands in the file.
    """

    def __init__(
        self,
        path: Path,
        layout: Layout,
        *,
        export_id: str,
        exported_at: str,
        engine: Engine,
    ) -> None:
        """Open the file and read it once, whole.

        Args:
            path: A CSV file, as `as_csv` returns it.
            layout: What is known of it.
            export_id: The export that it comes from.
            exported_at: When the source took the snapshot, as a timestamp.
            engine: Reads it; `close` leaves nothing behind in its folder.

        Raises:
            FileError: The file is damaged, is not CSV, has none of the layout's columns, or holds
                different rows with one key where the layout says that it is unique.
        """
        self._path = path
        self._layout = layout
        self._engine = engine
        header = dialect.read_header(path)
        self.header = header.names
        self._match = match_header(path, header.names, layout)
        self._spill: Path | None = None
        self._database: duckdb.DuckDBPyConnection | None = None
        self._count = 0
        if path.stat().st_size > header.end:
            try:
                self._spill = Path(tempfile.mkdtemp(prefix="table-", dir=engine.folder))
                self._open(self._spill, export_id, exported_at)
            except BaseException:
                self.close()
                raise

    @property
    def unknown(self) -> tuple[str, ...]:
        """Columns of the file that the layout does not know, as `_rescued_data` names them."""
        return tuple(self._match.unknown)

    @property
    def missing(self) -> tuple[str, ...]:
        """Columns of the layout that the file does not have."""
        return tuple(
            column.name for column in self._layout.columns if column.name not in self._match.known
        )

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns of a record, in order. `_rescued_data` is an object, in spite of its type."""
        return self._layout.emitted

    def count(self) -> int:
        """Return the number of rows."""
        return self._count

    def maximum(self, column: str) -> str | None:
        """Return the greatest value of a column in its canonical form, None if it has none.

        Numbers are ordered as doubles, everything else as text.
        """
        if not self._database:
            return None
        with self._resources():
            query = self._rows.maximum(column)
            (value,) = one_row(self._database, query)
        return None if value is None else str(value)

    def lines(
        self,
        stream: str,
        selected: Collection[str],
        *,
        version: int | None = None,
        time_extracted: str,
        after: tuple[str, str] | None = None,
    ) -> Iterator[bytes]:
        """Yield the rows as RECORD messages: chunks of whole lines, ready for standard output.

        Args:
            stream: Name of the stream.
            selected: Names of the columns to send; those that the table does not have are ignored.
            version: Version of a full table, if the target is to activate it.
            time_extracted: Timestamp of the message.
            after: A column and a value: rows in which it is less are left out. Rows that equal it
                are sent, and so are rows without a value, which may be new.
        """
        before = f'{{"type":"RECORD","stream":{json.dumps(stream)},"record":'
        behind = f',"version":{version}' if version is not None else ""
        behind += f',"time_extracted":{json.dumps(time_extracted)}}}\n'
        yield from self._chunks(before, selected, behind, after)

    def records(
        self, selected: Collection[str], *, after: tuple[str, str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the same records as dictionaries, numbers as int or Decimal with all their digits.

        Args:
            selected: As in `lines`.
            after: As in `lines`.
        """
        read = json.JSONDecoder(parse_int=_read_integer, parse_float=Decimal).decode
        for chunk in self._chunks("", selected, "\n", after):
            # A JSON text holds no line feed; other line ends may stand in its strings.
            yield from map(read, chunk.decode().split("\n")[:-1])

    def batches(
        self,
        create: Create,
        selected: Collection[str],
        *,
        encoding: Encoding,
        rows_per_file: int,
        after: tuple[str, str] | None = None,
    ) -> Iterator[int]:
        """Write the rows to files; yield the number of each, counted from 1, when it is complete.

        JSON lines hold the same texts as `lines`. Parquet files have columns of real types: text,
        boolean, date, time, timestamp in UTC; numbers are BIGINT or DECIMAL, whichever holds every
        value of the table exactly, or text where neither does. `_rescued_data` is JSON text there.

        Args:
            create: Opens the file with a number for writing, such as a file of any storage.
            selected: As in `lines`.
            encoding: What to write.
            rows_per_file: Rows of a file; Parquet has some more, see `write_parquet`.
            after: As in `lines`.
        """
        if not self._database or not self._spill:
            return
        with self._resources():
            if encoding is Encoding.PARQUET:
                numbers = self._rows.number_types(selected)
                query = self._rows.columnar(numbers, selected, after)
                folder = self._spill / "parquet"
                self._engine.allow_besides(COLUMN_MEMORY * len(selected))
                size = _CELL * len(selected) + self._path.stat().st_size // self._count
                yield from write_parquet(self._database, query, create, rows_per_file, size, folder)
                return
            compressed = encoding is Encoding.JSONL_GZIP
            query = self._rows.records("", selected, "\n", after)
            lines = fetch(self._database, query, self._count)
            yield from write_json_lines(lines, create, rows_per_file, compressed=compressed)

    def close(self) -> None:
        """Give back memory and disk."""
        if self._database:
            self._database.close()
        if self._spill:
            shutil.rmtree(self._spill, ignore_errors=True)

    def __enter__(self) -> Self:
        """Return the table."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the table."""
        self.close()

    def _open(self, spill: Path, export_id: str, exported_at: str) -> None:
        self._database = database = self._engine.connection()
        layout, known = self._layout, self._match.known
        names = {cell: name for name, cell in known.items()}
        cells = [f"c{at}" for at in range(len(self.header))]
        with self._resources():
            reading = read(
                self._engine,
                database,
                self._path,
                [layout.types[names[cell]] if cell in names else Type.STRING for cell in cells],
                [known[name] for name in layout.natural_key if name in known],
                spill / "rewritten.csv",
            )
            if layout.hashing:
                layout.hashing.define(database)
            reading = unique(self._engine, database, self._path, layout, self._match, reading)
        self._count = reading.rows
        constants = {
            **layout.constants,
            EXPORT_ID: (Type.STRING, export_id),
            EXPORTED_AT: (Type.TIMESTAMP, exported_at),
        }
        texts = {
            name: None if text is None else self._engine.canonical(name, type_, text)
            for name, (type_, text) in constants.items()
        }
        self._rows = Rows(self._engine, database, layout, self._match, reading, texts)

    def _chunks(
        self, before: str, selected: Collection[str], behind: str, after: tuple[str, str] | None
    ) -> Iterator[bytes]:
        if not self._database:
            return
        with self._resources():
            query = self._rows.records(before, selected, behind, after)
            sent = 0
            for lines in fetch(self._database, query, self._count):
                sent += lines.count
                yield lines.text
        if after is None and sent != self._count:
            raise FileError(
                self._path, f"gave {sent} rows where {self._count} were counted. Run again."
            )

    @contextmanager
    def _resources(self) -> Iterator[None]:
        """Turn a lack of disk or memory into a sentence."""
        import duckdb  # noqa: PLC0415

        # A RuntimeError is how an Arrow stream tells what went wrong in DuckDB.
        try:
            yield
        except (duckdb.IOException, duckdb.OutOfMemoryException, RuntimeError) as error:
            reason = str(error).splitlines()[0].replace(f"{self._path.parent}/", "")
            message = (
                f"The file '{self._path.name}' cannot be read for lack of disk or memory"
                f" ({reason}). Free some space in the temporary folder, or point TMPDIR elsewhere."
            )
            raise TapError(message) from error


def _read_integer(token: str) -> int | Decimal:
    """Read an integer with all its digits; Python's int has no -0 and stops at 4 300 digits."""
    return Decimal(token) if token == "-0" or len(token) > 4000 else int(token)  # noqa: PLR2004, S105
