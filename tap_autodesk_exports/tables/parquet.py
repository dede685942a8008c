"""The rows of a table as Parquet files: written at once, or after the file was checked."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tap_autodesk_exports.files import csv_dialect
from tap_autodesk_exports.tables.cells import path_literal, quoted
from tap_autodesk_exports.tables.engine import one_row
from tap_autodesk_exports.tables.layout import ROW_ID
from tap_autodesk_exports.tables.reading import expect

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    import duckdb

    from tap_autodesk_exports.tables.batches import Create
    from tap_autodesk_exports.tables.engine import Engine
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
_ZSTD_LEVEL = 1
"""Level 1 packs such columns as small as the default level 3, in half the time."""


class ParquetFiles:
    """The rows of a file as Parquet files in a folder.

    Args:
        engine: Gives the memory that many columns need.
        database: Where the file is read.
        folder: The folder; it is made when files are written.
        selected: Names of the columns.
        rows_per_file: Rows of a file; row groups are rounded up to the 2048 rows that DuckDB
            handles at a time.
    """

    def __init__(
        self,
        engine: Engine,
        database: duckdb.DuckDBPyConnection,
        folder: Path,
        selected: Collection[str],
        rows_per_file: int,
    ) -> None:
        self._engine = engine
        self._database = database
        self._folder = folder
        self._selected = selected
        self._rows_per_file = rows_per_file

    def write(
        self, rows: Rows, scan: Scan, after: tuple[str, str] | None
    ) -> tuple[list[Path], int]:
        """Write rows that were read and checked before.

        Returns:
            The files in order, and the number of rows.
        """
        query = rows.columnar(rows.number_types(self._selected), self._selected, after)
        self._engine.allow_besides(_COLUMN_MEMORY * len(self._selected))
        row_size = _CELL * len(self._selected) + scan.length // scan.rows
        group_rows = max(_VECTOR, min(_GROUP_ROWS, _GROUP_MEMORY // row_size))
        groups = -(-self._rows_per_file // group_rows)
        self._folder.mkdir()
        (count,) = one_row(
            self._database,
            f"COPY ({query}) TO {quoted(str(self._folder))} (FORMAT parquet,"
            f" COMPRESSION zstd, COMPRESSION_LEVEL {_ZSTD_LEVEL},"
            f" ROW_GROUP_SIZE {-(-self._rows_per_file // groups)}, ROW_GROUPS_PER_FILE {groups},"
            " FILENAME_PATTERN '{i}')",
        )
        return sorted(self._folder.iterdir(), key=lambda file: int(file.stem)), count

    def write_at_once(
        self, file: CsvFile, rows_of: Callable[[Scan], Rows]
    ) -> tuple[list[Path], int] | None:
        """Write all rows of a file without reading it before.

        Args:
            file: The file.
            rows_of: Gives the queries of a way to read it.

        Returns:
            As `write`; None, with nothing left of the files, where the file is small, or its rows
            are not as the first ones, share a key, or are not all that it holds.
        """
        import duckdb  # noqa: PLC0415

        if file.header.newline != b"\n" or file.path.stat().st_size < LARGE:
            return None
        try:
            scan = expect(self._engine, self._database, file)
            if scan is None:
                return None
            with ThreadPoolExecutor(1) as beside:
                commas = beside.submit(csv_dialect.count_commas, file.path, file.header.end)
                files, count = self.write(rows_of(scan), scan, None)
            is_whole = commas.result() == count * (len(file.types) - 1)
            if is_whole and (ROW_ID not in self._selected or self._ids(files) == count):
                return files, count
        except (duckdb.InvalidInputException, duckdb.OutOfMemoryException):
            pass
        shutil.rmtree(self._folder, ignore_errors=True)
        return None

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
