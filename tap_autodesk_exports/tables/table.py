"""A CSV file as a typed table, and its rows as Singer RECORD lines.

DuckDB reads the file, types it, and puts each line together; Python only hands the lines on. The
file is checked as a whole before the first row goes out: it is read once more than its rows need,
except for large Parquet files, which are written before they are handed on, and checked then.
"""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.files import csv_dialect
from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.tables.alternatives import Alternatives
from tap_autodesk_exports.tables.batches import write_json_lines
from tap_autodesk_exports.tables.encoding import Encoding
from tap_autodesk_exports.tables.engine import one_row
from tap_autodesk_exports.tables.keys import unique
from tap_autodesk_exports.tables.layout import (
    EXPORT_ID,
    EXPORTED_AT,
    match_header,
)
from tap_autodesk_exports.tables.lines import fetch
from tap_autodesk_exports.tables.parquet import ParquetFiles, hand_on
from tap_autodesk_exports.tables.reading import CsvFile, read
from tap_autodesk_exports.tables.rows import Rows
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from types import TracebackType

    import duckdb

    from tap_autodesk_exports.tables.batches import Create
    from tap_autodesk_exports.tables.engine import Engine
    from tap_autodesk_exports.tables.layout import TableSchema
    from tap_autodesk_exports.tables.reading import Scan
    from tap_autodesk_exports.tables.types import Column


