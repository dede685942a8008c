"""A CSV file as DuckDB reads it, checked to the last byte."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_autodesk_exports.tables import dialect
from tap_autodesk_exports.tables.cells import is_plain, number_widths, quoted
from tap_autodesk_exports.tables.engine import MOST_MEMORY
from tap_autodesk_exports.tables.errors import FileError
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    import duckdb

    from tap_autodesk_exports.tables.engine import Engine

_ORDINARY = ", buffer_size = 4194304"
"""Small buffers keep memory low, as rows leave DuckDB by the buffer; it is no slower (measured)."""
_LONG_RECORDS = (
    f", max_line_size = {dialect.MAX_RECORD}"
    f", buffer_size = {2 * dialect.MAX_RECORD}, parallel = false"
)
"""Options for files with records above DuckDB's ordinary limit of 2 MB."""
_COPIES = 32_768
"""Rows in memory at once: 2048 for each of two threads, in up to eight stages of being written."""


@dataclass(frozen=True)
class Reading:
    """How to read a file, and what reading it once has shown."""

    source: str
    """SQL of the rows; the cells are c0, c1, … in the order of the header, all VARCHAR."""
    rows: int
    filled: frozenset[str]
    """The cells that are not null in every row."""
    complete: frozenset[str]
    """The cells that are null in no row."""
    plain: frozenset[str]
    """The cells that stand in the usual spelling of their type in every row."""
    distinct: int
    """Number of different keys, by the cells as they stand; a few may be counted as one."""
    longest: int
    """Bytes of the longest row."""
    widths: dict[str, tuple[int, int]]
    """Of plain number cells: the most characters before the point, and behind it."""


def read(  # noqa: PLR0913, PLR0917
    engine: Engine,
    database: duckdb.DuckDBPyConnection,
    path: Path,
    types: Sequence[Type],
    key: Collection[str],
    copy: Path,
) -> Reading:
    """Read a file once, whole.

    Args:
        engine: Gives the memory that long rows need.
        database: The connection in which to read it.
        path: The CSV file.
        types: The type of each column of the header.
        key: The cells (c0, c1, …) whose different values are counted.
        copy: Where to write the file anew if DuckDB cannot read it as it stands.

    Raises:
        FileError: The file breaks the rules of the dialect.
    """
    with ThreadPoolExecutor(1) as beside:
        file = _File(path, types, key, beside)
        for options in (_ORDINARY, _ORDINARY + ", parallel = false", _LONG_RECORDS):
            reading = _attempt(engine, database, file, options)
            if reading is not None:
                if options != _LONG_RECORDS:
                    engine.allow(min(reading.longest * _COPIES, MOST_MEMORY))
                return reading
            if file.marks.result() is None:
                break
        # DuckDB and the file disagree: the dialect module decides who is right.
        rows = dialect.rewrite(path, copy)
        reading = _attempt(engine, database, _File(copy, types, key, beside), _LONG_RECORDS)
    if reading is None or reading.rows != rows:
        raise FileError(path, "cannot be read exactly. Please report this.")
    return reading


class _File:
    """A file to be read; its quotes are looked at in a thread while DuckDB works."""

    def __init__(
        self,
        path: Path,
        types: Sequence[Type],
        key: Collection[str],
        beside: ThreadPoolExecutor,
    ) -> None:
        self.path = path
        self.types = types
        self.key = key
        self.header = dialect.read_header(path)
        self.marks = beside.submit(dialect.count_marks, path, self.header.end)


def _attempt(
    engine: Engine, database: duckdb.DuckDBPyConnection, file: _File, options: str
) -> Reading | None:
    """Read a file with some options; None where DuckDB cannot, or reads it otherwise."""
    import duckdb  # noqa: PLC0415 - not before there is a file to read

    source = _source(file.path, len(file.types), options)
    if options == _LONG_RECORDS:
        engine.allow(MOST_MEMORY)
    try:
        return _profile(engine, database, file, source)
    except duckdb.InvalidInputException:
        return None


def _source(path: Path, width: int, options: str) -> str:
    columns = ", ".join(f"'c{at}': 'VARCHAR'" for at in range(width))
    # DuckDB takes a path for a pattern, a suffix for a compression, `a=b` in it for a partition.
    literal = re.sub(r"[*?\[]", r"[\g<0>]", str(path))
    return (
        f"read_csv({quoted(literal)}, columns = {{{columns}}}, auto_detect = false,"
        " header = true, delim = ',', quote = '\"', escape = '\"', strict_mode = true,"
        " nullstr = '', allow_quoted_nulls = false, compression = 'none', hive_partitioning = false"
        f"{options})"
    )


def _profile(
    engine: Engine, database: duckdb.DuckDBPyConnection, file: _File, source: str
) -> Reading | None:
    """Read all rows; None unless they make up the file, byte by byte.

    Cells, separators and quotes must add up to the file's size, and every quote must be where the
    rules want it. DuckDB reads some other files otherwise than they stand there without a word
    (observed: a space beside a quote, a comma too many at the end of a row, an open quote at the
    end of a file, text between quotes).
    """
    header, cells = file.header, [f"c{at}" for at in range(len(file.types))]
    typed = [
        (cell, type_)
        for cell, type_ in zip(cells, file.types, strict=True)
        if type_ is not Type.STRING
    ]
    numbers = [cell for cell, type_ in typed if type_ is Type.NUMBER]
    outputs = [
        "count(*)",
        "coalesce(sum(length), 0)",
        "coalesce(max(length), 0)",
        f"count(DISTINCT hash({', '.join(file.key)}))" if file.key else "1",
        *(f"count({cell})" for cell in cells),
        *(f"bool_and({is_plain(cell, type_)})" for cell, type_ in typed),
        *(part for cell in numbers for part in number_widths(cell)),
    ]
    measured = f"SELECT *, strlen(concat({', '.join(cells)})) AS length FROM {source}"  # noqa: S608
    query = f"SELECT {', '.join(outputs)} FROM ({measured})"  # noqa: S608
    ((rows, length, longest, distinct, *found),) = engine.execute(database, query)
    marks = file.marks.result()
    if marks is None:
        return None
    size = header.end + length + marks + rows * (len(cells) - 1 + len(header.newline))
    if rows and not dialect.ends_with_newline(file.path):
        size -= len(header.newline)
    if size != file.path.stat().st_size:
        return None
    counts, flags, widths = (
        found[: len(cells)],
        found[len(cells) : len(cells) + len(typed)],
        found[len(cells) + len(typed) :],
    )
    plain = set(cells) - {cell for (cell, _), flag in zip(typed, flags, strict=True) if not flag}
    return Reading(
        source,
        rows,
        filled=frozenset(cell for cell, count in zip(cells, counts, strict=True) if count),
        complete=frozenset(
            cell for cell, count in zip(cells, counts, strict=True) if count == rows
        ),
        plain=frozenset(plain),
        distinct=distinct,
        longest=longest,
        widths={
            cell: (widths[2 * at], widths[2 * at + 1])
            for at, cell in enumerate(numbers)
            if cell in plain
        },
    )
