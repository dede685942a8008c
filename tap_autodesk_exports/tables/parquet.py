"""The rows of a table as Parquet files: written at once, or after the file was checked."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.files import csv_dialect
from tap_autodesk_exports.tables.cells import path_literal, quoted
from tap_autodesk_exports.tables.columns import inexact
from tap_autodesk_exports.tables.engine import one_row
from tap_autodesk_exports.tables.layout import ROW_ID
from tap_autodesk_exports.tables.long_parquet import with_long_cells
from tap_autodesk_exports.tables.reading import expect

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    import duckdb

    from tap_autodesk_exports.tables.batches import Create
    from tap_autodesk_exports.tables.cleaning import Cleaner
    from tap_autodesk_exports.tables.engine import Engine
    from tap_autodesk_exports.tables.numbers import ParquetNumbers
    from tap_autodesk_exports.tables.reading import CsvFile, Scan
    from tap_autodesk_exports.tables.rows import Rows

LARGE = 4 << 20
"""Bytes of a file from which it is worth while to expect of all rows what the first ones show."""
_CELL = 16
"""Bytes that a cell takes in memory in addition to its text."""
_COLUMN_MEMORY = 512 << 10
"""Bytes that writing a Parquet column takes in addition to its values (measured: over 250 KB)."""
_BLOCK = 1 << 20
_VECTOR = 2048
_GROUP_ROWS = 5 * _VECTOR
"""Rows of a row group, however many a file has: larger ones are slower to write (measured)."""
_GROUP_MEMORY = 24 << 20
"""Bytes of a row group at most, of which each thread holds one in memory."""
_FORMAT = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
"""Level 1 packs such columns as small as the default level 3, in half the time."""


class InexactNumber(TapError):
    """A number has no room in the type that all Parquet files of a stream share."""

    def __init__(self, column: str, numbers: ParquetNumbers) -> None:
        super().__init__(
            f"Column '{column}' holds a number that {numbers} cannot store without a change, so no "
            "Parquet file is written. Set 'parquet_numbers' to text, or to a decimal with enough "
            "digits, and load the stream again from its start: all of its files must agree."
        )


@dataclass(frozen=True)
class Batch:
    """Which Parquet files are wanted."""

    folder: Path
    """Where they are written; it is made with the first."""
    selected: Collection[str]
    """Names of the columns."""
    rows_per_file: int
    """Rows of a file; row groups are rounded up to the 2048 rows that DuckDB handles at a time."""
    after: tuple[str, str] | None
    """A column and the bound from which rows are taken."""


class ParquetWriter:
    """Writes the rows of a file as Parquet files.

    Args:
        engine: Gives the memory that many columns need.
        database: Where the file is read.
        cleaner: Knows the file's long cells.
        numbers: How numbers are stored.
        batch: What to write.
    """

    def __init__(
        self,
        engine: Engine,
        database: duckdb.DuckDBPyConnection,
        cleaner: Cleaner,
        numbers: ParquetNumbers,
        batch: Batch,
    ) -> None:
        self._engine = engine
        self._database = database
        self._cleaner = cleaner
        self._numbers = numbers
        self._batch = batch

    def write(self, rows: Rows, scan: Scan) -> list[Path]:
        """Write rows that were read and checked before, and return the files in order.

        Raises:
            InexactNumber: A number cannot be stored without a change.
        """
        import duckdb  # noqa: PLC0415

        batch, query = self._batch, rows.columnar(self._batch.selected, self._batch.after)
        try:
            if not self._cleaner.long_cells:
                return self._write(query, scan)[0]
            texts = rows.texts(batch.selected)
            long_cells = self._cleaner.long_cells
            batch.folder.mkdir()
            all_rows = batch.folder / "all"
            self._database.execute(f"COPY ({query}) TO {quoted(str(all_rows))} ({_FORMAT})")
            return with_long_cells(self._engine, self._database, all_rows, texts, long_cells)
        except duckdb.InvalidInputException as error:
            for name in batch.selected:
                if str(error).endswith(inexact(name)):
                    raise InexactNumber(name, self._numbers) from None
            raise

    def write_at_once(
        self, file: CsvFile, rows_of: Callable[[Scan], Rows]
    ) -> tuple[list[Path], int] | None:
        """Write all rows of a file without reading it before.

        Args:
            file: The file.
            rows_of: Gives the queries of a way to read it.

        Returns:
            The files in order, and the number of rows; None, with nothing left of the files, where
            the file is small, or its rows are not as the first ones, share a key, or are not all
            that it holds.
        """
        import duckdb  # noqa: PLC0415

        if file.header.newline != b"\n" or file.path.stat().st_size < LARGE:
            return None
        if self._batch.after or self._cleaner.must_rewrite:
            return None
        try:
            scan = expect(self._engine, self._database, file, self._numbers)
            if scan is None:
                return None
            with ThreadPoolExecutor(1) as beside:
                commas = beside.submit(
                    csv_dialect.count_commas,
                    file.path,
                    file.header.end,
                    self._cleaner.is_suspicious,
                )
                query = rows_of(scan).columnar(self._batch.selected, None)
                files, count = self._write(query, scan)
            is_whole = commas.result() == count * (len(file.types) - 1)
            if is_whole and (ROW_ID not in self._batch.selected or self._ids(files) == count):
                return files, count
        except (
            duckdb.InvalidInputException,
            duckdb.NotImplementedException,
            duckdb.OutOfMemoryException,
        ):
            pass
        shutil.rmtree(self._batch.folder, ignore_errors=True)
        return None

    def _write(self, query: str, scan: Scan) -> tuple[list[Path], int]:
        """Write the result of a query; return the files in order, and the number of rows."""
        columns, rows_per_file = len(self._batch.selected), self._batch.rows_per_file
        self._engine.allow_besides(_COLUMN_MEMORY * columns)
        row_size = _CELL * columns + scan.length // scan.rows
        group_rows = max(_VECTOR, min(_GROUP_ROWS, _GROUP_MEMORY // row_size))
        groups = -(-rows_per_file // group_rows)
        self._batch.folder.mkdir()
        (count,) = one_row(
            self._database,
            f"COPY ({query}) TO {quoted(str(self._batch.folder))} ({_FORMAT},"
            f" ROW_GROUP_SIZE {-(-rows_per_file // groups)}, ROW_GROUPS_PER_FILE {groups},"
            " FILENAME_PATTERN '{i}')",
        )
        return sorted(self._batch.folder.iterdir(), key=lambda file: int(file.stem)), count

    def _ids(self, files: Sequence[Path]) -> int:
        """Return how many different ids files hold; a few may be counted as one."""
        source = f"read_parquet([{', '.join(map(path_literal, files))}], hive_partitioning = false)"
        query = f"SELECT count(DISTINCT hash({ROW_ID})) FROM {source}"  # noqa: S608
        (number,) = one_row(self._database, query)
        return int(number)


def hand_on(files: Sequence[Path], create: Create) -> Iterator[int]:
    """Move files to where they are wanted; yield the number of each when it is there.

    Args:
        files: The files, in order.
        create: Opens the file with a number, counted from 1, for writing.
    """
    for number, file in enumerate(files, start=1):
        with file.open("rb") as source, create(number) as out:
            shutil.copyfileobj(source, out, _BLOCK)
        file.unlink()
        yield number
