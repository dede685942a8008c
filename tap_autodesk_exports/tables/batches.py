"""The rows of a table as files: what a Singer BATCH message announces."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from enum import StrEnum
from typing import IO, TYPE_CHECKING, cast

from isal import igzip

from tap_autodesk_exports.tables.cells import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    import duckdb

    from tap_autodesk_exports.tables.lines import Lines

    Create = Callable[[int], AbstractContextManager[IO[bytes]]]

_BLOCK = 1 << 20
COLUMN_MEMORY = 512 << 10
"""Bytes that the writing of a Parquet column takes besides its values (measured: over 250 KB)."""
_VECTOR = 2048
_GROUP_ROWS = 5 * _VECTOR
"""Rows of a row group, however many a file has: larger ones are slower to write (measured)."""
_GROUP_MEMORY = 24 << 20
"""Bytes of a row group at most, of which each thread holds one in memory."""
_GZIP_LEVEL = 1
"""ISA-L's level 1 packs these lines to a fifth, ten times faster than zlib's default level."""
_ZSTD_LEVEL = 1
"""Level 1 packs such columns as small as the default level 3, in half the time."""


class Encoding(StrEnum):
    """How the rows stand in a batch file."""

    JSONL = "jsonl"
    JSONL_GZIP = "jsonl+gzip"
    PARQUET = "parquet"


def write_json_lines(
    lines: Iterator[Lines], create: Create, rows_per_file: int, *, compressed: bool
) -> Iterator[int]:
    """Write lines to files of `rows_per_file` each; yield the number of each file when it is done.

    Args:
        lines: The lines, some at a time.
        create: Opens the file with a number, counted from 1, for writing.
        rows_per_file: Lines in every file but the last.
        compressed: Whether to write gzip.
    """
    number = 0
    rest = next(lines, None)
    while rest and rest.count:
        number += 1
        left = rows_per_file
        with (
            create(number) as raw,
            _gzip(raw) if compressed else nullcontext(raw) as out,
        ):
            while left and rest and rest.count:
                now, rest = rest.cut(left)
                out.write(now.text)
                left -= now.count
                rest = rest if rest.count else next(lines, None)
        yield number


def write_parquet(  # noqa: PLR0913, PLR0917
    database: duckdb.DuckDBPyConnection,
    query: str,
    create: Create,
    rows_per_file: int,
    row_size: int,
    folder: Path,
) -> Iterator[int]:
    """Write the result of a query to Parquet files; yield the number of each when it is done.

    Args:
        database: Where to run the query.
        query: Gives the rows.
        create: Opens the file with a number, counted from 1, for writing.
        rows_per_file: Rows of a file; row groups are rounded up to the 2048 rows that DuckDB
            handles at a time.
        row_size: About how many bytes a row takes in memory.
        folder: Where DuckDB writes the files, all of them, before they are handed on.
    """
    folder.mkdir()
    group_rows = max(_VECTOR, min(_GROUP_ROWS, _GROUP_MEMORY // row_size))
    groups = -(-rows_per_file // group_rows)
    database.execute(
        f"COPY ({query}) TO {quoted(str(folder))} (FORMAT parquet,"
        f" COMPRESSION zstd, COMPRESSION_LEVEL {_ZSTD_LEVEL},"
        f" ROW_GROUP_SIZE {-(-rows_per_file // groups)}, ROW_GROUPS_PER_FILE {groups},"
        " FILENAME_PATTERN '{i}')"
    )
    files = sorted(folder.iterdir(), key=lambda file: int(file.stem))
    for number, file in enumerate(files, start=1):
        with file.open("rb") as source, create(number) as out:
            shutil.copyfileobj(source, out, _BLOCK)
        file.unlink()
        yield number
    folder.rmdir()


def _gzip(raw: IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    packed = igzip.open(raw, "wb", _GZIP_LEVEL)  # type: ignore[no-untyped-call]
    return cast("AbstractContextManager[IO[bytes]]", packed)
