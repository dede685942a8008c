"""A CSV file as DuckDB reads it, checked to the last byte."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_autodesk_exports.tables import dialect
from tap_autodesk_exports.tables.cells import is_plain, number_widths, quoted
from tap_autodesk_exports.tables.engine import MOST_MEMORY, one_row
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
    import duckdb  # noqa: PLC0415 - not before there is a file to read

    header = dialect.read_header(path)
    for options in (_ORDINARY, _ORDINARY + ", parallel = false", _LONG_RECORDS):
        source = _source(path, len(types), options)
        try:
            if options == _LONG_RECORDS:
                engine.allow(MOST_MEMORY)
            try:
                reading = _profile(database, path, header, source, types, key)
            except duckdb.OutOfMemoryException:
                engine.allow(MOST_MEMORY)
                reading = _profile(database, path, header, source, types, key)
        except duckdb.InvalidInputException:
            continue
        if reading is not None:
            if options != _LONG_RECORDS:
                engine.allow(min(reading.longest * _COPIES, MOST_MEMORY))
            return reading
    # DuckDB and the file disagree: the dialect module decides who is right.
    rows = dialect.rewrite(path, copy)
    engine.allow(MOST_MEMORY)
    source = _source(copy, len(types), _LONG_RECORDS)
    reading = _profile(
        database, copy, dialect.read_header(copy), source, types, key, rewritten=True
    )
    if reading is None or reading.rows != rows:
        raise FileError(path, "cannot be read exactly. Please report this.")
    return reading


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


def _profile(  # noqa: PLR0913, PLR0917
    database: duckdb.DuckDBPyConnection,
    path: Path,
    header: dialect.Header,
    source: str,
    types: Sequence[Type],
    key: Collection[str],
    *,
    rewritten: bool = False,
) -> Reading | None:
    """Read all rows; None unless they make up the file, byte by byte and quote by quote.

    Rows, separators and quotes must add up to the file's size. Every quote inside a cell must be
    one pair in the file, as every cell of nothing but quotes, or of nothing, makes one more.

    DuckDB reads some files otherwise than they stand there without a word (observed: a space
    beside a quote, a comma too many at the end of a row, an open quote at the end of a file, text
    between quotes).
    """
    cells = [f"c{at}" for at in range(len(types))]
    typed = [
        (cell, type_) for cell, type_ in zip(cells, types, strict=True) if type_ is not Type.STRING
    ]
    numbers = [cell for cell, type_ in typed if type_ is Type.NUMBER]
    quoted_cells = dialect.has_quotes(path)
    outputs = [
        "count(*)",
        "coalesce(sum(length), 0)",
        "coalesce(max(length), 0)",
        "coalesce(sum(inside), 0)",
        f"coalesce(sum({_bare(cells)}), 0)" if quoted_cells else "0",
        f"count(DISTINCT hash({', '.join(key)}))" if key else "1",
        *(f"count({cell})" for cell in cells),
        *(f"bool_and({is_plain(cell, type_)})" for cell, type_ in typed),
        *(part for cell in numbers for part in number_widths(cell)),
    ]
    line = f"SELECT *, concat({', '.join(cells)}) AS line FROM {source}"  # noqa: S608
    inside = "strlen(line) - strlen(replace(line, '\"', ''))"
    inside = f"CASE WHEN contains(line, '\"') THEN {inside} ELSE 0 END" if quoted_cells else "0"
    measured = f"SELECT *, strlen(line) AS length, {inside} AS inside FROM ({line})"  # noqa: S608
    query = f"SELECT {', '.join(outputs)} FROM ({measured})"  # noqa: S608
    with ThreadPoolExecutor(1) as beside:  # DuckDB works on while Python counts
        counting = beside.submit(dialect.count_quotes, path, header.end)
        rows, length, longest, inside, bare, distinct, *found = one_row(database, query)
        quotes, pairs, apart = counting.result()
    size = header.end + length + quotes - inside + rows * (len(cells) - 1 + len(header.newline))
    if rows and not dialect.ends_with_newline(path):
        size -= len(header.newline)
    if size != path.stat().st_size or quotes % 2 or pairs != inside + bare:
        return None
    if apart and not rewritten:
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


def _bare(cells: Sequence[str]) -> str:
    """Return SQL for how many cells of a row consist of nothing but quotes, or of nothing."""
    bare = " + ".join(f"coalesce((replace({cell}, '\"', '') = '')::INT, 0)" for cell in cells)
    # Rows that can have such a cell are few, so that the others are spared the look at each.
    return f"CASE WHEN inside > 0 OR least({', '.join(cells)}) = '' THEN {bare} END"