class Table:
    """A CSV file, checked as a whole and typed by a schema.

    Whatever gives rows, or their number, raises FileError before the first one where the file is
    damaged, or holds different rows with one key where the schema says that it is unique.

    Every row carries the columns of the schema (null where the file lacks one), its constants, and

    - `_export_id`, `_exported_at`: of which export, taken when;
    - `_rescued_data`: null, or an object from column name to raw text, with the cells that do not
      fit the type of their column, and with the values of columns that the schema does not know;
    - `_row_id`: 32 hex digits, the MD5 of the natural key and of a counter among the rows that
      share it. The same row gets the same id in every export, wherever it stands in the file.
    """

    def __init__(
        self,
        path: Path,
        schema: TableSchema,
        *,
        export_id: str,
        exported_at: str,
        engine: Engine,
    ) -> None:
        """Open the file and read its header.

        Args:
            path: A CSV file, as `as_csv` returns it.
            schema: What is known of it.
            export_id: The export that it comes from.
            exported_at: When the source took the snapshot, as a timestamp.
            engine: Reads it; `close` leaves nothing behind in its folder.

        Raises:
            FileError: The file is empty, or its header is damaged or has no column of the schema.
        """
        self._path = path
        self._schema = schema
        self._engine = engine
        self._header = header = csv_dialect.read_header(path)
        self._match = match_header(path, header.names, schema)
        self._constants = {
            **schema.constants,
            EXPORT_ID: (Type.STRING, export_id),
            EXPORTED_AT: (Type.TIMESTAMP, exported_at),
        }
        self._count = 0 if path.stat().st_size == header.end else None
        self._closing = ExitStack()
        self._folder = Path(tempfile.mkdtemp(prefix="table-", dir=engine.folder))
        self._closing.callback(shutil.rmtree, self._folder, ignore_errors=True)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Columns of the file that the schema does not know, as `_rescued_data` names them."""
        return tuple(self._match.unknown)

    @property
    def missing(self) -> tuple[str, ...]:
        """Columns of the schema that the file does not have."""
        return tuple(
            column.name for column in self._schema.columns if column.name not in self._match.known
        )

    @property
    def _alternatives(self) -> list[Alternatives]:
        parts = [part for part in self._schema.natural_key if not isinstance(part, str)]
        return [Alternatives(part, self._schema, self._match) for part in parts]

    def identified_by(self) -> list[list[str]]:
        """Return by which columns rows are identified.

        Returns:
            For each part of the key that has alternatives, those that count in some row; `nothing`
            where some row has none.
        """
        found = []
        for part in self._alternatives if self.count() else ():
            uses = part.uses()
            outputs = ", ".join(f"bool_or({sql})" for sql in uses.values())
            query = f"SELECT {outputs} FROM {self._scan.source}"  # noqa: S608
            with self._resources():
                counts = one_row(self._database, query)
            found.append([name for name, is_used in zip(uses, counts, strict=True) if is_used])
        return found

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns of a record, in order. `_rescued_data` is an object, in spite of its type."""
        return self._schema.emitted

    def count(self) -> int:
        """Return the number of rows."""
        if self._count is None:
            self._count = self._scan.rows
        return self._count

    def maximum(self, column: str) -> str | None:
        """Return the greatest value of a column in its canonical form, None if it has none.

        Numbers are ordered as doubles, everything else as text.
        """
        if self._count == 0:
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
            after: A column and a value: rows in which it is less are left out; those that equal
                it or have no value are sent.
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
        boolean, date, time, timestamp in UTC; BIGINT or DECIMAL, whichever holds every value of
        the table exactly, or text where neither does. `_rescued_data` is JSON text.

        Args:
            create: Opens the file with a number for writing, such as a file of any storage.
            selected: As in `lines`.
            encoding: What to write.
            rows_per_file: Rows of a file; Parquet has some more, see `ParquetFiles`.
            after: As in `lines`.
        """
        if self._count == 0:
            return
        with self._resources():
            if encoding is Encoding.PARQUET:
                files = self._parquet(selected, rows_per_file, after)
                yield from hand_on(files, create)
                return
            compressed = encoding is Encoding.JSONL_GZIP
            query = self._rows.records("", selected, "\n", after)
            lines = fetch(self._database, query, self.count())
            yield from write_json_lines(lines, create, rows_per_file, compressed=compressed)

    def close(self) -> None:
        """Give back memory and disk."""
        self._closing.close()

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

    @functools.cached_property
    def _database(self) -> duckdb.DuckDBPyConnection:
        database = self._engine.connection()
        self._closing.callback(database.close)
        if self._schema.hashing:
            self._schema.hashing.define(database)
        return database

    @functools.cached_property
    def _file(self) -> CsvFile:
        schema, known = self._schema, self._match.known
        names = {cell: name for name, cell in known.items()}
        cells = [f"c{at}" for at in range(len(self._header.names))]
        return CsvFile(
            self._path,
            self._header,
            types=tuple(
                schema.types[names[cell]] if cell in names else Type.STRING for cell in cells
            ),
            key=(
                *(known[name] for name in schema.natural_key if name in known),
                *(part.text() for part in self._alternatives),
            ),
        )

    @functools.cached_property
    def _scan(self) -> Scan:
        """How to read the rows, found by reading all of them."""
        engine, copy = self._engine, self._folder / "rewritten.csv"
        with self._resources():
            scan = read(engine, self._database, self._file, copy)
            return unique(engine, self._database, self._path, self._schema, self._match, scan)

    @functools.cached_property
    def _rows(self) -> Rows:
        return self._rows_of(self._scan)

    def _rows_of(self, scan: Scan) -> Rows:
        texts = {
            name: None if text is None else self._engine.canonical(name, type_, text)
            for name, (type_, text) in self._constants.items()
        }
        return Rows(self._engine, self._database, self._schema, self._match, scan, texts)

    def _parquet(
        self, selected: Collection[str], rows_per_file: int, after: tuple[str, str] | None
    ) -> list[Path]:
        """Write the rows to files of this table's folder."""
        folder = self._folder / "parquet"
        parquet = ParquetFiles(self._engine, self._database, folder, selected, rows_per_file)
        if self._count is None and after is None and not self._schema.unique:
            written = parquet.write_at_once(self._file, self._rows_of)
            if written:
                files, self._count = written
                return files
        if not self.count():
            return []
        files, _ = parquet.write(self._rows, self._scan, after)
        return files

    def _chunks(
        self, before: str, selected: Collection[str], behind: str, after: tuple[str, str] | None
    ) -> Iterator[bytes]:
        if self._count == 0:
            return
        count, sent = self.count(), 0
        with self._resources():
            query = self._rows.records(before, selected, behind, after)
            for lines in fetch(self._database, query, count):
                sent += lines.count
                yield lines.text
        if after is None and sent != count:
            raise FileError(self._path, f"gave {sent} rows where {count} were counted. Run again.")

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
