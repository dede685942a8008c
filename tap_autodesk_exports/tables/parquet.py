"""The rows of a table as Parquet files."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tap_autodesk_exports.tables.cells import path_literal, quoted
from tap_autodesk_exports.tables.engine import one_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import duckdb

    from tap_autodesk_exports.tables.batches import Create

COLUMN_MEMORY = 512 << 10
"""Bytes that the writing of a Parquet column takes besides its values (measured: over 250 KB)."""
_BLOCK = 1 << 20
_VECTOR = 2048
_GROUP_ROWS = 5 * _VECTOR
"""Rows of a row group, however many a file has: larger ones are slower to write (measured)."""
_GROUP_MEMORY = 24 << 20
"""Bytes of a row group at most, of which each thread holds one in memory."""
_ZSTD_LEVEL = 1
"""Level 1 packs such columns as small as the default level 3, in half the time."""


def write(
    database: duckdb.DuckDBPyConnection,
    query: str,
    rows_per_file: int,
    row_size: int,
    folder: Path,
) -> tuple[list[Path], int]:
    """Write the result of a query to Parquet files; return them in order, and the number of rows.

    Args:
        database: Where to run the query.
        query: Gives the rows.
        rows_per_file: Rows of a file; row groups are rounded up to the 2048 rows that DuckDB
            handles at a time.
        row_size: About how many bytes a row takes in memory.
        folder: Where to write the files.
    """
    folder.mkdir()
    group_rows = max(_VECTOR, min(_GROUP_ROWS, _GROUP_MEMORY // row_size))
    groups = -(-rows_per_file // group_rows)
    (rows,) = one_row(
        database,
        f"COPY ({query}) TO {quoted(str(folder))} (FORMAT parquet,"
        f" COMPRESSION zstd, COMPRESSION_LEVEL {_ZSTD_LEVEL},"
        f" ROW_GROUP_SIZE {-(-rows_per_file // groups)}, ROW_GROUPS_PER_FILE {groups},"
        " FILENAME_PATTERN '{i}')",
    )
    return sorted(folder.iterdir(), key=lambda file: int(file.stem)), rows


def distinct(database: duckdb.DuckDBPyConnection, files: Sequence[Path], column: str) -> int:
    """Return how many different values a column has in files; a few may be counted as one."""
    source = f"read_parquet([{', '.join(map(path_literal, files))}], hive_partitioning = false)"
    query = f"SELECT count(DISTINCT hash({column})) FROM {source}"  # noqa: S608
    (number,) = one_row(database, query)
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
