"""A CSV file as a typed table, and its rows as Singer RECORD lines.

DuckDB reads the file, types it, and puts each line together; Python only hands the lines on. The
file is checked as a whole before the first row goes out: it is read once more than its rows need,
except for large Parquet files, which are written before they are handed on, and checked then.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.tables.batches import write_json_lines
from tap_autodesk_exports.tables.checked_file import CheckedFile
from tap_autodesk_exports.tables.encoding import Encoding
from tap_autodesk_exports.tables.engine import one_row
from tap_autodesk_exports.tables.lines import Lines, fetch
from tap_autodesk_exports.tables.parquet import Batch, ParquetWriter, hand_on

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tap_autodesk_exports.tables.batches import Create
    from tap_autodesk_exports.tables.types import Column


class Table(CheckedFile):
    """A CSV file, checked as a whole and typed by a schema.

    Whatever gives rows, or their number, raises FileError before the first one where the file is
    damaged, or holds different rows with one key where the schema says that it is unique.

    Every row carries the columns of the schema (null where the file lacks one), its constants, and

    - `_export_id`, `_exported_at`: of which export, taken when;
    - `_rescued_data`: null, or text that holds a JSON object from column name to raw text, with the
      cells that do not fit the type of their column, and with the values of columns that the schema
      does not know;
    - `_row_id`: 32 hex digits, the MD5 of the natural key and of a counter among the rows that
      share it. The same row gets the same id in every export, wherever it is in the file.
    """

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns of a record, in order."""
        return self._schema.emitted

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
        read = json.JSONDecoder(parse_int=_read_integer, parse_float=Decimal).raw_decode
        for chunk in self._chunks("", selected, "\n", after):
            text, at = chunk.decode(), 0
            while at < len(text):
                record, end = read(text, at)
                yield record
                at = end + 1  # a line feed

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
        boolean, date, time, timestamp in UTC; integers are BIGINT, numbers what the schema says.
        The types depend on the schema alone, so that the files of all tables with it are one.

        Args:
            create: Opens the file with a number for writing, such as a file of any storage.
            selected: As in `lines`.
            encoding: What to write.
            rows_per_file: Rows of a file; Parquet has some more, see `Batch`, or fewer where cells
                are long.
            after: As in `lines`.

        Raises:
            InexactNumber: Parquet files cannot hold a number in this way without a change.
        """
        if self._count == 0:
            return
        with self._resources():
            if encoding is Encoding.PARQUET:
                folder = self._folder / "parquet"
                batch = Batch(folder, selected, rows_per_file, after)
                yield from hand_on(self._parquet(batch), create)
                return
            compressed = encoding is Encoding.JSONL_GZIP
            query = self._rows.records("", selected, "\n", after)
            lines = self._lines(query)
            yield from write_json_lines(lines, create, rows_per_file, compressed=compressed)

    def _parquet(self, batch: Batch) -> list[Path]:
        """Write the rows to files of this table's folder."""
        writer = ParquetWriter(
            self._engine, self._database, self._cleaner, self._schema.numbers, batch
        )
        if self._count is None and not self._schema.unique:
            written = writer.write_at_once(self._file, self._rows_of)
            if written:
                files, self._count = written
                self._all_fit = True
                return files
        return writer.write(self._rows, self._scan) if self.count() else []

    def _chunks(
        self, before: str, selected: Collection[str], behind: str, after: tuple[str, str] | None
    ) -> Iterator[bytes]:
        if self._count == 0:
            return
        count, sent = self.count(), 0
        with self._resources():
            for lines in self._lines(self._rows.records(before, selected, behind, after)):
                sent += lines.count
                yield lines.text
        if after is None and sent != count:
            raise FileError(self._path, f"gave {sent} rows where {count} were counted. Run again.")

    def _lines(self, query: str) -> Iterator[Lines]:
        """Return the lines of a query of records, with the long cells in place of their marks."""
        lines = fetch(self._database, query, self.count())
        long_cells = self._cleaner.long_cells
        return long_cells.expand(lines) if long_cells else lines


def _read_integer(token: str) -> int | Decimal:
    """Read an integer with all its digits; Python's int has no -0 and stops at 4 300 digits."""
    return Decimal(token) if token == "-0" or len(token) > 4000 else int(token)  # noqa: PLR2004, S105
